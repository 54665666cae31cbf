// SPDX-License-Identifier: Apache-2.0
// Who takes over from a thread that does something which may block, as soon as it does.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace websocket::engine {

/// A thread that watches another one, the owner. While the owner is lent, it looks each kTick, and takes the lead
/// when it finds it in the same errand again: then it does the owner's work until that is back. While nothing
/// is lent it sleeps. What either has written before it passes the lead, the other one sees.
class StandIn {
public:
    static constexpr std::chrono::milliseconds kTick{2};

    /// `serve` does the owner's work, on the thread of this, and returns soon after wanted_back(); `call_back` makes it
    /// look. Throws std::system_error without a thread.
    StandIn(std::function<void()> serve, std::function<void()> call_back);
    /// The owner is back.
    ~StandIn();
    StandIn(const StandIn&) = delete;
    StandIn& operator=(const StandIn&) = delete;

    // --- [owner] ---

    /// What follows may block; until take_back() the lead may be lost.
    void lend() noexcept {
        word_.store(++errand_ << kStateBits | kLent);
        if (resting_.load()) [[unlikely]] {
            rouse();
        }
    }
    /// Ends that. False when the lead was lost: it is back when this returns.
    [[nodiscard]] bool take_back() noexcept {
        std::uint64_t lent = errand_ << kStateBits | kLent;
        if (word_.compare_exchange_strong(lent, errand_ << kStateBits | kLeading,
                                          std::memory_order_acquire)) [[likely]] {
            return true;
        }
        wait_for_lead();
        return false;
    }
    /// While it is lent: has the lead for what cannot block, until end_visit(). False when it is lost, or had already.
    [[nodiscard]] bool visit() noexcept {
        std::uint64_t lent = errand_ << kStateBits | kLent;
        return word_.compare_exchange_strong(lent, errand_ << kStateBits | kVisiting,
                                             std::memory_order_acquire);
    }
    void end_visit() noexcept {
        word_.store(errand_ << kStateBits | kLent, std::memory_order_release);
    }
    /// While it is lent: what follows does block.
    void hurry() noexcept;

    /// The owner is back and waits for the lead. [serve]
    [[nodiscard]] bool wanted_back() const noexcept {
        return wanted_back_.load(std::memory_order_relaxed);
    }

private:
    /// Who leads: the owner, the owner unless somebody takes the lead, the owner for a moment, the stand-in.
    enum State : std::uint64_t { kLeading, kLent, kVisiting, kTaken };
    static constexpr unsigned kStateBits = 2;

    static constexpr State state_of(std::uint64_t word) noexcept { return State(word % 4); }

    void watch() noexcept;
    void rest(std::unique_lock<std::mutex>& lock, std::uint64_t since) noexcept;
    [[nodiscard]] bool take_lead(std::uint64_t word) noexcept;
    void rouse() noexcept;
    void wait_for_lead() noexcept;

    const std::function<void()> serve_;
    const std::function<void()> call_back_;
    std::uint64_t errand_ = 0;            // the owner's
    std::atomic<std::uint64_t> word_{0};  // number of the errand, and the state
    std::atomic<bool> resting_{false};
    std::atomic<bool> wanted_back_{false};
    std::mutex mutex_;               // guards what follows, and who waits
    std::condition_variable look_;   // of the stand-in
    std::condition_variable given_;  // the lead, to the owner
    bool hurried_ = false;
    bool stopping_ = false;
    std::thread thread_;  // last: it uses the others
};

}  // namespace websocket::engine
