// SPDX-License-Identifier: Apache-2.0
// Requests of a client and their answers, and those of the server.
#include <utility>

#include "client/rpc_client.hpp"
#include "websocket/jsonrpc/writer.hpp"
#include "websocket/utf8.hpp"

namespace websocket::client {

using jsonrpc::Error;

/// A request or notification of the server.
class RpcClient::IncomingCall final : public jsonrpc::ServerRequest::Call {
public:
    IncomingCall(ServerCall from, std::weak_ptr<RpcClient> client, std::uint64_t connection,
                 std::shared_ptr<Answered> request)
        : client_(std::move(client)), connection_(connection), request_(std::move(request)),
          id_(from.id.value_or(Value())) {
        method = std::move(from.method);
        params = std::move(from.params);
        notification = !from.id;
    }
    IncomingCall(const IncomingCall&) = delete;
    IncomingCall& operator=(const IncomingCall&) = delete;
    ~IncomingCall() override {
        if (notification || answered_) {
            return;
        }
        try {
            const Error error(jsonrpc::kInternalError, "the client has not answered");
            answer(nullptr, &error);
        } catch (const std::exception&) {
            // Without memory the server has to wait in vain.
            return;
        }
    }

    [[nodiscard]] bool is_answered() const noexcept { return answered_; }

    /// With what a method has thrown, be its texts UTF-8 or not; unless it has been answered.
    void refuse(const Error& thrown) {
        const bool good = is_utf8(jsonrpc::to_json(thrown.data));
        const Error error(thrown.code, well_formed(thrown.what()), good ? thrown.data : Value(),
                          well_formed(thrown.type));
        try {
            answer(nullptr, &error);
        } catch (const jsonrpc::AlreadyAnsweredError&) {
            return;
        }
    }

