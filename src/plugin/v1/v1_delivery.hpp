// SPDX-License-Identifier: Apache-2.0
// Calls of plugins on their way to the loop that has their timer or watch, and from there to the
// thread that they run on.
#pragma once

#include <new>
#include <utility>

#include "plugin/common/loop_work.hpp"
#include "plugin/v1/v1_instance.hpp"

namespace websocket::plugin {

/// Runs the call on its owner's thread; not at all when the owner has ended. [loop]
void deliver(engine::Loop& loop, const V1Call::Ref& call, std::uint32_t events) noexcept;

/// True when calls may be made for this connection: 0 stands for the plugin. [any thread]
[[nodiscard]] bool is_open(V1Instance& instance, engine::ConnectionId owner) noexcept;

/// Makes a call with a number and has `begin(Loop&, ref)` run on the owner's loop, now or soon. It
/// returns a ws_result, which is the caller's only if it runs now; without success nothing of the
/// plugin is called, or, later, just done. [any thread]
template <class Begin>
[[nodiscard]] ws_result begin_call(V1Instance& instance, ws_conn conn,
                                   const V1Call::Functions& functions, std::uint64_t& number,
                                   Begin begin) noexcept {
    const auto owner = engine::ConnectionId::from_value(conn);
    if (!is_open(instance, owner)) {
        return WS_GONE;
    }
    V1Call::Ref call;
    try {
        call = V1Call::make(instance, owner, instance.next_number(owner), functions);
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
    number = call->number();
    const bool owned = owner.generation() != 0;
    const engine::ConnectionId target = owned ? owner : instance.home();
    engine::Loop* loop = engine::Loop::current();
    ws_result result = WS_GONE;
    if (loop == nullptr || loop->index() != target.loop()) {
        result = post_to_loop(
            instance.host().engine, target,
            [call, owned, begin](engine::Loop& there, engine::Channel* channel) noexcept {
                if (!owned || channel != nullptr) {
                    static_cast<void>(begin(there, call));
                }
            });
    } else if (!owned || loop->serving(owner) != nullptr) {
        result = begin(*loop, call);
    }
    if (result != WS_OK) {
        call->forget();
    }
    return result;
}

/// Cancels a call and has `end(Loop&)` run on its loop, now or soon. [any thread]
template <class End>
void end_call(V1Instance& instance, std::uint64_t number, End end) noexcept {
    if (!instance.cancel(number)) {
        return;
    }
    static_cast<void>(
        on_loop(instance.host().engine, V1Instance::loop_of(number),
                [end](engine::Loop& loop, engine::Channel* /*channel*/) noexcept { end(loop); }));
}

}  // namespace websocket::plugin
