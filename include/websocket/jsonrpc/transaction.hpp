// SPDX-License-Identifier: Apache-2.0
// One request on its way to its answer. Part of websocket/jsonrpc.hpp.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../utf8.hpp"
#include "answer_queue.hpp"
#include "session.hpp"

namespace websocket::jsonrpc {

namespace detail {

/// Collects the answers to a batch, which go out together when the last one is there. [any thread]
class BatchAnswers {
public:
    explicit BatchAnswers(std::shared_ptr<AnswerQueue> to) noexcept : to_(std::move(to)) {}

    void expect() {
        const std::lock_guard lock(mutex_);
        ++expected_;
    }
    /// Empty: nothing is answered.
    Result add(std::string_view text) {
        const std::lock_guard lock(mutex_);
        if (!text.empty()) {
            texts_ += texts_.empty() ? '[' : ',';
            texts_ += text;
        }
        if (--expected_ > 0 || texts_.empty()) return Result::ok;
        texts_ += ']';
        return to_->send(texts_);
    }

private:
    const std::shared_ptr<AnswerQueue> to_;
    std::mutex mutex_;  // guards both below
    std::size_t expected_ = 0;
    std::string texts_;
};

class TransactionState {
public:
    TransactionState(std::shared_ptr<SessionState> of, std::shared_ptr<AnswerQueue> answers,
                     Call&& request, std::size_t weight, std::shared_ptr<BatchAnswers> batch)
        : session(std::move(of)), connection(answers->to()), call(std::move(request)),
          weight_(weight), answers_(std::move(answers)), batch_(std::move(batch)) {}
    TransactionState(const TransactionState&) = delete;
    TransactionState& operator=(const TransactionState&) = delete;
    /// Nobody is left who could answer.
    ~TransactionState() {
        try {
            if (!answered()) {
                const Error error(kInternalError, "Internal error",
                                  Value("the request has not been answered"));
                static_cast<void>(answer(Texts::failure(id(), error)));
            }
        } catch (...) {
            connection.close(CloseCode::internal_error, "plugin failed");
        }
    }

    [[nodiscard]] bool answered() const noexcept { return answered_; }
    [[nodiscard]] Value id() const { return call.id.value_or(Value()); }

    /// False when it has been answered, or the client is gone. A notification is not answered, whatever is said.
    bool answer(const std::string& text) {
        if (answered_.exchange(true)) return false;
        session->end_request(weight_);
        if (!call.id) return true;
        const bool good = is_utf8(text);
        const std::string instead =
            good ? std::string()
                 : Texts::failure(id(), Error(kInternalError, "Internal error",
                                              Value("the answer is not UTF-8")));
        const std::string_view said = good ? text : instead;
        return taken(batch_ ? batch_->add(said) : answers_->send(said));
    }

    const std::shared_ptr<SessionState> session;
    const Connection connection;
    const Call call;
    std::atomic<bool> async{false};

private:
    const std::size_t weight_;  ///< as SessionState::begin_request() was told
    const std::shared_ptr<AnswerQueue> answers_;
    const std::shared_ptr<BatchAnswers> batch_;
    std::atomic<bool> answered_{false};
};

}  // namespace detail

/// A request, or a notification, to be answered once. Copies stand for the same one; when the last copy goes
/// and nothing has been answered, the client gets -32603. [any thread]
class Transaction {
public:
    explicit Transaction(std::shared_ptr<detail::TransactionState> state) noexcept
        : state_(std::move(state)) {}

    [[nodiscard]] const std::string& method() const noexcept { return state_->call.method; }
    /// An array, an object, or null when there are none.
    [[nodiscard]] const Value& params() const noexcept { return state_->call.params; }
    /// A string, a number or null.
    [[nodiscard]] Value id() const { return state_->id(); }
    [[nodiscard]] bool is_notification() const noexcept { return !state_->call.id; }
    [[nodiscard]] Session session() const noexcept { return Session(state_->session); }
    /// Where it came from, and where the answer goes.
    [[nodiscard]] Connection connection() const noexcept { return state_->connection; }

    /// Without it, a handler that returns without an answer has answered with an empty result.
    void start_async() const noexcept { state_->async = true; }

    /// These return false when it has been answered before, or the client is gone.
    bool respond(const Value& result = {}) const {
        return state_->answer(texts().result(id(), result, state_->session->id()));
    }
    bool error(std::int32_t code, const std::string& message, Value data = {},
               std::string type = {}) const {
        return error(Error(code, message, std::move(data), std::move(type)));
    }
    bool error(const Error& error) const {
        return state_->answer(texts().error(id(), error, state_->session->id()));
    }

private:
    [[nodiscard]] const Texts& texts() const noexcept { return state_->session->owner().texts; }

    std::shared_ptr<detail::TransactionState> state_;
};

}  // namespace websocket::jsonrpc
