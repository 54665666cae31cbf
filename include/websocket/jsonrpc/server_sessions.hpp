// SPDX-License-Identifier: Apache-2.0
// The sessions of the server: how they begin, move and end. Part of websocket/jsonrpc.hpp.
#pragma once

#include "server.hpp"

namespace websocket::jsonrpc {

namespace detail {

/// 130 random bits in base 32.
[[nodiscard]] inline std::string new_session_id() {
    constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuv";
    std::string id(26, '\0');
    if (::getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) {
        throw std::runtime_error("no random numbers");
    }
    for (char& c : id) c = kDigits[c & 31];
    return id;
}

/// Of the exception that is being handled: its type, where that is known, and its words.
[[nodiscard]] inline std::string current_exception_text() {
    const std::type_info* type = abi::__cxa_current_exception_type();
    std::string text = "unknown exception";
    if (type != nullptr) {
        int status = 0;
        const std::unique_ptr<char, void (*)(void*)> name(
            abi::__cxa_demangle(type->name(), nullptr, nullptr, &status), std::free);
        text = status == 0 ? name.get() : type->name();
    }
    try {
        throw;
    } catch (const std::exception& error) {
        text += std::string(":") + error.what();
    } catch (...) {
    }
    return text;
}

}  // namespace detail

inline Server::State Server::begin(const std::string& id, const std::string& user) {
    const auto session =
        std::make_shared<detail::SessionState>(static_cast<detail::SessionHost&>(*this), id, user);
    do {
        const std::lock_guard lock(mutex_);
        if (table_.size() < settings.max_sessions) {
            if (!table_.emplace(id, session).second) return nullptr;
            gauge_.add(1);
            return session;
        }
    } while (end_longest_waiting(nullptr));
    return nullptr;
}

// Who opens one session after the other and leaves them must not keep others out, nor make them forget.
inline bool Server::end_longest_waiting(const detail::SessionState* but) {
    for (;;) {
        State longest;
        {
            const std::lock_guard lock(mutex_);
            auto first = waiting_.begin();
            if (first != waiting_.end() && first->second.get() == but) ++first;
            if (first == waiting_.end()) return false;
            longest = first->second;
            longest->place = 0;
            waiting_.erase(first);
        }
        if (longest->connection()) continue;  // it has just come back
        end_session(longest, End::lost, "others need its place");
        return true;
    }
}

inline bool Server::make_room(std::size_t bytes, const detail::SessionState& asking) {
    if (bytes > settings.sessions_size) return false;
    while (attribute_bytes > settings.sessions_size - bytes) {
        if (!end_longest_waiting(&asking)) return false;
    }
    return true;
}

inline void Server::note_waiting(const State& session) {
    const std::lock_guard lock(mutex_);
    const auto found = table_.find(session->id());
    if (found == table_.end() || found->second != session || session->place != 0) return;
    waiting_.emplace(++last_place_, session);
    session->place = last_place_;
}

/// Under the lock.
inline void Server::forget_waiting(detail::SessionState& session) noexcept {
    waiting_.erase(std::exchange(session.place, 0));
}

inline Server::State Server::open(Connection connection, Peer& peer) {
    const State session = begin(detail::new_session_id(), peer.user);
    if (!session) return nullptr;
    bind(connection, peer, session);
    if (on_connected_) {
        run_in(session, [this, session] { on_connected_(Session(session)); });
    }
    return session;
}

inline bool Server::bind(Connection connection, Peer& peer, const State& session) {
    bool was_copy = false;
    if (!session->bind(peer.answers, was_copy)) return false;
    {
        const std::lock_guard lock(mutex_);
        forget_waiting(*session);
    }
    const State before = std::exchange(peer.session, session);
    if (before && before != session) lose(connection, before, "its connection has another session");
    if (was_copy) siblings_.drop(session->id());
    if (const std::int64_t interval = session->ping_interval; settings.watchdog && interval > 0) {
        watch(connection, peer, interval);
    } else if (peer.ping_interval > 0) {
        session->ping_interval = peer.ping_interval;  // it has begun to ping before
    }
    session->go_on(workers_);
    return true;
}

inline void Server::closed(Connection connection, const Close& close, Peer& peer) {
    peer.answers->close();
    const State session = std::exchange(peer.session, nullptr);
    if (!session || session->gone()) return;
    const std::string why = !close.reason.empty() ? std::string(close.reason)
                                                  : "close code " + std::to_string(close.code);
    const std::optional<Connection> last = session->connection();
    if (!close.clean && on_transport_error_ && last && *last == connection) {
        run_in(session, [this, session, why] { on_transport_error_(Session(session), why); });
    }
    lose(connection, session, why);
}

inline void Server::lose(Connection connection, const State& session, const std::string& why) {
    const bool waits = session->unbind(connection, [this, weak = std::weak_ptr(session), why] {
        if (const State lost = weak.lock()) end_session(lost, End::lost, why);
    });
    if (!waits) return;
    note_waiting(session);
    session->go_on(workers_);
    if (draining_) hand_over(session);
}

template <class Then>
void Server::seek(const std::string& id, Connection connection, Peer& peer, Then then) {
    if (const State here = lookup(id)) {
        then(here->user() == peer.user ? here : nullptr);
        return;
    }
    constexpr std::size_t kLongestId = 64;  // more is not asked for in all processes
    if (id.size() > kLongestId || !siblings_.any()) {
        then(nullptr);
        return;
    }
    peer.asking = true;
    pace(connection, peer);
    siblings_.ask(id, peer.user, [this, id, connection, &peer, then](const auto& packed) {
        State session = packed ? adopt(id, *packed) : lookup(id);
        connection.post([connection, &peer, then, session = std::move(session)]() mutable {
            peer.asking = false;
            then(session && session->user() == peer.user ? session : nullptr);
            pace(connection, peer);
        });
    });
}

/// A session from another process, which waits here for its client. Null when it cannot.
inline Server::State Server::adopt(const std::string& id, const Value& packed) {
    if (const State here = lookup(id)) return here;  // it has come twice
    const Value* user = packed.find("user");
    if (user == nullptr || !user->is_text()) return nullptr;
    State session = begin(id, user->text());
    if (session && !session->unpack(packed)) {
        end_session(session, End::moved, "");
        return nullptr;
    }
    if (session) {
        session->await_client([this, weak = std::weak_ptr(session)] {
            if (const State lost = weak.lock()) end_session(lost, End::lost, "");
        });
        note_waiting(session);
    }
    return session;
}

inline void Server::give(const std::string& id, const std::string& user, const std::string& asker) {
    const State session = lookup(id);
    if (!session || session->user() != user) return;
    session->give_up_requests("the client is in another process");
    session->release();
    // Behind what it is doing: what that changes goes along.
    run_in(session, [this, session, asker, heard = std::chrono::steady_clock::now()] {
        if (std::chrono::steady_clock::now() - heard > siblings_.patience()) return;
        Value packed = session->pack();
        DrainHold hold = host().hold_drain();
        if (!end_session(session, End::moved, "")) return;
        siblings_.give(session->id(), asker, std::move(packed), std::move(hold));
    });
}

/// For whom there is no other process yet, the session stays here as a copy, and this process as long as that waits.
inline void Server::hand_over(const State& session) {
    session->give_up_requests("the client goes to another process");
    const auto hold = std::make_shared<DrainHold>(host().hold_drain());
    run_in(session, [this, session, hold] {
        if (session->connection()) return;
        const Value packed = session->pack();
        State copy = session;
        if (!session->is_copy()) {
            if (!end_session(session, End::moved, "")) return;
            copy = adopt(session->id(), packed);
        }
        if (copy && siblings_.any()) copy->hold(std::move(*hold));
        siblings_.keep(session->id(), packed);
    });
}

inline void Server::drain() {
    draining_ = true;
    for (const State& session : snapshot()) {
        if (!session->connection()) hand_over(session);
    }
}

inline bool Server::end_session(const State& session, End why, std::string_view reason) {
    const bool copy = session->is_copy();
    if (!session->finish("the session is over")) return false;
    {
        const std::lock_guard lock(mutex_);
        forget_waiting(*session);
        table_.erase(session->id());
    }
    gauge_.add(-1);
    session->go_on(workers_);
    if (!copy && on_closed_) {
        run_in(session, [this, session, why, text = std::string(reason)] {
            on_closed_(Session(session), why, text);
        });
    }
    return true;
}

inline void Server::stop() {
    for (const State& session : snapshot()) session->give_up_requests("the process ends");
    workers_.stop();
    for (const State& session : snapshot()) end_session(session, End::stopped, "");
}

inline void Server::run_in(const State& session, std::function<void()> task) {
    session->add(workers_, [this, session, call = std::move(task)] {
        try {
            call();
        } catch (...) {
            try {
                trouble(session, "an event");
            } catch (...) {
                host().error("exception in an event, and no memory to describe it");
            }
        }
    });
}

inline void Server::tell_reconnected(const State& session) {
    if (on_reconnected_) {
        run_in(session, [this, session] { on_reconnected_(Session(session)); });
    }
}

inline std::string Server::trouble(const State& session, const std::string& where) const {
    const std::string what = detail::current_exception_text();
    try {
        if (on_exception_) {
            on_exception_(Session(session), what);
            return what;
        }
    } catch (...) {
        log(WS_LOG_ERROR, "exception in on_exception: " + detail::current_exception_text());
    }
    if (const auto end = exceptions_.pass()) {
        log(WS_LOG_ERROR, "exception in " + where + ": " + what + *end);
    }
    return what;
}

}  // namespace websocket::jsonrpc
