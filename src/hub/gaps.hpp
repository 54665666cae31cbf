// SPDX-License-Identifier: Apache-2.0
// Gaps that somebody has still to be told of.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "hub/gap.hpp"

namespace websocket::hub {

/// Topics, by TopicKey::bytes() or kAllTopics, with a reason each. However many gaps there are, what waits is bounded, and none
/// is forgotten: beyond kMost topics it is a gap of all. Not safe for threads.
class Gaps {
public:
    static constexpr std::size_t kMost = 256;

    void add(std::string_view key, GapReason why) noexcept;
    /// Adds what the other one has, which is empty then.
    void take(Gaps& other) noexcept;
    [[nodiscard]] bool empty() const noexcept { return !all_ && topics_.empty(); }
    void clear() noexcept;

    /// Calls `tell(key, why)` for each; those for which it returns true have been told.
    template <class Tell>
    void tell(Tell tell) {
        if (all_ && tell(kAllTopics, all_why_)) {
            all_ = false;
        }
        for (auto topic = topics_.begin(); topic != topics_.end();) {
            topic = tell(std::string_view(topic->first), topic->second) ? topics_.erase(topic)
                                                                        : std::next(topic);
        }
    }

private:
    void add_all(GapReason why) noexcept;

    std::map<std::string, GapReason, std::less<>> topics_;
    bool all_ = false;
    GapReason all_why_{};
};

/// Lets gaps of each topic through at once, and then one in kPause. Not safe for threads.
class GapPace {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds kPause{1};

    void add(std::string_view key, GapReason why) noexcept { waiting_.add(key, why); }
    [[nodiscard]] bool empty() const noexcept { return waiting_.empty(); }

    /// Calls `tell(key, why)` for those whose turn it is. Where it returns false, it is called again after a pause.
    template <class Tell>
    void pass_on(Clock::time_point now, Tell tell) {
        std::erase_if(told_, [&](const auto& one) { return now - one.second >= kPause; });
        waiting_.tell([&](std::string_view key, GapReason why) {
            if (told_.size() >= Gaps::kMost || told_.contains(key)) {
                return false;
            }
            told_.emplace(
                key, now);  // before: a caller who can keep no time must not be called without end
            return tell(key, why);
        });
    }

private:
    Gaps waiting_;
    std::map<std::string, Clock::time_point, std::less<>> told_;
};

}  // namespace websocket::hub
