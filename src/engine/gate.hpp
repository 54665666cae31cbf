// SPDX-License-Identifier: Apache-2.0
// What every thread may know of a connection, in one atomic word that outlives it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/passage.hpp"

namespace websocket::engine {

/// Answer to a sender.
enum class Admission : std::uint8_t {
    accepted,  ///< the bytes are counted as queued
    full,      ///< as many as the high-water mark are queued already; nothing was counted
    closing,   ///< a Close is on its way: nothing may follow it
    gone,      ///< this generation has ended
    too_big,   ///< more than kMaxQueued bytes can never be queued
};

/// Generation, queued bytes and three flags change together by compare-and-swap, so a sender with a
/// stale id can neither count against nor write to the slot's next connection.
class Gate {
public:
    /// A frame of this size (256 MiB) or more is refused.
    static constexpr std::size_t kMaxQueued = std::size_t{1} << 28;

    /// Lets data through. Until then, and again after retire(), the gate is closing. [loop]
    void open() noexcept;

    /// Asks to queue `bytes`. Below `high_water` queued bytes one frame of any size is accepted, unless it has to
    /// wait for others that are held up. [any thread]
    [[nodiscard]] Admission admit(std::uint32_t generation, std::size_t bytes,
                                  std::size_t high_water,
                                  Passage passage = Passage::behind) noexcept;

    /// Takes back what admit() counted and nobody will write. [any thread]
    void withdraw(std::uint32_t generation, std::size_t bytes) noexcept;

    /// Marks that somebody waits for room, or wants to be told of it. False when there is some or none will come. [any thread]
    [[nodiscard]] bool begin_wait(std::uint32_t generation, std::size_t low_water,
                                  Passage passage = Passage::behind) noexcept;

    /// No data after this; true when this call closed the gate. [any thread]
    bool close(std::uint32_t generation) noexcept;

    [[nodiscard]] std::uint32_t generation() const noexcept { return generation_of(load()); }
    [[nodiscard]] std::size_t queued() const noexcept { return queued_of(load()); }
    [[nodiscard]] bool closing() const noexcept { return (load() & kClosing) != 0; }
    /// A message would not be admitted.
    [[nodiscard]] bool full(std::size_t high_water) const noexcept {
        return is_full(load(), high_water, Passage::behind);
    }
    /// Nobody waits for room for a message.
    [[nodiscard]] bool has_room(std::size_t low_water) const noexcept {
        return has_room(load(), low_water, Passage::behind);
    }

    /// Counts bytes without asking. [loop]
    void add(std::size_t bytes) noexcept;
    /// As many messages as may be wait for the end of one in parts. They are not counted, as those parts have to
    /// find room; instead no other message is let in. [loop]
    void hold_up() noexcept;
    /// Messages pass again. [loop]
    void let_on() noexcept;
    /// Bytes have been written or dropped. Returns true when waiters should be woken. [loop]
    [[nodiscard]] bool release(std::size_t bytes, std::size_t low_water) noexcept;
    /// Clears the mark of begin_wait(); true when it was set. [loop]
    bool end_wait() noexcept;
    /// The connection has ended: every id given out so far is stale. True when somebody waits.
    bool retire() noexcept;

private:
    // 63..33 generation | 32 held up | 31 waiting | 30 closing | 29..0 queued bytes
    static constexpr unsigned kGenerationShift = 33;
    static constexpr std::uint64_t kHeldUp = std::uint64_t{1} << 32;
    static constexpr std::uint64_t kWaiting = std::uint64_t{1} << 31;
    static constexpr std::uint64_t kClosing = std::uint64_t{1} << 30;
    static constexpr std::uint64_t kQueuedBits = kClosing - 1;

    static constexpr std::uint32_t generation_of(std::uint64_t word) noexcept {
        return static_cast<std::uint32_t>(word >> kGenerationShift);
    }
    static constexpr std::size_t queued_of(std::uint64_t word) noexcept {
        return word & kQueuedBits;
    }
    static constexpr bool is_held_up(std::uint64_t word, Passage passage) noexcept {
        return (word & kHeldUp) != 0 && passage == Passage::behind;
    }
    static constexpr bool is_full(std::uint64_t word, std::size_t high_water,
                                  Passage passage) noexcept {
        return queued_of(word) >= high_water || is_held_up(word, passage);
    }
    static constexpr bool has_room(std::uint64_t word, std::size_t low_water,
                                   Passage passage) noexcept {
        return queued_of(word) <= low_water && !is_held_up(word, passage);
    }
    [[nodiscard]] std::uint64_t load() const noexcept {
        return word_.load(std::memory_order_acquire);
    }

    std::atomic<std::uint64_t> word_{(std::uint64_t{1} << kGenerationShift) | kClosing};
};

}  // namespace websocket::engine
