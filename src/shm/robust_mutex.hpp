// SPDX-License-Identifier: Apache-2.0
// A lock in memory that processes share, for those of them that may be killed.
#pragma once

#include <pthread.h>

#include <chrono>
#include <cstdint>

namespace websocket::shm {

/// Lies in the shared memory itself. Who holds it does not wait for anything, so others wait for microseconds; a process
/// that is stopped with it makes them give up. All functions: [any thread] of any process, unless they say more.
class RobustMutex {
public:
    static constexpr std::chrono::milliseconds kTimeout{1000};

    enum class Locked : std::uint8_t {
        yes,
        from_the_dead,  ///< yes; and who had it was killed: what it guards may be half done. See made_consistent()
        no,  ///< somebody has had it for longer than kTimeout
    };

    /// Throws std::system_error. [config]
    RobustMutex();
    RobustMutex(const RobustMutex&) = delete;
    RobustMutex& operator=(const RobustMutex&) = delete;

    [[nodiscard]] Locked lock() noexcept;
    /// What it guards is whole again. Who is killed before leaves the same to the next one.
    void made_consistent() noexcept;
    void unlock() noexcept;

private:
    pthread_mutex_t mutex_;  // never destroyed: it ends with the last process that has the memory
};

/// Holds one, over memory that is whole.
class RobustLock {
public:
    /// `recover()` makes the memory whole where somebody was killed with the lock.
    template <class Recover>
    RobustLock(RobustMutex& mutex, Recover recover) noexcept : mutex_(mutex), state_(mutex.lock()) {
        if (state_ == RobustMutex::Locked::from_the_dead) {
            recover();
            mutex_.made_consistent();
        }
    }
    RobustLock(const RobustLock&) = delete;
    RobustLock& operator=(const RobustLock&) = delete;
    ~RobustLock() {
        if (*this) {
            mutex_.unlock();
        }
    }
    [[nodiscard]] explicit operator bool() const noexcept {
        return state_ != RobustMutex::Locked::no;
    }

private:
    RobustMutex& mutex_;
    const RobustMutex::Locked state_;
};

}  // namespace websocket::shm
