// SPDX-License-Identifier: Apache-2.0
#include "httpd/siblings/prefork_pause.hpp"

#include <ap_listen.h>
#include <apr_portable.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <optional>

#include "httpd/process/mpm.hpp"
#include "httpd/siblings/arrival.hpp"
#include "httpd/siblings/siblings.hpp"
#include "httpd/takeover/stop_watch.hpp"

namespace websocket::httpd {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// How long a client that nobody accepts waits for siblings with room, of which none takes anybody meanwhile: they
/// are stopped, or all busy with pages.
constexpr auto kSiblingPatience = 1000ms;
/// The same where this child has room, too, but is ahead.
constexpr auto kAheadPatience = 100ms;

constexpr int kQuietPause = 100;            // ms, until a client comes
constexpr int kMaxPauseWhileOneWaits = 10;  // ms, while one waits

/// Waits at most so many ms for a client that could be accepted.
bool client_waits(int ms) noexcept {
    constexpr std::size_t kMaxListeners = 64;
    std::array<pollfd, kMaxListeners> sockets;
    nfds_t count = 0;
    for (const ap_listen_rec* listener = ap_listeners;
         listener != nullptr && count < sockets.size(); listener = listener->next) {
        apr_os_sock_t descriptor = -1;
        apr_os_sock_get(&descriptor, listener->sd);
        sockets[count++] = {descriptor, POLLIN, 0};
    }
    return ::poll(sockets.data(), count, ms) > 0;
}

/// What the least loaded sibling had when this child, only ahead, waited for it in vain. [httpd worker]
std::optional<std::uint32_t> stuck_at;

/// Who is to accept the next client: a sibling, if this is not empty.
std::optional<std::uint32_t> first_sibling(const Siblings& siblings, bool full) noexcept {
    const auto least = siblings.least(Siblings::Which::all);
    if (full) {
        return least;
    }
    if (least != stuck_at) {
        stuck_at.reset();
    }
    return siblings.is_ahead_of(least) && !stuck_at ? least : std::nullopt;
}

void give_up(const Siblings& siblings, bool full, std::optional<std::uint32_t> least) noexcept {
    if (full) {
        siblings.doubt();
    } else {
        stuck_at = least;
    }
}

}  // namespace

// httpd takes it for busy, and starts another child if too few wait.
void wait_until_needed() noexcept {
    const Siblings* siblings = Siblings::instance();
    if (siblings == nullptr || !is_prefork()) {
        return;
    }
    std::optional<std::uint32_t> before;
    Clock::time_point since;  // no sibling has taken a client that waits
    int pause = 1;
    while (!has_to_end()) {
        const bool full = !Arrival::measure();
        const auto least = first_sibling(*siblings, full);
        if (!least) {
            return;
        }
        if (least != before || !client_waits(0)) {
            before = least;
            pause = 1;
            client_waits(kQuietPause);
            since = Clock::now();
        }
        if (Clock::now() - since >= (full ? kSiblingPatience : kAheadPatience)) {
            give_up(*siblings, full, least);
            continue;
        }
        ::poll(nullptr, 0, pause);
        pause = std::min(2 * pause, kMaxPauseWhileOneWaits);
    }
}

int show_life(conn_rec* c, void* /*socket*/) {
    const Siblings* siblings = Siblings::instance();
    if (c->master == nullptr && is_prefork() && siblings != nullptr) {
        siblings->end_doubt();
    }
    return DECLINED;
}

}  // namespace websocket::httpd
