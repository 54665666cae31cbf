// SPDX-License-Identifier: Apache-2.0
// Part of websocket_tcp.cpp: targets whose client has gone.
#pragma once

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

#include <websocket/plugin.hpp>

#include "tcp_bridge.hpp"

namespace tcp {

/// Writes what a client has left behind, shuts that side down, and discards what the target says until it
/// ends as well: closing earlier, when it says something, would be a reset, which destroys what the target has
/// not taken yet, in the queues here and in the kernel's.
/// [any thread]
class Lingering {
public:
    static constexpr std::chrono::seconds kToTake{30};   ///< what is left, for one target
    static constexpr std::chrono::seconds kToEnd{2};     ///< after that, at least
    static constexpr std::size_t kMax = 4096;            ///< targets at once; others are closed
    static constexpr std::chrono::seconds kLastCall{1};  ///< for all, when the process ends

    explicit Lingering(const websocket::Server& server) noexcept : server_(server) {}
    ~Lingering() { finish(); }
    Lingering(const Lingering&) = delete;
    Lingering& operator=(const Lingering&) = delete;

    void take(Remains remains) {
        if (!remains.socket.valid()) return;
        One one{std::move(remains.socket), std::move(remains.unwritten), remains.ended,
                Clock::now() + kToTake, server_.hold_drain()};
        if (advance(one)) return;
        const std::lock_guard lock(mutex_);
        if (all_.size() >= kMax) return;
        const std::uint64_t id = next_++;
        const auto at = all_.emplace(id, std::move(one)).first;
        try {
            at->second.watch =
                server_.watch(at->second.socket.get(), wanted(at->second),
                              [this, id](std::uint32_t /*events*/) { on_ready(id); });
            at->second.timer = server_.every(kToEnd, [this, id] { look(id); });
        } catch (...) {
            all_.erase(at);
            throw;
        }
        // Without a watch the server is ending: finish() sees to it.
    }

private:
    using Clock = std::chrono::steady_clock;

    struct One {
        Socket socket;
        ByteQueue unwritten;
        bool ended;  // the target has said all
        Clock::time_point until;
        websocket::DrainHold hold;
        bool taken = false;  // all, when it was looked at last
        websocket::Watch watch = {};
        websocket::Timer timer = {};
    };

    static std::uint32_t wanted(const One& one) noexcept {
        return (one.ended ? 0U : WS_READABLE) | (one.unwritten.empty() ? 0U : WS_WRITABLE);
    }
    void look(std::uint64_t id) {
        const std::lock_guard lock(mutex_);
        const auto found = all_.find(id);
        if (found == all_.end()) return;
        One& one = found->second;
        if (one.taken || Clock::now() >= one.until) {
            all_.erase(found);
        } else {
            one.taken = has_taken_all(one);
        }
    }
    void on_ready(std::uint64_t id) {
        const std::lock_guard lock(mutex_);
        const auto found = all_.find(id);
        if (found == all_.end()) return;
        One& one = found->second;
        if (advance(one)) {
            all_.erase(found);
        } else {
            one.watch.change(wanted(one));
        }
    }

    static bool would_block() noexcept { return errno == EAGAIN || errno == EWOULDBLOCK; }

    /// The target's system has acknowledged it, or, with a unix socket, the target has read it.
    [[nodiscard]] static bool has_taken_all(const One& one) noexcept {
        int unacknowledged = 0;
        return one.unwritten.empty() &&
               (::ioctl(one.socket.get(), SIOCOUTQ, &unacknowledged) != 0 || unacknowledged == 0);
    }
    /// Does what can be done now. True when that was all: the socket may be closed.
    [[nodiscard]] static bool advance(One& one) noexcept {
        return !write(one) || (read(one) && one.unwritten.empty());
    }
    /// False when the target takes no more.
    [[nodiscard]] static bool write(One& one) noexcept {
        while (!one.unwritten.empty()) {
            const std::string_view front = one.unwritten.front();
            const ssize_t n =
                ::send(one.socket.get(), front.data(), front.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return would_block();
            one.unwritten.consume(static_cast<std::size_t>(n));
        }
        static_cast<void>(::shutdown(one.socket.get(), SHUT_WR));
        return true;
    }
    /// True when the target has said all. Reads a bounded number of times: more is reported again.
    [[nodiscard]] static bool read(One& one) noexcept {
        std::array<char, 16384> discarded;  // not initialized
        for (int turn = 0; turn < 4 && !one.ended; ++turn) {
            const ssize_t n =
                ::recv(one.socket.get(), discarded.data(), discarded.size(), MSG_DONTWAIT);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && would_block()) return false;
            one.ended = n <= 0;
        }
        return one.ended;
    }

    /// The process ends, and no watch runs any more: what targets take within a moment they get.
    void finish() noexcept {
        constexpr int kGlance = 10;  // milliseconds: nothing tells when a target has taken all
        const std::lock_guard lock(mutex_);
        const auto end = Clock::now() + kLastCall;
        for (;;) {
            for (auto at = all_.begin(); at != all_.end();) {
                const bool over = advance(at->second) || has_taken_all(at->second);
                at = over ? all_.erase(at) : std::next(at);
            }
            if (all_.empty() || Clock::now() >= end) return;
            ::poll(nullptr, 0, kGlance);
        }
    }

    const websocket::Server& server_;
    std::mutex mutex_;  // guards the rest; held for some system calls that do not wait
    std::map<std::uint64_t, One> all_;
    std::uint64_t next_ = 0;
};

}  // namespace tcp
