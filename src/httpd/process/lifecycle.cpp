// SPDX-License-Identifier: Apache-2.0
#include "httpd/process/lifecycle.hpp"

#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <mpm_common.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "httpd/module.hpp"
#include "httpd/process/mpm.hpp"
#include "httpd/process/prefork_stop.hpp"
#include "httpd/process/stop_signals.hpp"
#include "httpd/takeover/stop_watch.hpp"

#if !AP_MODULE_MAGIC_AT_LEAST(20120211, 110)
#error "httpd 2.4.49 or newer is needed: before, children were not told that they have to go"
#endif

namespace websocket::httpd {

using protocol::CloseCode;
using std::chrono::milliseconds;

namespace {

Lifecycle* process_lifecycle = nullptr;  // signal handlers have no other place for it

constexpr milliseconds kPollInterval{50};

/// How long a child that must go waits for plugins to return from their callbacks.
constexpr milliseconds kPatience = Lifecycle::kLatest - engine::Loop::kStopTimeout;

/// What is left of a drain when httpd needs the child's slot.
constexpr milliseconds kHurry{1000};
/// How long httpd must have needed it. Siblings that have no connections leave at once, but not at
/// the same moment, and httpd looks for what it lacks once a second.
constexpr milliseconds kNeedLasts{2000};
/// Restarts after which a child that still drains has to go, so that there are never more than this
/// many generations of children.
constexpr int kMaxRestarts = 8;

/// Before GracefulShutdownTimeout ends and httpd kills.
constexpr milliseconds kBeforeKill{1000};

long in_ms(std::chrono::steady_clock::duration time) noexcept {
    return static_cast<long>(std::chrono::duration_cast<milliseconds>(time).count());
}

}  // namespace

Lifecycle::Lifecycle(server_rec* server, plugin::Host& host, milliseconds drain_timeout,
                     std::function<void(Clock::time_point)> on_drain,
                     std::function<bool()> guests_gone)
    : server_(server), host_(host), drain_timeout_(drain_timeout), on_drain_(std::move(on_drain)),
      guests_gone_(std::move(guests_gone)), parent_(::getppid()), prefork_(is_prefork()),
      single_process_(ap_exists_config_define("DEBUG") != 0 ||
                      ap_exists_config_define("ONE_PROCESS") != 0) {
    process_lifecycle = this;
    if (prefork_ && !single_process_) {
        watch_for_graceful_signal();
        let_main_thread_finish(on_stop_signal, scoreboard_);
    }
}

// prefork calls every end ungraceful. The hard ones come as a signal, and its handler calls this, unless it has let the
// main thread finish first.
void Lifecycle::told_to_go(bool graceful) noexcept {
    const bool hard = in_stop_signal_handler() || stopped_.load();
    const bool drains = prefork_ ? !single_process_ && !hard : graceful;
    if (!drains) {
        on_stop_signal();
        return;
    }
    if (!draining_.exchange(true)) {
        begin_drain();
    }
    // Also when it drains already: prefork has just begun to ignore the signals.
    watch_for_stop(on_stop_signal, prefork_);
}

void Lifecycle::on_stop_signal() noexcept {
    process_lifecycle->stopped_.store(true);
    process_lifecycle->host_.engine.begin_stop();
}

void Lifecycle::begin_drain() noexcept {
    const milliseconds time = drain_time(scoreboard_.restarts() != 0);
    // Otherwise it is a thread of this child that has counted to MaxConnectionsPerChild.
    told_by_parent_ = ::gettid() == ::getpid();
    begun_ = Clock::now();
    deadline_ = begun_ + time;
    connections_ = host_.engine.connections();
    taken_before_ = host_.engine.taken();
    host_.engine.begin_drain({deadline_, close_code});
    on_drain_(deadline_);
    if (connections_ != 0) {
        announce(time);
    }
}

void Lifecycle::announce(milliseconds time) noexcept {
    announced_ = true;
    scoreboard_.show_as_leaving();
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, server_,
                 "WS0211: this child ends: closing %u connections with %u within %ld ms",
                 host_.engine.connections(), static_cast<unsigned>(close_code()), in_ms(time));
}

/// Without a restart it may be a graceful stop, at whose end httpd kills.
milliseconds Lifecycle::drain_time(bool restart) const noexcept {
    if (restart || ap_graceful_shutdown_timeout <= 0) {
        return drain_timeout_;
    }
    const milliseconds kill = std::chrono::seconds{ap_graceful_shutdown_timeout};
    return std::min(drain_timeout_, kill - std::min(kBeforeKill, kill / 2));
}

/// The parent tells children to go on a restart, which it counts first; when it has too many, and
/// then others stay; and on a stop. [loop]
CloseCode Lifecycle::close_code() noexcept {
    const Lifecycle& self = *process_lifecycle;
    if (self.scoreboard_.restarts() != 0) {
        return CloseCode::service_restart;
    }
    const bool stop = self.prefork_
                          ? graceful_signal_came()
                          : self.told_by_parent_ && !self.scoreboard_.has_serving_sibling();
    return stop ? CloseCode::going_away : CloseCode::service_restart;
}

