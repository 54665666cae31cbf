// SPDX-License-Identifier: Apache-2.0
#include "engine/stand_in.hpp"

#include <utility>

#include "base/signal_mask.hpp"

namespace websocket::engine {

StandIn::StandIn(std::function<void()> serve, std::function<void()> call_back)
    : serve_(std::move(serve)), call_back_(std::move(call_back)) {
    const base::SignalsBlocked blocked;  // inherited by the thread
    thread_ = std::thread([this] { watch(); });
}

StandIn::~StandIn() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    look_.notify_one();
    thread_.join();
}

void StandIn::watch() noexcept {
    std::unique_lock lock(mutex_);
    std::uint64_t seen = 0;
    while (!stopping_) {
        const std::uint64_t word = word_.load();
        const bool hurried = std::exchange(hurried_, false);
        if (state_of(word) == kLent && (word == seen || hurried) && take_lead(word)) {
            lock.unlock();
            serve_();
            lock.lock();
            wanted_back_.store(false);
            word_.store(word - kLent + kLeading, std::memory_order_release);
            given_.notify_one();
        } else if (state_of(word) == kLeading && word == seen) {
            rest(lock, word);
        } else {
            seen = word;
            look_.wait_for(lock, kTick);
        }
    }
}

bool StandIn::take_lead(std::uint64_t word) noexcept {
    return word_.compare_exchange_strong(word, word - kLent + kTaken, std::memory_order_acquire);
}

/// Nothing was lent since the last look.
void StandIn::rest(std::unique_lock<std::mutex>& lock, std::uint64_t since) noexcept {
    resting_.store(true);
    if (word_.load() == since) {  // else the owner may not have seen that this rests
        look_.wait(lock, [this] { return !resting_.load() || stopping_; });
    }
    resting_.store(false);
}

void StandIn::rouse() noexcept {
    {
        const std::lock_guard lock(mutex_);
        resting_.store(false);
    }
    look_.notify_one();
}

void StandIn::hurry() noexcept {
    {
        const std::lock_guard lock(mutex_);
        hurried_ = true;
    }
    look_.notify_one();
}

void StandIn::wait_for_lead() noexcept {
    std::unique_lock lock(mutex_);
    wanted_back_.store(true);
    call_back_();
    given_.wait(lock, [this] { return state_of(word_.load(std::memory_order_acquire)) != kTaken; });
}

}  // namespace websocket::engine
