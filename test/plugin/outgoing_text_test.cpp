// SPDX-License-Identifier: Apache-2.0
// No text that is not UTF-8 leaves, whichever way a plugin of version 1 sends it.
#include "plugin/common/outgoing_text.hpp"

#include <string>
#include <vector>

#include "plugin/v1_service.hpp"
#include "unit.hpp"
#include "websocket/extensions.h"

using namespace websocket::test;

namespace {

constexpr const char* kEuro = "\xE2\x82\xAC";

/// A plugin that does nothing: the test calls the server's functions itself.
struct Fixture {
    ws_plugin plugin = idle();
    V1Service process{&plugin.base};
    const ws_host* host = process.abi();
    ws_conn conn = 0;
    Peer peer = process.connect(&conn);

    Fixture() {
        // Nothing can be sent before it is open.
        await_quietly([this] { return text("open") == WS_OK; }, "the connection");
        peer.expect_text("open");
    }
    static ws_plugin idle() {
        ws_plugin plugin{};
        plugin.base.size = sizeof plugin;
        plugin.base.version = WEBSOCKET_PLUGIN_VERSION_1;
        plugin.flags = WS_NEVER_BLOCKS;
        plugin.minor = WS_ABI_MINOR;
        plugin.name = "idle";
        plugin.plugin_version = "1";
        plugin.on_message = [](void*, void*, ws_conn, uint32_t, uint8_t*, uint64_t) {};
        return plugin;
    }

    ws_result text(std::string_view bytes, uint32_t type = WS_TEXT) {
        return host->send(host, conn, type, bytes.data(), bytes.size(), 0);
    }
    ws_result part(std::string_view bytes, uint32_t which, uint32_t type = WS_TEXT) {
        const auto* streams = process.extension<ws_stream_1>(WS_STREAM_1);
        return streams->send(host, conn, type, which, bytes.data(), bytes.size());
    }
    std::size_t complaints() { return process.service.log.count("WS0311"); }
};

}  // namespace

