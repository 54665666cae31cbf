// SPDX-License-Identifier: Apache-2.0
// Counts for each client, many times a second; the text "reset" begins at 0 again. Other messages mean
// nothing to it.
#include <websocket/plugin.hpp>

namespace {

using namespace std::chrono_literals;

struct DumbIncrement {
    static constexpr const char* name = "dumb_increment";
    static constexpr bool never_blocks = true;

    struct Client {
        std::uint64_t count = 0;
        websocket::Timer timer;
    };

    void on_upgrade(websocket::Upgrade& upgrade) {
        upgrade.choose_subprotocol("dumb-increment-protocol");
    }
    void on_open(websocket::Connection connection, Client& client) {
        client.timer = connection.every(50ms, [connection, &client] {
            // A number that a slow client has no room for is sent again.
            if (taken(connection.send(std::to_string(client.count)))) ++client.count;
        });
    }
    void on_message(websocket::Connection, websocket::Message message, Client& client) {
        if (message.text().starts_with("reset")) {
            client.count = 0;
        }
    }
};

}  // namespace

WEBSOCKET_PLUGIN(dumb_increment_init, DumbIncrement)
