// SPDX-License-Identifier: Apache-2.0
#include "httpd/process/instances.hpp"

#include <algorithm>

namespace websocket::httpd {

using std::chrono::milliseconds;

namespace {

milliseconds left_until(Instances::Clock::time_point deadline) {
    return std::max(std::chrono::floor<milliseconds>(deadline - Instances::Clock::now()),
                    milliseconds{0});
}

}  // namespace

plugin::V1Instance& Instances::of(Service& service) {
    if (plugin::V1Instance* known = service.instance.load(std::memory_order_acquire)) {
        return *known;
    }
    const std::lock_guard lock(mutex_);
    plugin::V1Instance* instance = service.instance.load(std::memory_order_relaxed);
    if (instance == nullptr) {
        instance = &all_.emplace_back(host_, service.endpoint);
        if (ended_) {
            instance->end();  // nobody else would
        }
        service.instance.store(instance, std::memory_order_release);
    }
    return *instance;
}

void Instances::begin_drain(Clock::time_point deadline) noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (all_.empty()) {
            return;
        }
    }
    drain_notice_.deadline = deadline;
    host_.drain_holds.fetch_add(1);  // until plugins have said whether they hold it
    host_.pool.submit(drain_notice_);
}

void Instances::DrainNotice::run() noexcept {
    tell_all();
    instances.host_.drain_holds.fetch_sub(1);
}

void Instances::DrainNotice::tell_all() noexcept {
    for (std::size_t i = 0;; ++i) {
        plugin::V1Instance* instance = nullptr;
        {
            const std::lock_guard lock(instances.mutex_);
            if (i == instances.all_.size()) {
                return;
            }
            instance = &instances.all_[i];
        }
        instance->drain(left_until(deadline));
    }
}

void Instances::tell_of_drain(plugin::V1Instance& instance) const noexcept {
    if (const auto deadline = host_.engine.drain_deadline()) {
        instance.drain(left_until(*deadline));
    }
}

void Instances::end() noexcept {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    for (plugin::V1Instance& instance : all_) {
        instance.end();
    }
}

}  // namespace websocket::httpd
