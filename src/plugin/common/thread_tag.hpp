// SPDX-License-Identifier: Apache-2.0
// The thread tags of the plugin interface, checked in builds with sanitizers.
#pragma once

#include <cstdlib>

#include "engine/engine.hpp"

namespace websocket::plugin {

/// What is tagged [conn] runs on a loop or elsewhere, as the plugin's flags say.
inline void expect_thread([[maybe_unused]] bool on_loop) noexcept {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(WEBSOCKET_DEBUG)
    if (engine::Engine::on_loop() != on_loop) {
        std::abort();
    }
#endif
}

}  // namespace websocket::plugin
