// SPDX-License-Identifier: Apache-2.0
// ws.drain/1: what a plugin holds is counted for the process, and never for longer than the plugin lives.
// One thread: nothing to see for ThreadSanitizer.
#include <websocket/plugin.hpp>

#include "plugin/v1_service.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

struct HoldingPlugin {
    static constexpr bool never_blocks = true;
    void on_message(websocket::Connection, websocket::Message) {}
};

}  // namespace

WEBSOCKET_PLUGIN(holding_plugin_init, HoldingPlugin)

START_TEST(what_was_not_held_cannot_be_released) {
    V1Service process(holding_plugin_init());
    const auto* table = process.extension<ws_drain_1>(WS_DRAIN_1);
    ck_assert(table != nullptr && table->size == sizeof *table);
    ck_assert_int_eq(table->hold(nullptr), WS_BAD_ARG);
    table->release(nullptr);
    table->release(process.abi());
    ck_assert_uint_eq(process.drain_holds(), 0);
}
END_TEST

START_TEST(holds_add_up_and_end_one_by_one) {
    V1Service process(holding_plugin_init());
    const websocket::Server server(process.abi());
    {
        const websocket::DrainHold first = server.hold_drain();
        websocket::DrainHold second = server.hold_drain();
        ck_assert(first && second);
        ck_assert_uint_eq(process.drain_holds(), 2);
        second = websocket::DrainHold();
        ck_assert_uint_eq(process.drain_holds(), 1);
    }
    ck_assert_uint_eq(process.drain_holds(), 0);
}
END_TEST

START_TEST(a_plugin_that_has_been_stopped_holds_nothing) {
    V1Service process(holding_plugin_init());
    const auto* table = process.extension<ws_drain_1>(WS_DRAIN_1);
    ck_assert_int_eq(table->hold(process.abi()), WS_OK);
    ck_assert_int_eq(table->hold(process.abi()), WS_OK);
    process.end_instance();
    ck_assert_uint_eq(process.drain_holds(), 0);
}
END_TEST

WEBSOCKET_TEST_SUITE(v1_drain) {
    tcase_add_test(tests, what_was_not_held_cannot_be_released);
    tcase_add_test(tests, holds_add_up_and_end_one_by_one);
    tcase_add_test(tests, a_plugin_that_has_been_stopped_holds_nothing);
}
