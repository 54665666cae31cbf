// SPDX-License-Identifier: Apache-2.0
// Sends every message back.
#include <websocket/plugin.hpp>

namespace {

struct Echo {
    static constexpr const char* name = "echo";
    static constexpr bool never_blocks = true;

    void on_message(websocket::Connection client, websocket::Message message) {
        client.send(message);
    }
};

}  // namespace

WEBSOCKET_PLUGIN(echo_init, Echo)