    void answer(const Value* result, const Error* error) override {
        if (notification) {
            return;
        }
        const std::string text =
            error != nullptr ? error_text(id_, *error) : result_text(id_, *result);
        if (answered_.exchange(true)) {
            throw jsonrpc::AlreadyAnsweredError(method);
        }
        if (const std::shared_ptr<RpcClient> client = client_.lock()) {
            client->run([raw = client.get(), text, connection = connection_, request = request_] {
                raw->answer(text, connection, request);
            });
        }
    }

private:
    const std::weak_ptr<RpcClient> client_;
    const std::uint64_t connection_;
    const std::shared_ptr<Answered> request_;
    const Value id_;
    std::atomic<bool> answered_{false};
};

// --- what goes -----------------------------------------------------------------------------------

void RpcClient::begin(const PendingPointer& pending) {
    const std::int64_t id = pending->id;
    std::string text = pending->retries > 0 ? pending->text : std::exchange(pending->text, {});
    if (ended()) {  // closed since it was let in
        traffic_.gone(text.size());
        traffic_.answered();
        complete(*pending, Outcome(std::make_exception_ptr(
                               jsonrpc::ClosedError("the client has been closed"))));
        return;
    }
    pending->timer.emplace(thread_->reactor(), [this, id] { timed_out(id); });
    pending->timer->start(pending->timeout);
    pending_.emplace(id, pending);
    post({std::move(text), id, 0});
}

/// A request of the client's own, which does not wait for the session.
void RpcClient::call(std::string_view method, const Value& params,
                     std::chrono::milliseconds timeout, std::function<void(const Outcome&)> then) {
    if (!connection_ || !connection_->writable()) {
        then(Outcome(std::make_exception_ptr(
            jsonrpc::ConnectionError("there is no connection any more", 1006))));
        return;
    }
    auto pending = std::make_shared<Pending>();
    pending->id = next_id_.fetch_add(1, std::memory_order_relaxed);
    pending->method = method;
    pending->timeout = timeout;
    pending->sent = true;
    pending->completion.ours = std::move(then);
    const std::int64_t id = pending->id;
    const std::string text = request_text(method, params, id);
    pending->timer.emplace(thread_->reactor(), [this, id] { timed_out(id); });
    pending->timer->start(timeout);
    pending_.emplace(id, pending);
    connection_->send_text(text);
    traffic_.set_unsent(connection_->unsent());
}

void RpcClient::post(Waiting waiting) {
    const bool now =
        ready_ && (flushed_ || greeting_) && connection_ != nullptr && connection_->writable();
    if (now) {
        transmit(waiting);
    } else if (end_) {
        traffic_.gone(waiting.text.size());
    } else {
        outbox_.push_back(std::move(waiting));
    }
}

void RpcClient::transmit(const Waiting& waiting) {
    connection_->send_text(waiting.text);
    traffic_.set_unsent(connection_->unsent());
    traffic_.gone(waiting.text.size());
    if (waiting.id) {
        if (const auto found = pending_.find(*waiting.id); found != pending_.end()) {
            found->second->sent = true;
        }
    }
}

void RpcClient::flush() {
    flushed_ = true;
    while (ready_ && connection_ != nullptr && connection_->writable() && !outbox_.empty()) {
        const Waiting next = std::move(outbox_.front());
        outbox_.pop_front();
        transmit(next);
    }
}

void RpcClient::forget_waiting(const std::function<bool(const Waiting&)>& unwanted) {
    std::erase_if(outbox_, [&](const Waiting& waiting) {
        const bool gone = unwanted(waiting);
        if (gone) {
            traffic_.gone(waiting.text.size());
        }
        return gone;
    });
}

// --- what becomes of it --------------------------------------------------------------------------

RpcClient::PendingPointer RpcClient::take(std::int64_t id) {
    const auto found = pending_.find(id);
    if (found == pending_.end()) {
        return nullptr;
    }
    PendingPointer taken = std::move(found->second);
    pending_.erase(found);
    taken->timer.reset();
    if (taken->counted) {
        traffic_.answered();
    }
    return taken;
}

void RpcClient::timed_out(std::int64_t id) noexcept {
    guarded([&] {
        const PendingPointer late = take(id);
        if (late == nullptr) {
            return;
        }
        if (!late->sent) {  // then it does not leave any more
            forget_waiting([id](const Waiting& waiting) { return waiting.id == id; });
        }
        complete(*late, Outcome(std::make_exception_ptr(
                            jsonrpc::RequestTimeoutError(late->method, late->timeout))));
    });
}

void RpcClient::complete(Pending& pending, const Outcome& outcome) {
    const Completion completion = std::move(pending.completion);
    if (completion.promise) {
        if (outcome) {
            completion.promise->set_value(outcome.result());
        } else {
            completion.promise->set_exception(outcome.error());
        }
    } else if (completion.callback) {
        later([callback = completion.callback, outcome] { callback(outcome); }, true);
    } else if (completion.ours) {
        completion.ours(outcome);
    }
}

void RpcClient::complete_all(const std::exception_ptr& error) {
    while (!pending_.empty()) {
        if (const PendingPointer taken = take(pending_.begin()->first)) {
            complete(*taken, Outcome(error));
        }
    }
}

// --- what comes ----------------------------------------------------------------------------------

void RpcClient::on_message(protocol::MessageType type, std::string_view payload) {
    if (type != protocol::MessageType::text) {
        report(std::make_exception_ptr(
            jsonrpc::ProtocolError("a message must be text, not binary", {})));
        return;
    }
    auto message = read_message(reader_, payload);
    if (auto* const call = std::get_if<ServerCall>(&message)) {
        on_call(std::move(*call), payload);
    } else if (auto* const answer = std::get_if<ServerAnswer>(&message)) {
        on_answer(std::move(*answer));
    } else {
        const NoMessage& none = std::get<NoMessage>(message);
        const PendingPointer asked = none.id ? take(*none.id) : nullptr;
        if (asked != nullptr) {
            complete(*asked, Outcome(std::make_exception_ptr(none.error)));
        } else {
            report(std::make_exception_ptr(none.error));
        }
    }
}

/// To none of ours: it came too late, or twice.
void RpcClient::on_answer(ServerAnswer answer) {
    const auto id = answer.id.integer<std::int64_t>();
    const PendingPointer asked = id ? take(*id) : nullptr;
    if (asked != nullptr) {
        complete(*asked, answer.error ? Outcome(std::make_exception_ptr(*answer.error))
                                      : Outcome(std::move(answer.result)));
    } else if (answer.id.is_null() && answer.error) {  // the server could not tell what it is about
        report(std::make_exception_ptr(*answer.error));
    }
}

void RpcClient::on_call(ServerCall call, std::string_view text) {
    std::shared_ptr<Answered> request;
    if (call.id) {
        const std::string id = jsonrpc::to_json(*call.id);
        if (const auto before = answers_.find(id, text, thread_->reactor().time())) {
            // Sent again by a server that has not got the answer. One that is not there yet is sent when it is.
            if (!before->answer.empty()) {
                ++in_flight_;
                answer(before->answer, attempt_, nullptr);
            }
            return;
        }
        request = answers_.add(id, text);
        ++in_flight_;
    }
    std::optional<jsonrpc::Method> method;
    {
        const std::lock_guard lock(methods_mutex_);
        if (const auto found = methods_.find(call.method); found != methods_.end()) {
            method = found->second;
        }
    }
    const auto incoming = std::make_shared<IncomingCall>(std::move(call), weak_from_this(),
                                                         attempt_, std::move(request));
    if (in_flight_ > configuration_.max_pending_requests) {
        const Error error(jsonrpc::kTooManyRequests, "too many requests wait for this client");
        incoming->answer(nullptr, &error);
    } else if (method) {
        later([this, method = *method, incoming] { invoke(method, incoming); });
    } else {
        const Error error(jsonrpc::kMethodNotFound,
                          "the client has no method \"" + incoming->method + '"');
        incoming->answer(nullptr, &error);
    }
}

/// [callback]
void RpcClient::invoke(const jsonrpc::Method& method, const std::shared_ptr<IncomingCall>& call) {
    const std::shared_ptr<RpcClient> alive = shared_from_this();
    try {
        method(jsonrpc::ServerRequest(call));
    } catch (const Error& error) {
        if (call->notification || call->is_answered()) {
            report(std::current_exception());
        } else {
            call->refuse(error);
        }
    } catch (const std::exception& thrown) {
        report(std::current_exception());
        call->refuse(Error(jsonrpc::kInternalError, thrown.what()));
    } catch (...) {
        report(std::current_exception());
        call->refuse(Error(jsonrpc::kInternalError, "unknown exception"));
    }
}

void RpcClient::answer(const std::string& text, std::uint64_t connection,
                       const std::shared_ptr<Answered>& request) {
    --in_flight_;
    if (request != nullptr) {
        answers_.answered(request, text, thread_->reactor().time());
    }
    if (end_ || connection < session_since_) {
        return;
    }
    try {
        traffic_.accept_answer(text.size());
    } catch (const jsonrpc::QueueFullError&) {
        report(std::current_exception());
        return;
    }
    // A server may want to know something before it gives a session.
    if (connection == attempt_ && connection_ != nullptr && connection_->writable()) {
        transmit({text, {}, connection});
    } else {
        post({text, {}, connection});
    }
}

}  // namespace websocket::client
