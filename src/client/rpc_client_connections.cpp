// SPDX-License-Identifier: Apache-2.0
// How a client comes to a connection and a session, loses them, and ends.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <utility>

#include "client/checked_configuration.hpp"
#include "client/rpc_client.hpp"
#include "protocol/client_frame_writer.hpp"

namespace websocket::client {

using jsonrpc::ClientState;
using jsonrpc::CloseInfo;
using jsonrpc::ConnectionError;

namespace {

constexpr std::uint16_t kWithoutClose = 1006;
constexpr std::uint16_t kGoingAway = 1001;
constexpr std::uint16_t kTooBig = 1009;

/// From 0 to 1.
double chance() {
    std::array<std::uint8_t, sizeof(std::uint32_t)> random{};
    protocol::fill_randomly(random);
    std::uint32_t number = 0;
    std::memcpy(&number, random.data(), sizeof number);
    return std::ldexp(static_cast<double>(number), -32);
}

std::string told(const CloseInfo& info) {
    return "with code " + std::to_string(info.code) +
           (info.reason.empty() ? std::string() : " (" + info.reason + ')');
}

}  // namespace

bool RpcClient::ended() const noexcept { return dead_ || closing_ || end_.has_value(); }

// --- connections ---------------------------------------------------------------------------------

void RpcClient::start_connection() {
    retry_timer_->stop();
    ++attempt_;
    if (!configuration_.ws.new_ws_uri_on_reconnection ||
        !std::exchange(first_address_used_, true)) {
        dial(configuration_.ws.uri);
        return;
    }
    later([this, attempt = attempt_, ask = configuration_.ws.new_ws_uri_on_reconnection] {
        std::string uri;
        std::string error;
        try {
            uri = ask();
            static_cast<void>(parse_uri("the address of ws.new_ws_uri_on_reconnection", uri));
        } catch (const std::exception& thrown) {
            error = thrown.what();
        } catch (...) {
            error = "ws.new_ws_uri_on_reconnection threw";
        }
        if (ended() || attempt != attempt_) {
            return;
        }
        if (error.empty()) {
            dial(uri);
        } else {
            tell(configuration_.ws.on_connection_failed, ConnectionError(error, kWithoutClose));
            lost({kWithoutClose, error, false, false, {}});
        }
    });
}

void RpcClient::dial(const std::string& uri) {
    const jsonrpc::WsConfiguration& ws = configuration_.ws;
    uri_ = uri;
    connection_ = std::make_shared<Connection>(
        *thread_, *resolver_, static_cast<ConnectionListener&>(*this),
        ConnectionSettings{parse_uri("ws.uri", uri), offer_of(ws), tls_.get(), ws.connect_timeout,
                           ws.close_timeout, ws.idle_timeout, ws.max_message_size});
    const std::shared_ptr<Connection> connection = connection_;  // may be given up meanwhile
    connection->dial();
}

void RpcClient::on_open() {
    stable_timer_->start(configuration_.ws.reconnection.stable_after);
    if (configuration_.session) {
        ask_session();
    } else {
        is_ready(false);
    }
}

void RpcClient::on_sent() { traffic_.set_unsent(connection_ ? connection_->unsent() : 0); }

void RpcClient::on_end(const End& end) {
    const std::shared_ptr<Connection> gone = std::exchange(connection_, nullptr);
    traffic_.set_unsent(0);
    CloseInfo info{end.code, end.reason, end.clean, false, {}};
    if (closing_) {
        finish(std::move(info));
        return;
    }
    if (!end.opened) {
        tell(configuration_.ws.on_connection_failed,
             ConnectionError("could not connect to " + uri_ + ": " + end.reason, end.code));
    }
    for (const std::uint16_t code : configuration_.ws.final_close_codes) {
        if (end.opened && code == end.code) {
            finish(std::move(info));
            return;
        }
    }
    lost(std::move(info));
}

/// Whatever it does, nobody hears of it any more.
void RpcClient::drop_connection() {
    if (const std::shared_ptr<Connection> gone = std::exchange(connection_, nullptr)) {
        gone->drop(kGoingAway);
    }
    traffic_.set_unsent(0);
}

void RpcClient::lost(CloseInfo info, std::optional<std::chrono::milliseconds> wanted) {
    const auto delay = backoff_.next(chance());
    if (!delay) {
        finish(std::move(info));
        return;
    }
    info.retry_in = wanted.value_or(*delay);
    retry_timer_->start(*info.retry_in);
    after_loss(info);
}

void RpcClient::after_loss(const CloseInfo& info) {
    const bool was_connected = traffic_.state() == ClientState::connected;
    ready_ = false;
    flushed_ = false;
    ++attempt_;  // what still comes of the old one is of none
    stable_timer_->stop();
    heartbeat_timer_->stop();
    if (traffic_.state() != ClientState::connecting) {
        traffic_.set_state(ClientState::reconnecting);
    }
    const auto error = std::make_exception_ptr(
        ConnectionError("the connection was lost before the answer, " + told(info), info.code));
    std::deque<Waiting> again;
    const auto all = pending_;
    for (const auto& [id, pending] : all) {
        if (!pending->sent) {
            continue;
        }
        // A message larger than the server takes would end the next connection, too.
        if (pending->retries == 0 || info.code == kTooBig) {
            if (const PendingPointer taken = take(id)) {
                complete(*taken, Outcome(error));
            }
            continue;
        }
        --pending->retries;
        pending->sent = false;
        traffic_.accept_again(pending->text.size());
        again.push_back({pending->text, id, 0});
    }
    outbox_.insert(outbox_.begin(), again.begin(), again.end());
    if (was_connected) {
        tell(configuration_.ws.on_reconnecting, info);
    }
}

void RpcClient::reconnect_now() {
    const bool was_connected = ready_;
    drop_connection();
    if (was_connected) {
        after_loss({kWithoutClose, "the client makes another connection", false, false,
                    std::chrono::milliseconds{0}});
    }
    start_connection();
}

// --- sessions ------------------------------------------------------------------------------------

/// For the one that there was, or for a new one if the server does not know it any more.
void RpcClient::ask_session() {
    const std::optional<std::string> asked = session_id_;
    const Value params = asked ? Value::object({{"sessionId", *asked}}) : Value();
    call("connect", params, configuration_.rpc.request_timeout,
         [this, asked, attempt = attempt_](const Outcome& outcome) {
             if (attempt == attempt_ && !ended()) {
                 session_told(outcome, asked);
             }
         });
}

void RpcClient::session_told(const Outcome& outcome, const std::optional<std::string>& asked) {
    std::string why;
    bool is_lost = false;
    try {
        const Value* id = outcome.result().find("sessionId");
        session_id_ = id != nullptr && id->is_text() ? std::optional(id->text()) : std::nullopt;
        is_ready(asked.has_value() && session_id_ == asked);
        return;
    } catch (const jsonrpc::Error& error) {
        if (error.code == jsonrpc::kMethodNotFound) {  // a server without sessions
            session_id_.reset();
            is_ready(false);
            return;
        }
        is_lost = error.code == jsonrpc::kUnknownSession && asked.has_value();
        why = error.what();
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const std::exception& error) {
        why = error.what();
    }
    if (is_lost) {
        session_id_.reset();
        ask_session();
        return;
    }
    why = "the server gives no session: " + why;
    tell(configuration_.ws.on_connection_failed, ConnectionError(why, kWithoutClose));
    drop_connection();
    lost({kWithoutClose, why, false, false, {}});
}

void RpcClient::is_ready(bool same_session) {
    const bool first = traffic_.state() == ClientState::connecting;
    if (!same_session) {
        session_since_ = attempt_;
        answers_.forget();
        forget_waiting([this](const Waiting& waiting) {
            return waiting.connection != 0 && waiting.connection < attempt_;
        });
    }
    ready_ = true;
    flushed_ = false;
    traffic_.set_session(session_id_);
    traffic_.set_state(ClientState::connected);
    if (configuration_.heartbeat) {
        beat(true);
    }
    // What these send leaves before what waited.
    later([this, first, same_session, attempt = attempt_, ws = &configuration_.ws] {
        if (attempt != attempt_ || ended()) {
            return;
        }
        greeting_ = true;
        const std::shared_ptr<RpcClient> alive = shared_from_this();
        const auto connected = ws->on_connected;
        const auto reconnected = ws->on_reconnected;
        const std::optional<std::string> id = session_id_;
        struct Greeted {
            ~Greeted() { greeting = false; }
            bool& greeting;
        } greeted{greeting_};
        if (first && connected) {
            connected({id});
        } else if (!first && reconnected) {
            reconnected({id, same_session});
        }
    });
    later([this, attempt = attempt_] {
        if (attempt == attempt_) {
            flush();
        }
    });
}

// --- pings ---------------------------------------------------------------------------------------

void RpcClient::beat(bool first) {
    const std::chrono::milliseconds interval = *configuration_.heartbeat;
    heartbeat_timer_->start(interval);
    call("ping", first ? Value::object({{"interval", interval.count()}}) : Value(),
         configuration_.rpc.heartbeat_request_timeout.value_or(
             std::min(configuration_.rpc.request_timeout, interval)),
         [this, attempt = attempt_](const Outcome& outcome) {
             if (attempt != attempt_ || ended()) {
                 return;
             }
             try {
                 static_cast<void>(outcome.result());
             } catch (const jsonrpc::RequestTimeoutError&) {
                 report(std::make_exception_ptr(
                     ConnectionError("the server does not answer pings", kWithoutClose)));
                 reconnect_now();
             } catch (const std::exception&) {
                 // An error of the server, too, is a sign of life; a lost connection is seen to anyway.
                 return;
             }
         });
}

// --- the end -------------------------------------------------------------------------------------

void RpcClient::begin_close(std::uint16_t code, std::string reason,
                            std::shared_ptr<std::promise<CloseInfo>> closer) {
    if (end_) {
        closer->set_value(*end_);
        return;
    }
    closers_.push_back(std::move(closer));
    if (std::exchange(closing_, true)) {
        return;
    }
    close_code_ = code;
    close_reason_ = std::move(reason);
    heartbeat_timer_->stop();
    const std::chrono::milliseconds time = configuration_.ws.close_timeout;
    close_deadline_ = thread_->reactor().elapsed() + time;
    if (configuration_.send_close_message && ready_ && connection_ && connection_->writable()) {
        call("closeSession", {}, time, [this](const Outcome& /*whatever*/) { close_socket(); });
    } else {
        close_socket();
    }
}

void RpcClient::close_socket() {
    if (end_ || dead_) {
        return;
    }
    if (const std::shared_ptr<Connection> connection = connection_) {
        const auto left = close_deadline_ - thread_->reactor().elapsed();
        connection->close(close_code_ != 0 ? std::optional(close_code_) : std::nullopt,
                          close_reason_, std::max(left, std::chrono::milliseconds{0}));
    } else {
        finish({kWithoutClose, "there was no connection", false, true, {}});
    }
}

void RpcClient::finish(CloseInfo info) {
    if (end_) {
        return;
    }
    info.final = true;
    info.retry_in.reset();
    end_ = info;
    ready_ = false;
    ++attempt_;
    retry_timer_->stop();
    stable_timer_->stop();
    heartbeat_timer_->stop();
    const std::string why = closing_ ? "the client has been closed"
                                     : "the connection has ended for good, " + told(info);
    traffic_.close(why);
    traffic_.set_state(ClientState::disconnected);
    forget_waiting([](const Waiting&) { return true; });
    answers_.forget();
    complete_all(std::make_exception_ptr(jsonrpc::ClosedError(why)));
    tell(configuration_.ws.on_disconnect, info);
    for (const auto& closer : std::exchange(closers_, {})) {
        closer->set_value(info);
    }
}

void RpcClient::take_apart() noexcept {
    if (dead_) {
        return;
    }
    guarded([this] {
        drop_connection();
        const std::string why = "the client has been closed";
        traffic_.close(why);
        closing_ = true;
        if (!end_) {
            finish({kWithoutClose, why, false, true, {}});
        }
    });
    dead_ = true;
    connection_.reset();
    retry_timer_.reset();
    stable_timer_.reset();
    heartbeat_timer_.reset();
    resolver_.reset();
    pending_.clear();
    callbacks_.run([this](const std::exception_ptr& error) { threw(error); }, true);
}

}  // namespace websocket::client
