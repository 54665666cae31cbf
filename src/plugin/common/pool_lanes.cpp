// SPDX-License-Identifier: Apache-2.0
// Whose turn it is in the pool. The lock is held in all of this.
#include <utility>

#include "plugin/common/pool.hpp"

namespace websocket::plugin {

void Pool::append(PoolTask& task) noexcept {
    PoolLane& lane = lane_of(task);
    task.next_ = nullptr;
    if (lane.last_ != nullptr) {
        lane.last_->next_ = &task;
        lane.last_ = &task;
        return;
    }
    lane.first_ = lane.last_ = &task;
    lane.seen_ = lane.begun_ - 1;  // so that the keeper counts from its next look on
    lane.next_ = nullptr;
    (last_ != nullptr ? last_->next_ : first_) = &lane;
    last_ = &lane;
}

/// Whether a task of the lane may have a thread, if there is one.
bool Pool::may_run(const PoolLane& lane) const noexcept {
    const bool shared = options_.shared || lanes_.size() > 1;
    if (!shared || stopping_ || lane.running_ == 0 || busy_ >= most_threads()) {
        return true;
    }
    return lane.running_ + 1 <= kShare * (most_threads() - busy_ - 1);
}

bool Pool::can_run() const noexcept {
    for (const PoolLane* lane = first_; lane != nullptr; lane = lane->next_) {
        if (may_run(*lane)) {
            return true;
        }
    }
    return false;
}

/// The first task of the next lane that may have a thread, or null.
PoolTask* Pool::take() noexcept {
    PoolLane* before = nullptr;
    PoolLane* lane = first_;
    while (lane != nullptr && !may_run(*lane)) {
        held_back_ = true;
        before = std::exchange(lane, lane->next_);
    }
    if (lane == nullptr) {
        held_back_ = first_ != nullptr;
        return nullptr;
    }
    PoolTask* task = lane->first_;
    lane->first_ = task->next_;
    if (lane->first_ == nullptr) {
        lane->last_ = nullptr;
    } else if (lane == last_) {
        return task;  // its next turn comes at once, or after those passed over
    }
    (before != nullptr ? before->next_ : first_) = lane->next_;
    if (lane == last_) {
        last_ = before;
    }
    if (lane->first_ != nullptr) {
        lane->next_ = nullptr;
        last_->next_ = lane;
        last_ = lane;
    }
    return task;
}

PoolWait::PoolWait(Pool& pool, const PoolLane& client, Clock::time_point deadline,
                   BreakOff break_off, void* data) noexcept
    : pool_(pool), client_(client), lane_(Pool::place_.pool == &pool ? Pool::place_.lane : nullptr),
      since_(Clock::now()), deadline_(deadline), break_off_(break_off), data_(data) {
    const std::lock_guard lock(pool_.mutex_);
    before_ = pool_.newest_wait_;
    (before_ != nullptr ? before_->next_ : pool_.oldest_wait_) = this;
    pool_.newest_wait_ = this;
    if (deadline_ < pool_.next_deadline_) {
        pool_.next_deadline_ = deadline_;
        pool_.call_keeper();
    }
}

PoolWait::~PoolWait() {
    const std::lock_guard lock(pool_.mutex_);
    (before_ != nullptr ? before_->next_ : pool_.oldest_wait_) = next_;
    (next_ != nullptr ? next_->before_ : pool_.newest_wait_) = before_;
}

}  // namespace websocket::plugin
