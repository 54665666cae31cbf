// SPDX-License-Identifier: Apache-2.0
// ws.timer/1
#include <chrono>
#include <memory>
#include <new>
#include <utility>

#include "net/timers.hpp"
#include "plugin/common/loop_work.hpp"
#include "plugin/v1/v1_delivery.hpp"
#include "plugin/v1/v1_host.hpp"
#include "plugin/v1/v1_instance.hpp"

namespace websocket::plugin {

using engine::Loop;
using std::chrono::milliseconds;

namespace {

class CallTimer final : public net::TimerTask {
public:
    explicit CallTimer(V1Call::Ref call) noexcept : call_(std::move(call)) {}
    /// No backlog in the pool either: while the last call waits or runs, there is no other.
    void fire() noexcept override {
        if (call_->begin_tick()) {
            deliver(*Loop::current(), V1Call::Ref(call_), 0);
        }
    }

private:
    const V1Call::Ref call_;
};

ws_result start(const ws_host* host, ws_conn conn, uint64_t delay_ms, uint64_t period_ms,
                ws_call run, ws_call done, void* data, uint64_t* timer) {
    constexpr auto kMax = static_cast<std::uint64_t>(net::Timers::kLongest.count());
    if (host == nullptr || run == nullptr || timer == nullptr || delay_ms > kMax ||
        period_ms > kMax) {
        return WS_BAD_ARG;
    }
    const milliseconds delay(delay_ms);
    const milliseconds period(period_ms);
    return begin_call(V1Instance::of(host), conn, {run, nullptr, done, data}, *timer,
                      [=](Loop& loop, const V1Call::Ref& call) noexcept -> ws_result {
                          try {
                              loop.reactor().timers().start(
                                  call->number(), call->owner().value(),
                                  {loop.reactor().elapsed() + delay, period},
                                  std::make_unique<CallTimer>(call));
                              return WS_OK;
                          } catch (const std::bad_alloc&) {
                              return WS_NO_MEMORY;
                          }
                      });
}

void cancel(const ws_host* host, uint64_t timer) {
    if (host != nullptr && timer != 0) {
        end_call(V1Instance::of(host), timer,
                 [timer](Loop& loop) noexcept { loop.reactor().timers().cancel(timer); });
    }
}

}  // namespace

const void* timer_extension() noexcept {
    static constexpr ws_timer_1 kTable{sizeof(ws_timer_1), 0, start, cancel};
    return &kTable;
}

}  // namespace websocket::plugin
