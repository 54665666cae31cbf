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

}  // namespace websocket::shm
