// SPDX-License-Identifier: Apache-2.0
// Who has a slot in memory that processes share, in one word.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace websocket::shm {

/// A process and how the slot came to it. Equal words mean the same claim: a process that gets the
/// number of one that has ended began at another time, and claims of a slot are counted.
///
/// 63..48 claims of the slot so far | 47..23 when the process began | 22 mark | 21..0 process
class Owner {
public:
    using Word = std::uint64_t;

    /// Nobody; the word of a slot that was never claimed.
    constexpr Owner() noexcept = default;
    constexpr explicit Owner(Word word) noexcept : word_(word) {}
    /// `began` in clock ticks since the system's start, as far as there is room; 0 when unknown.
    constexpr Owner(pid_t process, std::uint64_t began) noexcept
        : word_((began << kBeganShift & kBegan) | (static_cast<Word>(process) & kProcess)) {}
    /// The calling process. [any thread]
    [[nodiscard]] static Owner self() noexcept;

    [[nodiscard]] constexpr Word word() const noexcept { return word_; }
    /// 0 for nobody.
    [[nodiscard]] constexpr pid_t process() const noexcept {
        return static_cast<pid_t>(word_ & kProcess);
    }
    [[nodiscard]] constexpr bool is_free() const noexcept {
        return (word_ & (kProcess | kMark)) == 0;
    }
    /// The process uses it.
    [[nodiscard]] constexpr bool is_claimed() const noexcept {
        return process() != 0 && (word_ & kMark) == 0;
    }
    /// Nobody's, and never free again.
    [[nodiscard]] constexpr bool is_kept() const noexcept {
        return process() == 0 && (word_ & kMark) != 0;
    }
    /// Whether there is no process with this number, also not of another user. [any thread]
    [[nodiscard]] bool is_missing() const noexcept;
    /// Whether the process has ended, even if another one has its number. Reads a file. [any thread]
    [[nodiscard]] bool is_gone() const noexcept;

    // What the word becomes. [any thread]
    /// `who` claims the free slot.
    [[nodiscard]] constexpr Owner claimed_by(Owner who) const noexcept {
        return Owner((word_ & kClaims) + kOneClaim + (who.word_ & (kBegan | kProcess)));
    }
    /// `who` tidies up after an owner that is gone.
    [[nodiscard]] constexpr Owner reaped_by(Owner who) const noexcept {
        return Owner((word_ & kClaims) | kMark | (who.word_ & (kBegan | kProcess)));
    }
    [[nodiscard]] constexpr Owner freed() const noexcept { return Owner(word_ & kClaims); }
    [[nodiscard]] constexpr Owner kept() const noexcept { return Owner((word_ & kClaims) | kMark); }

    constexpr bool operator==(const Owner&) const noexcept = default;

private:
    static constexpr unsigned kBeganShift = 23;
    // The kernel has no greater number than 2^22 - 1 (PID_MAX_LIMIT).
    static constexpr Word kProcess = (Word{1} << 22) - 1;
    // With a process: it reaps the slot. Without: the slot is kept.
    static constexpr Word kMark = Word{1} << 22;
    static constexpr Word kOneClaim = Word{1} << 48;
    static constexpr Word kBegan = kOneClaim - (Word{1} << kBeganShift);
    static constexpr Word kClaims = ~(kOneClaim - 1);

    Word word_ = 0;
};

}  // namespace websocket::shm
