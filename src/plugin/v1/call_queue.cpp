// SPDX-License-Identifier: Apache-2.0
#include "plugin/v1/call_queue.hpp"

#include <new>
#include <utility>

#include "plugin/common/loop_work.hpp"
#include "plugin/v1/v1_instance.hpp"

namespace websocket::plugin {

void CallQueue::push(const V1Call::Ref& call, std::uint32_t events) noexcept {
    const std::lock_guard lock(mutex_);
    try {
        waiting_.push_back({call, events});
    } catch (const std::bad_alloc&) {
        leave_out(host_, *call);
        return;
    }
    if (!std::exchange(scheduled_, true)) {
        host_.pool.submit(*this);
    }
}

void CallQueue::run() noexcept {
    std::unique_lock lock(mutex_);
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    run_in_pool(host_, *next.call, next.events);
    // While something waits, its reference keeps the instance, and so this, in use.
    lock.lock();
    scheduled_ = !waiting_.empty();
    if (scheduled_) {
        host_.pool.submit(*this);
    }
    lock.unlock();
    next.call.reset();
}

void leave_out(Host& host, V1Call& call) noexcept {
    host.log.write(base::LogLevel::error, "WS0413: out of memory, leaving out a call");
    call.end_tick();
}

void run_in_pool(Host& host, V1Call& call, std::uint32_t events) noexcept {
    call.run(events);
    if (call.is_watch()) {
        const std::uint64_t number = call.number();
        static_cast<void>(on_loop(host.engine, V1Instance::loop_of(number),
                                  [number](engine::Loop& loop, engine::Channel*) noexcept {
                                      loop.watches().rearm(number);
                                  }));
    }
}

}  // namespace websocket::plugin
