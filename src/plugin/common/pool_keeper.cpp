// SPDX-License-Identifier: Apache-2.0
// What the pool does about blocked threads: adds others, gives up clients that do not read, tells the
// administrator. All of it looks at what threads do; time alone is no proof that they are blocked.
#include <algorithm>
#include <array>
#include <cstdio>

#include "plugin/common/pool.hpp"

namespace websocket::plugin {

namespace {

/// Between looks at threads that cannot become more.
constexpr std::chrono::milliseconds kPollInterval{10};

}  // namespace

/// What is to be said in the log, without the lock.
struct Pool::News {
    enum class Kind : std::uint8_t {
        none,
        all_blocked,    ///< whatever lane they are of
        share_blocked,  ///< those that `lane` may have
        given_up,       ///< `count` clients were, the last one by `lane`
        expired,        ///< `count` clients of `lane` and others have had their time
    };
    Kind kind = Kind::none;
    const PoolLane* lane = nullptr;
    std::uint64_t count = 0;
    unsigned threads = 0;
};

void Pool::call_keeper() noexcept {
    if (!keeper_runs_) {
        keeper_runs_ = start_thread(&Pool::keep);
    } else if (keeper_rests_) {
        keeper_rests_ = false;
        keeper_.notify_one();
    }
}

void Pool::keep() noexcept {
    std::unique_lock lock(mutex_);
    while (!stopping_ || first_ != nullptr) {
        wait_in_keeper(lock);
        if (const News news = look_at_lanes(); news.kind != News::Kind::none) {
            lock.unlock();
            tell(news);
            lock.lock();
        }
    }
    keeper_runs_ = false;
    ended_.notify_all();
}

/// Adds a worker each time that nothing has begun for a while although something waits that may.
void Pool::wait_in_keeper(std::unique_lock<std::mutex>& lock) noexcept {
    if (first_ != nullptr) {
        const std::uint64_t before = begun_;
        const bool can_grow = threads_ < options_.max_threads && can_run();
        keeper_.wait_for(lock, can_grow ? kStall : kPollInterval);
        if (begun_ == before && idle_ == 0 && threads_ < options_.max_threads && can_run()) {
            add_worker();
        }
        return;
    }
    keeper_rests_ = true;
    if (given_up_.count + expired_.count > 0) {
        keeper_.wait_for(lock, kPatience);
    } else if (next_deadline_ != PoolWait::kNever) {
        keeper_.wait_until(lock, next_deadline_);
    } else {
        keeper_.wait(lock);
    }
    keeper_rests_ = false;
}

Pool::News Pool::look_at_lanes() noexcept {
    News news;
    const Clock::time_point now = Clock::now();
    if (now >= next_deadline_) {
        end_waits(now);
    }
    for (PoolLane* lane = first_; lane != nullptr; lane = lane->next_) {
        look_at(*lane, now, news);
    }
    // At most one such line a second, however many attackers there are.
    const auto tell_of = [&](Closed& closed, News::Kind kind) {
        if (news.kind == News::Kind::none && closed.count > 0 &&
            now - closed.told_at >= kPatience) {
            news = {kind, closed.last, closed.count, 0};
            closed = {0, nullptr, now};
        }
    };
    tell_of(given_up_, News::Kind::given_up);
    tell_of(expired_, News::Kind::expired);
    return news;
}

/// Those whose deadline has come.
void Pool::end_waits(Clock::time_point now) noexcept {
    next_deadline_ = PoolWait::kNever;
    for (PoolWait* wait = oldest_wait_; wait != nullptr; wait = wait->next_) {
        if (!wait->broken_ && wait->deadline_ <= now) {
            end(*wait, expired_, wait->client_);
        } else if (!wait->broken_) {
            next_deadline_ = std::min(next_deadline_, wait->deadline_);
        }
    }
}

void Pool::end(PoolWait& wait, Closed& as, const PoolLane& lane) noexcept {
    wait.broken_ = true;
    wait.break_off_(wait.data_);
    ++as.count;
    as.last = &lane;
}

/// A lane where something waits.
void Pool::look_at(PoolLane& lane, Clock::time_point now, News& news) noexcept {
    if (lane.seen_ != lane.begun_) {
        lane.seen_ = lane.begun_;
        lane.since_ = now;
        lane.told_ = false;
        return;
    }
    const bool has_its_share = !may_run(lane);
    if (!has_its_share && busy_ < most_threads()) {
        return;  // there is a thread for it, or there will be
    }
    if (end_a_wait(has_its_share ? &lane : nullptr, now) || lane.told_ ||
        now - lane.since_ < kBlocked || news.kind != News::Kind::none) {
        return;
    }
    lane.told_ = true;
    if (has_its_share) {
        news = {News::Kind::share_blocked, &lane, 0, lane.running_};
        return;
    }
    news = {News::Kind::all_blocked, &largest_lane(), 0, busy_};
    for (PoolLane* other = first_; other != nullptr; other = other->next_) {
        other->told_ = true;
    }
}

/// Ends the oldest wait of a task of `lane`, or of any. True also while the thread of the last one
/// is on its way.
bool Pool::end_a_wait(PoolLane* lane, Clock::time_point now) noexcept {
    const std::uint64_t begun = lane != nullptr ? lane->begun_ : begun_;
    PoolRelief& last = lane != nullptr ? lane->relief_ : relief_;
    if (last.begun == begun && now - last.when < kPatience) {
        return true;
    }
    for (PoolWait* wait = oldest_wait_; wait != nullptr; wait = wait->next_) {
        if (now - wait->since_ < kPatience) {
            return false;
        }
        if (!wait->broken_ && wait->lane_ != nullptr && (lane == nullptr || wait->lane_ == lane)) {
            end(*wait, given_up_, *wait->lane_);
            last = {begun, now};
            return true;
        }
    }
    return false;
}

const PoolLane& Pool::largest_lane() const noexcept {
    const PoolLane* largest = &common_;
    for (const auto& [name, lane] : lanes_) {
        largest = lane.running_ > largest->running_ ? &lane : largest;
    }
    return *largest;
}

void Pool::tell(const News& news) noexcept {
    const char* name = news.lane->name_ != nullptr ? news.lane->name_->c_str() : "no location";
    std::array<char, 512> line{};
    switch (news.kind) {
        case News::Kind::none: return;
        case News::Kind::all_blocked:
            std::snprintf(
                line.data(), line.size(),
                "WS0402: all %u threads of the plugin pool are blocked in callbacks, most "
                "of them of %s; see WebSocketPoolMaxThreads",
                news.threads, name);
            break;
        case News::Kind::share_blocked:
            std::snprintf(
                line.data(), line.size(),
                "WS0402: all %u threads of the plugin pool that one location may have, of "
                "%u, are blocked in callbacks of %s; see WebSocketPoolMaxThreads",
                news.threads, options_.max_threads, name);
            break;
        case News::Kind::given_up:
            std::snprintf(line.data(), line.size(),
                          "WS0404: closed %llu clients with 1008 because they do not read: sends "
                          "waited for them, the last one of %s, and no thread of the plugin pool "
                          "was left",
                          static_cast<unsigned long long>(news.count), name);
            break;
        case News::Kind::expired:
            std::snprintf(
                line.data(), line.size(),
                "WS0405: closed %llu clients with 1008 because they do not read: sends to "
                "them, the last one of %s, held up others; see WebSocketSendTimeout",
                static_cast<unsigned long long>(news.count), name);
            break;
    }
    log_.write(base::LogLevel::warning, line.data());
}

}  // namespace websocket::plugin