template <class Done>
bool Lifecycle::wait(Clock::time_point limit, Done done) noexcept {
    while (!done()) {
        const Clock::time_point now = Clock::now();
        if (now >= limit) {
            return false;
        }
        const auto left = std::chrono::ceil<milliseconds>(limit - now);
        ::poll(nullptr, 0, static_cast<int>(std::min(left, kPollInterval).count()));
    }
    return true;
}

void Lifecycle::leave() noexcept {
    if (draining_.load()) {
        scoreboard_.show_threads_as_ended();
        wait_for_guests();
        if (!announced_ && host_.engine.connections() != 0) {
            // Their handshakes were answered after the drain had begun.
            announce(std::max(milliseconds{0},
                              std::chrono::floor<milliseconds>(deadline_ - Clock::now())));
        }
        wait_for_drain();
    }
    host_.engine.begin_stop();
    const Clock::time_point limit = Clock::now() + kLatest;
    wait(limit, [this] { return host_.engine.stopped(); });
    wait_for_sessions(std::min(limit, Clock::now() + kPatience));
    // Those that came while it drained may be gone before anything was announced.
    if (announced_ || (draining_.load() && host_.engine.taken() != taken_before_)) {
        report();
    }
}

/// Of plugins that still handle messages or the end of a client, and of whatever else they have.
void Lifecycle::wait_for_sessions(Clock::time_point limit) noexcept {
    const bool in_time = draining_.load() && !stopped_.load();
    wait(in_time ? std::max(limit, deadline_) : limit, [this, limit] {
        return host_.sessions.load() == 0 || (stopped_.load() && Clock::now() >= limit);
    });
}

// Loops close what is left within kStopTimeout. Until then a client may read its Close.
std::optional<Lifecycle::Clock::time_point>
Lifecycle::handlers_end(Clock::time_point now) noexcept {
    const auto since = [now](std::optional<Clock::time_point>& seen) {
        return seen ? *seen : seen.emplace(now);
    };
    std::optional<Clock::time_point> end;
    if (host_.engine.stopping() || (prefork_ && stop_signal_waits())) {
        end = since(stop_seen_);
    }
    if (const auto deadline = host_.engine.drain_deadline()) {
        end = end ? std::min(*end, *deadline) : *deadline;
    } else if (prefork_ && has_to_end()) {
        // Its only thread would begin the drain, but is blocked.
        const Clock::time_point expected = since(end_seen_) + drain_timeout_;
        end = end ? std::min(*end, expected) : expected;
    }
    return end ? std::optional(*end + engine::Loop::kStopTimeout) : end;
}

void Lifecycle::moved() noexcept { parent_.store(::getppid()); }

/// A stop has come, perhaps with a signal that was too early, or there is nobody to come back to.
bool Lifecycle::has_to_hurry() noexcept {
    if (::getppid() != parent_.load()) {
        on_stop_signal();
    }
    return stopped_.load();
}

// As long as it takes, as httpd has waited for its workers. The engine drains meanwhile.
void Lifecycle::wait_for_guests() noexcept {
    wait(Clock::time_point::max(), [this] { return has_to_hurry() || guests_gone_(); });
}

void Lifecycle::wait_for_drain() noexcept {
    // At the deadline the loops stop by themselves.
    const Clock::time_point limit = deadline_ + engine::Loop::kStopTimeout;
    wait(limit, [this] {
        make_room();
        return has_to_hurry() || host_.engine.stopped() ||
               (host_.engine.connections() == 0 && !is_held());
    });
}

/// By what plugins have for clients that other processes serve. Where none does, nobody comes for it.
bool Lifecycle::is_held() const noexcept {
    return host_.drain_holds.load() != 0 && close_code() != CloseCode::going_away;
}

void Lifecycle::make_room() noexcept {
    const bool stop = close_code() == CloseCode::going_away;
    if (stop || made_room_ || Clock::now() + kHurry >= deadline_) {
        return;
    }
    const bool too_old = scoreboard_.restarts() >= kMaxRestarts;
    if (!too_old && !slot_is_needed_lastingly()) {
        return;
    }
    made_room_ = true;
    deadline_ = Clock::now() + kHurry;
    host_.engine.begin_drain({deadline_, close_code});
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server_,
                 "WS0213: closing %u connections early, within %ld ms: %s",
                 host_.engine.connections(), in_ms(kHurry),
                 too_old ? "httpd is restarted faster than WebSocketDrainTimeout"
                         : "httpd has no other slot for a new child (see ServerLimit)");
}

bool Lifecycle::slot_is_needed_lastingly() noexcept {
    if (!scoreboard_.slot_is_needed()) {
        needed_since_.reset();
        return false;
    }
    const Clock::time_point now = Clock::now();
    return now - (needed_since_ ? *needed_since_ : needed_since_.emplace(now)) >= kNeedLasts;
}

void Lifecycle::report() const noexcept {
    const engine::Departures departures = host_.engine.departures();
    const std::uint32_t by_server = departures.in_order + departures.forced;
    const std::uint32_t all = connections_ + host_.engine.taken() - taken_before_;
    ap_log_error(
        APLOG_MARK, APLOG_INFO, 0, server_,
        "WS0212: this child ends after %ld ms%s: %u connections closed in order, %u forced, "
        "%u by their clients",
        in_ms(Clock::now() - begun_), stopped_.load() ? ", told to hurry" : "", departures.in_order,
        departures.forced, std::max(all, by_server) - by_server);
}

}  // namespace websocket::httpd
