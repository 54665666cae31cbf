// SPDX-License-Identifier: Apache-2.0
// What a loop is doing just now, for whoever watches it from another thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace websocket::engine {

struct ConnectionOptions;

enum class LoopWork : std::uint8_t { input, output, requests, timers, watches };

/// In words.
[[nodiscard]] constexpr const char* name_of(LoopWork work) noexcept {
    switch (work) {
        case LoopWork::input: return "input of a connection";
        case LoopWork::output: return "output of a connection";
        case LoopWork::requests: return "requests of other threads";
        case LoopWork::timers: return "timers";
        case LoopWork::watches: break;
    }
    return "watched descriptors";
}

/// The loop only stores, and reads what it has stored itself; so a turn costs it nothing.
class Heartbeat {
public:
    struct Beat {
        std::uint32_t turn = 0;  ///< odd while the loop works, even while it waits
        LoopWork work = LoopWork::input;
        const ConnectionOptions* whose = nullptr;  ///< may be null

        [[nodiscard]] bool at_work() const noexcept { return turn % 2 != 0; }
    };

    // --- [loop] ---
    void begin_turn() noexcept { turn_.store(turn() | 1U, std::memory_order_relaxed); }
    void end_turn() noexcept { turn_.store((turn() | 1U) + 1, std::memory_order_relaxed); }
    void note(LoopWork work, const ConnectionOptions* whose = nullptr) noexcept {
        work_.store(work, std::memory_order_relaxed);
        note(whose);
    }
    void note(const ConnectionOptions* whose) noexcept {
        whose_.store(whose, std::memory_order_relaxed);
    }

    // --- [any thread] ---
    /// May mix two turns: exact only when the loop hangs.
    [[nodiscard]] Beat look() const noexcept {
        return {turn(), work_.load(std::memory_order_relaxed),
                whose_.load(std::memory_order_relaxed)};
    }
    /// A judgement of the watcher's, see HangDetector.
    [[nodiscard]] bool hangs() const noexcept { return hangs_.load(std::memory_order_relaxed); }
    void set_hangs(bool hangs) noexcept { hangs_.store(hangs, std::memory_order_relaxed); }

private:
    [[nodiscard]] std::uint32_t turn() const noexcept {
        return turn_.load(std::memory_order_relaxed);
    }

    std::atomic<std::uint32_t> turn_{0};
    std::atomic<LoopWork> work_{LoopWork::input};
    std::atomic<bool> hangs_{false};
    std::atomic<const ConnectionOptions*> whose_{nullptr};
};

/// Judges the heartbeat of one loop. It counts looks and not time: while the process is stopped, or
/// its threads get no processor, the watcher does not look either. [watcher]
class HangDetector {
public:
    /// From one look to the next.
    static constexpr std::chrono::milliseconds kPollInterval{1000};
    /// Looks that find the loop in the same turn before it hangs.
    static constexpr unsigned kPolls = 3;

    enum class Verdict : std::uint8_t {
        unchanged,
        hangs,  ///< since this look
        back,   ///< it did
    };

    /// `on_time` is false when the watcher itself comes late.
    [[nodiscard]] Verdict judge(const Heartbeat::Beat& beat, bool on_time) noexcept {
        if (!beat.at_work() || beat.turn != turn_) {
            turn_ = beat.turn;
            looks_ = 0;
            const bool back = hangs_;
            hangs_ = false;
            return back ? Verdict::back : Verdict::unchanged;
        }
        looks_ = on_time ? looks_ + 1 : 0;
        if (hangs_ || looks_ < kPolls) {
            return Verdict::unchanged;
        }
        hangs_ = true;
        return Verdict::hangs;
    }
    [[nodiscard]] bool hangs() const noexcept { return hangs_; }

private:
    std::uint32_t turn_ = 0;
    unsigned looks_ = 0;
    bool hangs_ = false;
};

}  // namespace websocket::engine
