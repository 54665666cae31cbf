// SPDX-License-Identifier: Apache-2.0
#include "httpd/process/child_watch.hpp"

#include <poll.h>

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
    try {
        if (!stop_) {
            stop_.emplace();
        }
        running_.store(true);
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
    if (started_.load()) {
        stop_->wake();
    }
}

void ChildWatch::run() noexcept {
    while (!stopping_.load()) {
        look_(Clock::now());
        pollfd stop{stop_->descriptor(), POLLIN, 0};
        ::poll(&stop, 1, static_cast<int>(engine::HangDetector::kPollInterval.count()));
    }
    running_.store(false);
}

}  // namespace websocket::httpd
