// SPDX-License-Identifier: Apache-2.0
// What a channel does for its record: counting what comes in, and keeping the rates of its location.

#include <algorithm>

#include "engine/channel.hpp"
#include "engine/loop.hpp"

namespace websocket::engine {

namespace {

/// A rate may be small; reading a few bytes at a time would cost more than it saves.
constexpr std::uint64_t kMinRead = 1024;

}  // namespace

/// So that one read cannot make a debt that takes long to pay.
std::size_t Channel::largest_recorded_read() const noexcept {
    const RateLimits& rates = options_->rates;
    if (record_->meter == nullptr || rates.bytes == 0) {
        return SIZE_MAX;
    }
    const auto burst = static_cast<std::uint64_t>(rates.burst.count());
    return static_cast<std::size_t>(std::max(kMinRead, rates.bytes * burst / 1'000));
}

void Channel::record_read(std::size_t bytes, bool charged) noexcept {
    record_->traffic.bytes_in += bytes;
    if (record_->meter != nullptr && charged) {
        static_cast<void>(charge(record_->meter->bytes, options_->rates.bytes, bytes,
                                 options_->rates.policy, "too many bytes a second"));
    }
}

bool Channel::record_message() noexcept {
    if (!record_frame()) {
        return false;
    }
    ++record_->traffic.messages_in;
    return true;
}

bool Channel::record_frame() noexcept {
    return record_->meter == nullptr ||
           charge(record_->meter->messages, options_->rates.messages, 1, options_->rates.policy,
                  "too many messages a second");
}

/// Slowing down would not help: they cost what they cost when they are read, and nobody needs many.
bool Channel::record_control_frame() noexcept {
    return record_->meter == nullptr ||
           charge(record_->meter->control_frames, options_->rates.control_frames, 1,
                  RatePolicy::close, "too many control frames a second");
}

bool Channel::charge(base::TokenBucket& bucket, std::uint64_t per_second, std::uint64_t amount,
                     RatePolicy policy, const char* reason) noexcept {
    if (per_second == 0) {
        return true;
    }
    const base::Rate rate{per_second, options_->rates.burst};
    if (bucket.take(amount, loop_.reactor().time(), rate, loop_.unread_since())) {
        return true;
    }
    if (policy == RatePolicy::close) {
        on_rate_exceeded(reason);
        return false;
    }
    pause_for_rate(bucket.debt(loop_.reactor().time(), rate));
    return true;
}

void Channel::pause_for_rate(std::chrono::milliseconds time) noexcept {
    pause(kForRate);
    RateMeter::PauseEnd& end = record_->meter->pause_end;
    end.channel = this;
    const Tick until = loop_.reactor().now() + to_ticks(time);
    if (!end.armed() || net::before(end.deadline, until)) {
        loop_.reactor().set_time(end, until);
    }
}

void RateMeter::PauseEnd::on_time() noexcept { channel->end_rate_pause(); }

void Channel::end_rate_pause() noexcept {
    end_pause(kForRate);
    loop_.mark_dirty(*this);
}

void Channel::stop_pause_timer() noexcept {
    if (record_ != nullptr && record_->meter != nullptr) {
        loop_.reactor().clear_time(record_->meter->pause_end);
    }
}

}  // namespace websocket::engine
