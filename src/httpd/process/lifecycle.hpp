// SPDX-License-Identifier: Apache-2.0
// How a child leaves: at once, or after it has closed its connections one after the other.
#pragma once

#include <httpd.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>

#include "httpd/process/scoreboard.hpp"
#include "plugin/common/endpoint.hpp"

namespace websocket::httpd {

/// One in a process, indefinitely.
class Lifecycle {
public:
    using Clock = std::chrono::steady_clock;

    /// In child_init, with a host that is never destroyed. `on_drain` is called with the end of the
    /// drain when one begins, on any thread but not in a signal handler; it does not block or throw.
    /// `guests_gone` tells in a drain whether threads of this module that serve as httpd's workers do are through.
    Lifecycle(server_rec* server, plugin::Host& host, std::chrono::milliseconds drain_timeout,
              std::function<void(Clock::time_point)> on_drain, std::function<bool()> guests_gone);

    /// The child is told to go, with `graceful` as the MPM means it. Does not block. May run in a
    /// signal handler. [child_stopping]
    void told_to_go(bool graceful) noexcept;

    /// Returns when all connections are closed, and all sessions gone unless a plugin does not return
    /// from a callback; at the latest kLatest after the end of the drain, or of the last guest. May run in a
    /// signal handler. [cleanup of pchild]
    void leave() noexcept;
    static constexpr std::chrono::milliseconds kLatest{2000};

    /// When threads that still carry bytes of a connection must be made to end; nothing as long as
    /// the process stays. They may be blocked, and so is whoever waits for them. [watcher]
    [[nodiscard]] std::optional<Clock::time_point> handlers_end(Clock::time_point now) noexcept;

    /// This process has been forked from the one of child_init. [httpd worker]
    void moved() noexcept;

private:
    void begin_drain() noexcept;
    void announce(std::chrono::milliseconds time) noexcept;
    [[nodiscard]] std::chrono::milliseconds drain_time(bool restart) const noexcept;
    [[nodiscard]] static protocol::CloseCode close_code() noexcept;
    static void on_stop_signal() noexcept;

    [[nodiscard]] bool has_to_hurry() noexcept;
    void wait_for_guests() noexcept;
    void wait_for_drain() noexcept;
    void wait_for_sessions(Clock::time_point limit) noexcept;
    [[nodiscard]] bool is_held() const noexcept;
    void make_room() noexcept;
    [[nodiscard]] bool slot_is_needed_lastingly() noexcept;
    void report() const noexcept;
    /// Waits for `done`, at most until `limit`; true when it is.
    template <class Done>
    bool wait(Clock::time_point limit, Done done) noexcept;

    server_rec* server_;
    plugin::Host& host_;
    const std::chrono::milliseconds drain_timeout_;
    const std::function<void(Clock::time_point)> on_drain_;
    const std::function<bool()> guests_gone_;
    const Scoreboard scoreboard_;
    std::atomic<pid_t> parent_;
    const bool prefork_;
    const bool single_process_;  ///< httpd -X

    std::atomic<bool> draining_{false};
    std::atomic<bool> stopped_{false};  ///< something harder has come
    // Written when the drain begins, before other threads look at them.
    bool told_by_parent_ = false;
    Clock::time_point begun_;
    Clock::time_point deadline_;
    std::uint32_t connections_ = 0;  ///< then
    std::uint32_t taken_before_ = 0;
    bool announced_ = false;
    // the main thread's own
    bool made_room_ = false;
    std::optional<Clock::time_point> needed_since_;
    // the watcher's own: when it has seen that the process is to end, and to end at once
    std::optional<Clock::time_point> end_seen_;
    std::optional<Clock::time_point> stop_seen_;
};

}  // namespace websocket::httpd
