// SPDX-License-Identifier: Apache-2.0
// Pongs for a plugin of version 1 whose callbacks may block.
#include <websocket/plugin.hpp>

#include "plugin/v1_service.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

struct PongPlugin {
    void on_message(websocket::Connection, websocket::Message) {}
    void on_pong(websocket::Connection client, websocket::Bytes) { client.send("a Pong"); }
};

}  // namespace

WEBSOCKET_PLUGIN(pong_plugin_init, PongPlugin)

START_TEST(a_client_is_not_read_from_while_its_pongs_wait) {
    V1Service process(pong_plugin_init());
    process.session_options().receive_buffer = 1;
    Peer client = process.connect();
    client.send(masked(Opcode::pong, "") + masked(Opcode::pong, "") + masked(Opcode::ping, "?"));
    client.expect_text("a Pong");
    client.expect_text("a Pong");
    client.expect(Opcode::pong, "?");
}
END_TEST

WEBSOCKET_TEST_SUITE(v1_pong) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_client_is_not_read_from_while_its_pongs_wait);
}
