// SPDX-License-Identifier: Apache-2.0
// Waiting for what another thread does: no test sleeps, and none hangs. What a callback of another thread refers to is
// declared before whatever has that thread, a Service or a Pool: so it outlives the thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <memory>
#include <mutex>
#include <thread>

#include "unit.hpp"

namespace websocket::test {

using namespace std::chrono_literals;

/// No event that a test waits for takes this long, whatever the sanitizer.
constexpr std::chrono::seconds kPatience{20};
/// For tcase_set_timeout: the test itself gives up first and says why.
constexpr double kTestTimeout = 60;

/// A value that threads change and wait for.
template <class Value>
class Awaited {
public:
    /// Runs `change(Value&)` and wakes whoever waits. [any thread]
    template <class Change>
    void update(Change change) {
        const std::lock_guard lock(mutex_);
        change(value_);
        changed_.notify_all();  // with the lock: whoever waits may then destroy this
    }

    /// True as soon as `holds(const Value&)`; false when it does not within `patience`. [any thread]
    template <class Condition>
    [[nodiscard]] bool holds(Condition condition, std::chrono::milliseconds patience = kPatience) {
        std::unique_lock lock(mutex_);
        // Against the clock of the system: ThreadSanitizer knows no wait on the steady one.
        return changed_.wait_until(lock, std::chrono::system_clock::now() + patience,
                                   [&] { return condition(value_); });
    }

    /// Fails the test when the condition does not come true. [the test's thread]
    template <class Condition>
    Value await(Condition condition, const char* what) {
        if (!holds(condition)) {
            ck_abort_msg("waited in vain for %s", what);
        }
        return get();
    }

    [[nodiscard]] Value get() {
        const std::lock_guard lock(mutex_);
        return value_;
    }

private:
    std::mutex mutex_;  // guards value_
    std::condition_variable changed_;
    Value value_{};
};

/// A door that is shut until somebody opens it. Whoever opens it may destroy it at once, although
/// others are still passing.
class Door {
public:
    void open() {
        open_->update([](bool& open) { open = true; });
    }
    /// [any thread]
    [[nodiscard]] bool passed(std::chrono::milliseconds patience = kPatience) {
        const std::shared_ptr<Awaited<bool>> kept = open_;
        return kept->holds([](bool open) { return open; }, patience);
    }
    void await(const char* what) {
        const std::shared_ptr<Awaited<bool>> kept = open_;
        kept->await([](bool open) { return open; }, what);
    }

private:
    const std::shared_ptr<Awaited<bool>> open_ = std::make_shared<Awaited<bool>>();
};

/// For what tells nobody that it changes: an atomic counter of the code under test. Looks less and less often, and leaves
/// the core to others meanwhile.
template <class Condition>
void await_quietly(Condition condition, const char* what) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    std::chrono::microseconds pause{5};
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            ck_abort_msg("waited in vain for %s", what);
        }
        std::this_thread::sleep_for(pause);
        pause = std::min(2 * pause, std::chrono::microseconds{2000});
    }
}

[[nodiscard]] inline std::ptrdiff_t threads_of_process() {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

}  // namespace websocket::test
