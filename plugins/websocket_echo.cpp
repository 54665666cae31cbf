// SPDX-License-Identifier: Apache-2.0
// Sends every message back, and loses none: a client that does not read is not read from.
#include <websocket/plugin.hpp>

namespace {

struct Echo {
    static constexpr const char* name = "echo";
    static constexpr bool never_blocks = true;

    void on_message(websocket::Connection client, websocket::Message message) {
        const websocket::Result result = client.send(message);
        if (result == websocket::Result::queued || result == websocket::Result::full) {
            client.pause();  // much is waiting; on_writable tells when not
        }
    }
    void on_writable(websocket::Connection client) { client.resume(); }
};

}  // namespace

WEBSOCKET_PLUGIN(echo_init, Echo)
