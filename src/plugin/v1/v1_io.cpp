// SPDX-License-Identifier: Apache-2.0
// ws.io/1
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include <memory>
#include <new>
#include <utility>

#include "base/descriptor.hpp"
#include "net/watches.hpp"
#include "plugin/v1/v1_delivery.hpp"
#include "plugin/v1/v1_host.hpp"

namespace websocket::plugin {

using base::Descriptor;
using engine::Loop;

namespace {

constexpr std::uint32_t kEvents = WS_READABLE | WS_WRITABLE;

constexpr std::uint32_t epoll_events(std::uint32_t events) {
    return ((events & WS_READABLE) != 0 ? EPOLLIN : 0U) |
           ((events & WS_WRITABLE) != 0 ? EPOLLOUT : 0U);
}

constexpr std::uint32_t abi_events(std::uint32_t events) {
    return ((events & EPOLLIN) != 0 ? WS_READABLE : 0U) |
           ((events & EPOLLOUT) != 0 ? WS_WRITABLE : 0U) |
           ((events & (EPOLLERR | EPOLLHUP)) != 0 ? WS_BROKEN : 0U);
}

class CallWatch final : public net::WatchTask {
public:
    explicit CallWatch(V1Call::Ref call) noexcept : call_(std::move(call)) {}
    bool ready(std::uint32_t events) noexcept override {
        const V1Call::Ref call = call_;
        Loop& loop = *Loop::current();
        loop.heartbeat().note(engine::LoopWork::watches);
        deliver(loop, call, abi_events(events));
        return call->instance().never_blocks();  // else run_in_pool() says when
    }

private:
    const V1Call::Ref call_;
};

/// epoll refuses these, but only later and on another thread.
bool can_be_polled(int descriptor) {
    struct stat status {};
    return ::fstat(descriptor, &status) == 0 && !S_ISREG(status.st_mode) &&
           !S_ISDIR(status.st_mode);
}

ws_result watch(const ws_host* host, ws_conn conn, int32_t descriptor, uint32_t events,
                void (*run)(void* data, uint32_t events), ws_call done, void* data,
                uint64_t* watch_number) {
    if (host == nullptr || run == nullptr || watch_number == nullptr || (events & ~kEvents) != 0 ||
        !can_be_polled(descriptor)) {
        return WS_BAD_ARG;
    }
    base::Descriptor copy(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    if (!copy.valid()) {
        return WS_NO_MEMORY;
    }
    std::shared_ptr<base::Descriptor> duplicate;
    try {
        duplicate = std::make_shared<base::Descriptor>(std::move(copy));
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
    return begin_call(
        V1Instance::of(host), conn, {nullptr, run, done, data}, *watch_number,
        [duplicate, events](Loop& loop, const V1Call::Ref& call) noexcept -> ws_result {
            try {
                return loop.watches().start(call->number(), call->owner().value(),
                                            std::move(*duplicate), epoll_events(events),
                                            std::make_unique<CallWatch>(call))
                           ? WS_OK
                           : WS_BAD_ARG;
            } catch (const std::bad_alloc&) {
                return WS_NO_MEMORY;
            }
        });
}

void change(const ws_host* host, uint64_t number, uint32_t events) {
    if (host == nullptr || number == 0 || (events & ~kEvents) != 0) {
        return;
    }
    static_cast<void>(on_loop(V1Instance::of(host).host().engine, V1Instance::loop_of(number),
                              [=](Loop& loop, engine::Channel* /*channel*/) noexcept {
                                  loop.watches().change(number, epoll_events(events));
                              }));
}

void unwatch(const ws_host* host, uint64_t number) {
    if (host != nullptr && number != 0) {
        end_call(V1Instance::of(host), number,
                 [number](Loop& loop) noexcept { loop.watches().stop(number); });
    }
}

}  // namespace

const void* io_extension() noexcept {
    static constexpr ws_io_1 kTable{sizeof(ws_io_1), 0, watch, change, unwatch};
    return &kTable;
}

}  // namespace websocket::plugin