START_TEST(a_message_that_is_no_text_is_refused) {
    Fixture f;
    for (const char* wrong : {"\xFF", "a\xC3", "\xED\xA0\x80", "\xC0\x80", "\xF4\x90\x80\x80"}) {
        ck_assert_int_eq(f.text(wrong), WS_BAD_ARG);
        ck_assert_int_eq(f.text(std::string(10'000, 'x') + wrong), WS_BAD_ARG);
    }
    ck_assert_uint_eq(f.complaints(), 10);
    ck_assert_int_eq(f.text("\xFF", WS_BINARY), WS_OK);
    ck_assert_int_eq(f.text("\xFF", WS_PING), WS_OK);
    ck_assert_int_eq(f.text(kEuro), WS_OK);
    f.peer.expect(Opcode::binary, "\xFF");
    f.peer.expect(Opcode::ping, "\xFF");
    f.peer.expect_text(kEuro);
}
END_TEST

START_TEST(a_prepared_message_is_refused_when_it_is_made) {
    Fixture f;
    const auto* buffers = f.process.extension<ws_buffer_1>(WS_BUFFER_1);
    ck_assert_ptr_null(buffers->make(f.host, WS_TEXT, "\xFF", 1));
    ws_buffer* binary = buffers->make(f.host, WS_BINARY, "\xFF", 1);
    ck_assert_ptr_nonnull(binary);
    buffers->release(binary);
    ck_assert_uint_eq(f.complaints(), 1);
}
END_TEST

START_TEST(nothing_is_published_that_is_no_text) {
    Fixture f;
    f.process.bus.elsewhere = true;
    const auto* topics = f.process.extension<ws_topic_1>(WS_TOPIC_1);
    const auto publish = [&](std::string_view bytes, uint32_t type) {
        return topics->publish(f.host, "t", 1, type, bytes.data(), bytes.size(), 0, 0);
    };
    ck_assert_int_eq(publish("\xFF", WS_TEXT), WS_BAD_ARG);
    ck_assert_int_eq(publish("\xFE", WS_BINARY), WS_OK);
    ck_assert_int_eq(publish(kEuro, WS_TEXT), WS_OK);
    ck_assert((f.process.bus.published ==
               std::vector<std::string>{"\x82\x01\xFE", std::string("\x81\x03") + kEuro}));
    ck_assert_uint_eq(f.complaints(), 1);
}
END_TEST

START_TEST(a_character_may_be_in_two_parts_of_a_text) {
    Fixture f;
    ck_assert_int_eq(f.part("a\xE2", WS_FIRST), WS_OK);
    ck_assert_int_eq(f.part("", 0), WS_OK);
    ck_assert_int_eq(f.part("\x82", 0), WS_OK);
    ck_assert_int_eq(f.part("\xAC", WS_LAST), WS_OK);
    ck_assert_int_eq(f.part(kEuro, WS_FIRST | WS_LAST), WS_OK);
    for (const char* expected : {"a\xE2", "", "\x82", "\xAC"}) {
        ck_assert(f.peer.receive().payload == expected);
    }
    f.peer.expect_text(kEuro);
    ck_assert_uint_eq(f.complaints(), 0);
}
END_TEST

/// Which leaves the message as it was: another part may follow.
START_TEST(a_part_that_makes_no_text_is_refused) {
    Fixture f;
    ck_assert_int_eq(f.part("\xFF", WS_FIRST), WS_BAD_ARG);
    ck_assert_int_eq(f.part("\xE2", WS_FIRST), WS_OK);
    ck_assert_int_eq(f.part("\x82", WS_LAST), WS_BAD_ARG);  // not the end of a character
    ck_assert_int_eq(f.part("x", 0), WS_BAD_ARG);
    ck_assert_int_eq(f.part("x", 0, WS_BINARY), WS_BAD_ARG);  // it is a text all the same
    ck_assert_int_eq(f.part("\x82\xAC", WS_LAST), WS_OK);
    ck_assert_int_eq(f.part("\xFF", WS_FIRST, WS_BINARY), WS_OK);
    ck_assert_int_eq(f.part("\xFF", WS_LAST, WS_BINARY), WS_OK);
    ck_assert(f.peer.receive().payload == "\xE2");
    ck_assert(f.peer.receive().payload == "\x82\xAC");
    f.peer.expect(Opcode::binary, "\xFF");
    f.peer.expect(Opcode::continuation, "\xFF");
    ck_assert_uint_eq(f.complaints(), 4);
}
END_TEST

START_TEST(texts_of_several_connections_are_apart) {
    Fixture f;
    const ws_conn first = f.conn;
    ck_assert_int_eq(f.part("\xE2", WS_FIRST), WS_OK);
    Peer other = f.process.connect(&f.conn);
    await_quietly([&] { return f.text("open") == WS_OK; }, "the other connection");
    ck_assert_int_eq(f.part("a", WS_FIRST), WS_OK);
    ck_assert_int_eq(f.part("b", WS_LAST), WS_OK);
    f.conn = first;
    ck_assert_int_eq(f.part("\x82\xAC", WS_LAST), WS_OK);
    f.peer.send_close(1000);
    f.peer.read_to_end();
    await_quietly([&] { return f.part("x", WS_FIRST) == WS_GONE; }, "the end of the first one");
    ck_assert_int_eq(f.part("x", WS_LAST), WS_GONE);
}
END_TEST

WEBSOCKET_TEST_SUITE(outgoing_text) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_message_that_is_no_text_is_refused);
    tcase_add_test(tests, a_prepared_message_is_refused_when_it_is_made);
    tcase_add_test(tests, nothing_is_published_that_is_no_text);
    tcase_add_test(tests, a_character_may_be_in_two_parts_of_a_text);
    tcase_add_test(tests, a_part_that_makes_no_text_is_refused);
    tcase_add_test(tests, texts_of_several_connections_are_apart);
}
