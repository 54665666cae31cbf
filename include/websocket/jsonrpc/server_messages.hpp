// SPDX-License-Identifier: Apache-2.0
// What the server does with messages, on the connection's thread. Part of websocket/jsonrpc.hpp.
#pragma once

#include "server.hpp"

namespace websocket::jsonrpc {

namespace detail {

[[nodiscard]] inline Error invalid_request(const std::string& why) {
    return {kInvalidRequest, "Invalid Request", Value(why)};
}

}  // namespace detail

inline void Server::take(Connection connection, const Message& message, Peer& peer) {
    if (!message.is_text()) {
        connection.close(CloseCode::unsupported_data, "Binary messages not supported");
        return;
    }
    Value root;
    try {
        root = reader_.read(message.text());
    } catch (const ReadError& wrong) {
        reject({}, Error(kParseError, "Parse error", Value(wrong.what())), peer, {});
        return;
    }
    if (!root.is_array() || kurento()) {
        receive(connection, classify(std::move(root), settings.dialect), peer, {});
        return;
    }
    Value::Array& members = root.items();
    if (members.empty()) {
        reject({}, detail::invalid_request("the batch is empty"), peer, {});
        return;
    }
    if (members.size() > settings.batch) {
        reject({},
               detail::invalid_request("the batch has " + std::to_string(members.size()) +
                                       " members; allowed are " + std::to_string(settings.batch)),
               peer, {});
        return;
    }
    const auto batch = std::make_shared<detail::BatchAnswers>(peer.answers);
    batch->expect();  // until all have been handed out
    for (Value& member : members) {
        receive(connection, classify(std::move(member), settings.dialect), peer, batch);
    }
    batch->add({});
}

inline void Server::receive(Connection connection, Incoming incoming, Peer& peer,
                            const Batch& batch) {
    if (auto* invalid = std::get_if<Invalid>(&incoming)) {
        reject(invalid->id, detail::invalid_request(invalid->why), peer, batch);
        return;
    }
    if (auto* answer = std::get_if<Reply>(&incoming)) {
        take_answer(std::move(*answer), peer);
        return;
    }
    Call& call = std::get<Call>(incoming);
    requests_.add();
    if (is_special(call.method)) {
        special(connection, call, peer, batch);
    } else if (call.session_id.empty()) {
        dispatch(connection, std::move(call), peer, peer.session, batch);
    } else {
        dispatch_by_id(connection, std::move(call), peer);
    }
}

inline void Server::take_answer(Reply answer, const Peer& peer) const {
    if (!peer.session) return;
    if (kurento()) {
        detail::take_session_id(answer.result);
        const bool lone = answer.result.is_object() && answer.result.members().size() == 1;
        if (const Value* value = lone ? answer.result.find("value") : nullptr) {
            answer.result = Value(*value);
        }
    }
    if (!peer.session->answer(std::move(answer))) {
        log(WS_LOG_DEBUG, "a response that nobody waits for");
    }
}

/// Kurento: the session that the request names, wherever its connection is, or a new one.
inline void Server::dispatch_by_id(Connection connection, Call call, Peer& peer) {
    if (peer.session && peer.session->id() == call.session_id) {
        dispatch(connection, std::move(call), peer, peer.session, {});
        return;
    }
    const State here = lookup(call.session_id);
    if (here && !here->is_copy() && here->user() == peer.user) {
        dispatch(connection, std::move(call), peer, here, {});
        return;
    }
    const std::string id = call.session_id;
    seek(id, connection, peer, [this, connection, &peer, call](const State& found) {
        const bool back = found && bind(connection, peer, found);
        if (back) tell_reconnected(found);
        dispatch(connection, call, peer, back ? found : open(connection, peer), {});
    });
}

inline void Server::special(Connection connection, const Call& call, Peer& peer,
                            const Batch& batch) {
    if (call.method == "ping") {
        ping(connection, call, peer, batch);
    } else if (batch) {
        refuse(call, detail::invalid_request(call.method + " cannot be in a batch"), peer, batch);
    } else if (call.method == "closeSession") {
        reply(call, Texts::plain(call.id.value_or(Value()), Value("bye")), peer, {});
        if (peer.session && !peer.session->gone()) {
            end_session(peer.session, End::by_client, "Client sent close message");
            connection.close();
        }
    } else if (call.method == "poll") {
        if (call.params.is_array()) {
            for (const Value& one : call.params.items()) {
                Incoming incoming = classify(one, settings.dialect);
                if (auto* answer = std::get_if<Reply>(&incoming)) {
                    take_answer(std::move(*answer), peer);
                }
            }
        }
        reply(call, Texts::plain(call.id.value_or(Value()), Value::array()), peer, {});
    } else {
        connect(connection, call, peer);
    }
}

inline void Server::ping(Connection connection, const Call& call, Peer& peer, const Batch& batch) {
    constexpr std::int64_t kMost = 86400000;
    constexpr std::int64_t kUsual = 20000;
    std::int64_t interval = 0;  // not given
    if (const Value* given = call.params.find("interval")) {
        interval = given->integer<std::int64_t>().value_or(0);
        const bool good = interval >= 1 && interval <= kMost;
        if (!good && !kurento()) {
            refuse(call,
                   InvalidParams("parameter \"interval\": it has to be 1 to 86400000 milliseconds"),
                   peer, batch);
            return;
        }
        if (!good) interval = 0;
    }
    if (settings.watchdog) {
        // Only the first one counts.
        std::int64_t each = peer.session ? peer.session->ping_interval.load() : 0;
        if (each == 0) each = peer.ping_interval;
        if (each == 0) each = interval > 0 ? interval : kUsual;
        if (peer.session) peer.session->ping_interval = each;
        watch(connection, peer, each);
    }
    Value pong = Value::object({{"value", "pong"}});
    if (!call.session_id.empty()) pong.set("sessionId", call.session_id);
    reply(call, Texts::plain(call.id.value_or(Value()), pong), peer, batch);
}

inline void Server::watch(Connection connection, Peer& peer, std::int64_t interval) {
    peer.ping_interval = interval;
    peer.watchdog = connection.after(std::chrono::milliseconds(3 * interval), [connection] {
        connection.close(CloseCode::normal, "Close for not receive ping from client");
    });
}

inline void Server::connect(Connection connection, const Call& call, Peer& peer) {
    std::string wanted = call.session_id;
    if (!kurento()) {
        const Value* given = call.params.find("sessionId");
        if (given != nullptr && given->is_text()) wanted = given->text();
        if (wanted.empty() && (given != nullptr || call.method == "reconnect")) {
            refuse(call, InvalidParams("parameter \"sessionId\": it has to be the id of a session"),
                   peer, {});
            return;
        }
    }
    const auto welcome = [call, &peer](const State& session, const char* word) {
        const Value result = Value::object({{"value", word}, {"sessionId", session->id()}});
        reply(call, Texts::plain(call.id.value_or(Value()), result), peer, {});
        session->is_new = false;
    };
    if (wanted.empty()) {
        const State known = peer.session && !peer.session->gone() ? peer.session : nullptr;
        const State session = known ? known : open(connection, peer);
        if (session) {
            welcome(session, "OK");
        } else {
            refuse(call, Error(kTooManySessions, "Too many sessions"), peer, {});
        }
        return;
    }
    seek(wanted, connection, peer, [this, connection, call, welcome, &peer](const State& found) {
        if (!found || !bind(connection, peer, found)) {
            refuse(call, Error(kUnknownSession, "reconnection error"), peer, {});
            return;
        }
        welcome(found, "reconnection successful");
        tell_reconnected(found);
    });
}

inline void Server::dispatch(Connection connection, Call call, Peer& peer, const State& given,
                             const Batch& batch) {
    const State session = given && !given->gone() ? given : open(connection, peer);
    if (!session) {
        refuse(call, Error(kTooManySessions, "Too many sessions"), peer, batch);
        return;
    }
    const auto found = methods_.find(call.method);
    if (found == methods_.end() && !others_) {
        refuse(call,
               Error(kMethodNotFound, "Method not found",
                     Value("there is no method \"" + std::string(detail::excerpt(call.method)) +
                           "\"")),
               peer, batch);
        return;
    }
    const std::size_t weight = call.params.footprint();
    if (!session->begin_request(weight)) {
        refuse(call,
               Error(kTooManyRequests, "Too many requests",
                     Value(std::to_string(settings.in_flight) + " of this session, or " +
                           std::to_string(settings.in_flight_size) +
                           " bytes of their params, are waiting for their answers")),
               peer, batch);
        return;
    }
    const bool lone = kurento() && !call.session_id.empty() && call.params.is_object() &&
                      call.params.members().size() == 1;
    if (const Value* value = lone ? call.params.find("value") : nullptr) {
        call.params = Value(*value);  // Kurento's clients wrap what is no object
    }
    if (batch && call.id) batch->expect();
    const auto state = std::make_shared<detail::TransactionState>(session, peer.answers,
                                                                  std::move(call), weight, batch);
    const detail::Method* method = found != methods_.end() ? &found->second : nullptr;
    session->add(workers_, [this, state, method] {
        try {
            handle(state, method);
        } catch (...) {  // no memory for an answer
            state->connection.close(CloseCode::internal_error, "plugin failed");
        }
    });
}

inline void Server::handle(const std::shared_ptr<detail::TransactionState>& state,
                           const detail::Method* method) const {
    const auto fail = [this, &state](const std::string& text) {
        if (state->answer(text) && state->call.id) errors_.add();
    };
    try {
        const Transaction transaction(state);
        if (method != nullptr) {
            (*method)(transaction);
        } else {
            others_(transaction);
        }
        if (!state->async && !state->answered()) state->answer(texts.automatic(state->id()));
    } catch (const InvalidParams& wrong) {
        fail(Texts::failure(state->id(), wrong));
    } catch (const Mismatch& wrong) {
        fail(Texts::failure(state->id(), InvalidParams(wrong.what())));
    } catch (const Error& error) {
        fail(texts.thrown(state->id(), error));
    } catch (...) {
        const std::string what = trouble(state->session, "method \"" + state->call.method + "\"");
        fail(Texts::failure(state->id(),
                            kurento() ? Error(-1, what) : Error(kInternalError, "Internal error")));
    }
    state->session->is_new = false;
}

/// For what is no request.
inline void Server::reject(const Value& id, const Error& error, const Peer& peer,
                           const Batch& batch) const {
    errors_.add();
    if (kurento()) {
        if (const auto end = unanswered_.pass()) {
            log(WS_LOG_INFO, std::string("not answered: ") + error.what() + ": " +
                                 (error.data.is_text() ? error.data.text() : "") + *end);
        }
        return;
    }
    send(Texts::failure(id, error), peer, batch);
}

inline void Server::refuse(const Call& call, const Error& error, const Peer& peer,
                           const Batch& batch) const {
    errors_.add();
    if (call.id) send(Texts::failure(*call.id, error), peer, batch);
}

inline void Server::reply(const Call& call, const std::string& text, const Peer& peer,
                          const Batch& batch) {
    if (call.id) send(text, peer, batch);
}

inline void Server::send(const std::string& text, const Peer& peer, const Batch& batch) {
    if (batch) {
        batch->expect();
        batch->add(text);
    } else {
        peer.answers->send(text);
    }
}

}  // namespace websocket::jsonrpc
