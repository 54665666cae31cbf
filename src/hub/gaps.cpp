// SPDX-License-Identifier: Apache-2.0
#include "hub/gaps.hpp"

#include <new>

namespace websocket::hub {

void Gaps::add(std::string_view key, GapReason why) noexcept {
    if (all_ || topics_.contains(key)) {
        return;
    }
    if (key == kAllTopics || topics_.size() >= kMost) {
        add_all(why);
        return;
    }
    try {
        topics_.emplace(key, why);
    } catch (const std::bad_alloc&) {
        add_all(why);
    }
}

void Gaps::add_all(GapReason why) noexcept {
    topics_.clear();
    all_ = true;
    all_why_ = why;
}

void Gaps::take(Gaps& other) noexcept {
    if (other.all_) {
        add(kAllTopics, other.all_why_);
    }
    for (const auto& [key, why] : other.topics_) {
        add(key, why);
    }
    other.clear();
}

void Gaps::clear() noexcept {
    topics_.clear();
    all_ = false;
}

}  // namespace websocket::hub
