// SPDX-License-Identifier: Apache-2.0
#include "shm/robust_mutex.hpp"

#include <cerrno>
#include <ctime>
#include <system_error>

namespace websocket::shm {

RobustMutex::RobustMutex() : mutex_() {
    pthread_mutexattr_t attributes;
    int error = ::pthread_mutexattr_init(&attributes);
    if (error == 0) {
        ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        error = ::pthread_mutex_init(&mutex_, &attributes);
        ::pthread_mutexattr_destroy(&attributes);
    }
    if (error != 0) {
        throw std::system_error(error, std::generic_category(), "pthread_mutex_init");
    }
}

RobustMutex::Locked RobustMutex::lock() noexcept {
    int result = ::pthread_mutex_trylock(&mutex_);
    if (result == EBUSY) {
        timespec until{};
        ::clock_gettime(CLOCK_REALTIME, &until);  // what sanitizers know, too
        until.tv_sec += std::chrono::duration_cast<std::chrono::seconds>(kTimeout).count();
        result = ::pthread_mutex_timedlock(&mutex_, &until);
    }
    switch (result) {
        case 0: return Locked::yes;
        case EOWNERDEAD: return Locked::from_the_dead;
        default: return Locked::no;
    }
}

void RobustMutex::made_consistent() noexcept { ::pthread_mutex_consistent(&mutex_); }

void RobustMutex::unlock() noexcept { ::pthread_mutex_unlock(&mutex_); }

}  // namespace websocket::shm
