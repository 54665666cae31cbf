// SPDX-License-Identifier: Apache-2.0
// A function of a plugin that is to be called later.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "engine/connection_id.hpp"
#include "websocket/plugin.h"

namespace websocket::plugin {

class V1Instance;

/// Shared by whatever may still call it: a timer or watch of a loop, and queues of the pool. The
/// plugin's done function is called when the last of them lets go.
class V1Call {
public:
    struct Functions {
        ws_call run = nullptr;
        void (*run_io)(void*, std::uint32_t) = nullptr;  ///< instead of run, for a watch
        ws_call done = nullptr;
        void* data = nullptr;
    };
    using Ref = std::shared_ptr<V1Call>;

    /// The instance is not stopped before this is gone. `owner` has generation 0 when it is the
    /// instance; `number` is 0 for what cannot be cancelled. Throws std::bad_alloc.
    [[nodiscard]] static Ref make(V1Instance& instance, engine::ConnectionId owner,
                                  std::uint64_t number, const Functions& functions);

    V1Call(V1Instance& instance, engine::ConnectionId owner, std::uint64_t number,
           const Functions& functions);
    ~V1Call();
    V1Call(const V1Call&) = delete;
    V1Call& operator=(const V1Call&) = delete;

    [[nodiscard]] V1Instance& instance() const noexcept { return instance_; }
    [[nodiscard]] engine::ConnectionId owner() const noexcept { return owner_; }
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
    [[nodiscard]] bool is_watch() const noexcept { return functions_.run_io != nullptr; }

    /// Calls the function, unless cancelled. Nothing is thrown: it is logged, and closes the owner.
    void run(std::uint32_t events) noexcept;
    /// Of a timer: true once, until run() has ended or end_tick() says that it does not come. [loop]
    [[nodiscard]] bool begin_tick() noexcept { return !ticking_.exchange(true); }
    void end_tick() noexcept { ticking_.store(false); }
    /// No further run(). [any thread]
    void cancel() noexcept { cancelled_.store(true); }
    /// It came to nothing: done is not called either.
    void forget() noexcept { functions_.done = nullptr; }

private:
    V1Instance& instance_;
    const engine::ConnectionId owner_;
    const std::uint64_t number_;
    Functions functions_;
    std::atomic<bool> cancelled_{false};
    std::atomic<bool> ticking_{false};
};

}  // namespace websocket::plugin
