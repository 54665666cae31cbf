// SPDX-License-Identifier: Apache-2.0
#include "httpd/process/child_watch.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <exception>

#include "base/signal_mask.hpp"
#include "engine/heartbeat.hpp"

namespace websocket::httpd {

bool ChildWatch::start() noexcept {
    if (started_.load(std::memory_order_acquire)) {
        return true;
    }
    const std::lock_guard lock(start_mutex_);
    if (started_.load()) {
        return true;
    }
    if (!event_.valid()) {
        event_ = base::Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    }
    if (!event_.valid()) {
        return false;
    }
    running_.store(true);
    try {
        const base::SignalsBlocked blocked;  // inherited by the thread
        thread_ = std::thread([this] { run(); });
    } catch (const std::exception&) {
        running_.store(false);
        return false;
    }
    started_.store(true, std::memory_order_release);
    return true;
}

void ChildWatch::begin_stop() noexcept {
    stopping_.store(true);
    const std::uint64_t one = 1;
    if (started_.load()) {
        static_cast<void>(!::write(event_.get(), &one, sizeof one));
    }
}

void ChildWatch::run() noexcept {
    while (!stopping_.load()) {
        look_(Clock::now());
        pollfd stop{event_.get(), POLLIN, 0};
        ::poll(&stop, 1, static_cast<int>(engine::HangDetector::kPollInterval.count()));
    }
    running_.store(false);
}

}  // namespace websocket::httpd
