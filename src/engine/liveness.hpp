// SPDX-License-Identifier: Apache-2.0
// Whether a peer is alive, and how much patience it gets while it closes.
#pragma once

#include <array>
#include <cstdint>

#include "engine/tick.hpp"
#include "net/transport.hpp"

namespace websocket::engine {

/// A timer that is so late says that the process was stopped, or a callback has held the loop: the time
/// was not the peer's.
constexpr Tick kOverslept = to_ticks(std::chrono::seconds{1});

[[nodiscard]] constexpr bool overslept(Tick now, Tick deadline) noexcept {
    return !net::before(now, deadline + kOverslept);
}

/// With a payload: there are clients that do not notice an empty Ping.
inline constexpr std::array<std::uint8_t, 4> kPingPayload{'p', 'i', 'n', 'g'};

/// Reads before the verdict on a peer: what its socket can hold, usually.
inline constexpr unsigned kMaxReadsALook = 16;

/// Remembers signs of life, and one Ping or the beginning of a close, and judges by them. Looks at no
/// clock and no socket. [loop]
class Liveness {
public:
    /// Closing may take this many timeouts while the peer keeps reading.
    static constexpr Tick kMaxCloseTimeouts = 12;

    /// The peer has sent or taken something. An open connection needs no Pong any more.
    void note(Tick now, bool open) noexcept {
        last_ = now;
        awaiting_pong_ = awaiting_pong_ && !open;
    }
    /// Nothing is expected of it now: nobody reads, and it has taken all.
    void excuse(Tick now) noexcept { note(now, true); }
    [[nodiscard]] Tick last() const noexcept { return last_; }

    /// Bytes that the kernel holds are on their way to a peer that reads slowly: true when it has taken some
    /// since this was asked, or something began, however many have followed them. When there are none, it has
    /// all that it was sent, and no excuse.
    [[nodiscard]] bool takes(const net::Delivery& delivery) noexcept {
        const std::uint32_t known = taken_;
        remember(delivery);
        return delivery.untaken > 0 && taken_ != known;
    }

    // --- while it is open ---

    [[nodiscard]] bool awaits_pong() const noexcept { return awaiting_pong_; }
    [[nodiscard]] bool silent(Tick now, Tick interval) const noexcept {
        return !net::before(now, last_ + interval);
    }
    /// A Ping goes out.
    void begin_ping(Tick now, const net::Delivery& delivery) noexcept {
        awaiting_pong_ = true;
        begin_close(now, delivery);
    }
    /// The time for the Pong is over.
    [[nodiscard]] bool overdue(Tick now, Tick timeout) const noexcept {
        return awaiting_pong_ && !net::before(now, marked_ + timeout);
    }
    /// The time for the Pong begins anew.
    void prolong(Tick now) noexcept { marked_ = now; }
    /// When to look again.
    [[nodiscard]] Tick next_look(Tick now, Tick interval, Tick timeout) const noexcept {
        const Tick check = (silent(now, interval) ? now : last_) + interval;
        const Tick verdict = marked_ + timeout;
        return awaiting_pong_ && net::before(verdict, check) ? verdict : check;
    }

    // --- while it closes ---

    void begin_close(Tick now, const net::Delivery& delivery) noexcept {
        marked_ = now;
        remember(delivery);
    }
    /// Whether a peer that goes on taking bytes gets more time.
    [[nodiscard]] bool may_go_on(Tick now, Tick timeout) const noexcept {
        return net::before(now, marked_ + kMaxCloseTimeouts * timeout) &&
               net::before(now, last_ + timeout);
    }

private:
    void remember(const net::Delivery& delivery) noexcept {
        taken_ = delivery.taken & ((1U << 31) - 1);
    }

    Tick last_ = 0;                 ///< the last sign of life
    Tick marked_ = 0;               ///< when the Ping went out, or when closing began
    std::uint32_t taken_ : 31 = 0;  ///< of the Delivery by then
    std::uint32_t awaiting_pong_ : 1 = 0;
};

static_assert(sizeof(Liveness) == 12);

}  // namespace websocket::engine
