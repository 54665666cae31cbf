// SPDX-License-Identifier: Apache-2.0
// Functions as tasks of a loop.
#pragma once

#include <memory>
#include <new>
#include <utility>

#include "engine/engine.hpp"
#include "engine/loop_task.hpp"
#include "websocket/plugin.h"

namespace websocket::plugin {

template <class Work>
class LoopWork final : public engine::LoopTask {
public:
    explicit LoopWork(Work&& work) noexcept : work_(std::move(work)) {}
    void run(engine::Loop& loop, engine::Channel* channel) noexcept override {
        work_(loop, channel);
    }

private:
    Work work_;
};

/// Has `work(Loop&, Channel*)` run on the loop of `id`, later; see Engine::post(). `work` throws
/// nothing. Unless this returns WS_OK, it is destroyed without. [any thread]
template <class Work>
[[nodiscard]] ws_result post_to_loop(engine::Engine& engine, engine::ConnectionId id,
                                     Work work) noexcept {
    std::unique_ptr<engine::LoopTask> task(new (std::nothrow) LoopWork<Work>(std::move(work)));
    if (task == nullptr) {
        return WS_NO_MEMORY;
    }
    switch (engine.post(id, task)) {
        case engine::Engine::Posted::yes: return WS_OK;
        case engine::Engine::Posted::gone: return WS_GONE;
        case engine::Engine::Posted::no_memory: break;
    }
    return WS_NO_MEMORY;
}

/// The same, but at once when this is the loop's thread. [any thread]
template <class Work>
[[nodiscard]] ws_result on_loop(engine::Engine& engine, engine::ConnectionId id,
                                Work work) noexcept {
    engine::Loop* loop = engine::Loop::current();
    if (loop != nullptr && loop->index() == id.loop()) {
        work(*loop, loop->serving(id));
        return WS_OK;
    }
    return post_to_loop(engine, id, std::move(work));
}

}  // namespace websocket::plugin
