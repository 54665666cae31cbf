// SPDX-License-Identifier: Apache-2.0
//
// What is different where the reader is the client's. The frames are bytes that are written out here, those of
// RFC 6455 section 5.7 and RFC 7692 section 7.2.3 among them, so that no encoder of ours has a part in it.
#include <string>
#include <string_view>

#include "protocol/deflate_receiver.hpp"
#include "protocol/frame_header.hpp"
#include "protocol/message_reader.hpp"
#include "protocol/random.hpp"
#include "protocol/recording_sink.hpp"
#include "unit.hpp"

namespace {

using namespace std::string_literals;
using namespace websocket::test;
using websocket::protocol::BasicMessageReader;
using websocket::protocol::ClientMessageReader;
using websocket::protocol::CloseCode;
using websocket::protocol::ReaderLimits;
using websocket::protocol::Role;

void assert_client_reads(std::string_view bytes, const Events& expected,
                         const ReaderLimits& limits = {}) {
    assert_same_however_split<ClientMessageReader>(bytes, expected, limits);
}

void assert_client_refuses(std::string_view bytes, const char* reason,
                           CloseCode code = CloseCode::protocol_error,
                           const ReaderLimits& limits = {}) {
    assert_client_reads(bytes, {{"violation", reason, static_cast<unsigned>(code)}}, limits);
}

}  // namespace

START_TEST(reads_the_unmasked_examples_of_the_rfc) {
    assert_client_reads("\x81\x05\x48\x65\x6c\x6c\x6f", {{"text", "Hello"}});
    assert_client_reads("\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f", {{"text", "Hello"}});
    assert_client_reads("\x89\x05\x48\x65\x6c\x6c\x6f", {{"ping", "Hello"}});
    const std::string medium(256, 'm');
    assert_client_reads("\x82\x7E\x01\x00"s + medium, {{"binary", medium}});
    const std::string large(65536, 'l');
    const std::string frame = "\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00"s + large;
    assert_events(events_of<ClientMessageReader>(frame), {{"binary", large}}, "at once");
    BasicReceiver<ClientMessageReader> receiver;
    receiver.feed_in_steps(frame, 1000);
    assert_events(receiver.sink.events, {{"binary", large}}, "in steps");
}
END_TEST

START_TEST(a_server_reads_the_masked_examples_of_the_rfc) {
    assert_same_however_split("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", {{"text", "Hello"}});
    assert_same_however_split("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", {{"pong", "Hello"}});
}
END_TEST

START_TEST(refuses_a_masked_frame_with_its_second_byte) {
    assert_client_refuses("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
                          "frame of a server is masked");
    for (const char first : {'\x81', '\x01', '\x82', '\x88', '\x89', '\x8A'}) {
        BasicReceiver<ClientMessageReader> receiver;
        receiver.feed({&first, 1});
        ck_assert(!receiver.sink.ended);
        receiver.feed("\x80");
        assert_events(receiver.sink.events, {{"violation", "frame of a server is masked", 1002}},
                      "two bytes");
    }
}
END_TEST

START_TEST(each_role_refuses_what_the_other_reads) {
    const std::string_view masked = "\x81\x81\x11\x11\x11\x11\x70";
    const std::string_view plain = "\x81\x01\x61";
    assert_same_however_split<BasicMessageReader<Role::server>>(masked, {{"text", "a"}});
    assert_same_however_split<BasicMessageReader<Role::server>>(
        plain, {{"violation", "frame is not masked", 1002}});
    assert_same_however_split<BasicMessageReader<Role::client>>(plain, {{"text", "a"}});
    assert_same_however_split<BasicMessageReader<Role::client>>(
        masked, {{"violation", "frame of a server is masked", 1002}});
}
END_TEST

START_TEST(checks_text_and_close_as_a_server_does) {
    assert_client_reads("\x81\x02\xC3\xA9\x01\x01\xC3\x80\x01\xA9"s,
                        {{"text", "\xC3\xA9"}, {"text", "\xC3\xA9"}});
    assert_client_refuses("\x81\x01\xC3", "text is not UTF-8", CloseCode::invalid_payload);
    assert_client_refuses("\x01\x01\xFF\x80\x01\x61", "text is not UTF-8",
                          CloseCode::invalid_payload);
    assert_client_reads("\x88\x05\x03\xE8"
                        "bye",
                        {{"close", "bye", 1000}});
    assert_client_reads("\x88\x00"s, {{"close", "", 1005}});
    assert_client_refuses("\x88\x01\x03", "Close with half a status code");
    assert_client_refuses("\x88\x02\x03\xEE", "Close with a status code that may not be sent");
}
END_TEST

START_TEST(keeps_the_rules_and_limits_of_frames) {
    assert_client_refuses("\xC1\x01"
                          "a",
                          "a reserved bit is set");
    assert_client_refuses("\x83\x00"s, "unknown opcode");
    assert_client_refuses("\x80\x01"
                          "a",
                          "continuation without a message");
    assert_client_reads("\x01\x01"
                        "a"
                        "\x81\x01"
                        "b",
                        {{"violation", "new message inside a fragmented one", 1002}});
    assert_client_refuses("\x09\x00"s, "fragmented control frame");
    assert_client_refuses("\x89\x7E\x00\x7E"s, "control frame longer than 125 bytes");
    assert_client_refuses("\x82\x7E\x00\x7D"s, "length is not encoded in the fewest bytes");
    assert_client_refuses("\x82\x0B", "message too big", CloseCode::too_big,
                          {.max_message_size = 10});
    assert_client_reads("\x82\x0A"
                        "0123456789",
                        {{"binary", "0123456789"}}, {.max_message_size = 10});
}
END_TEST

START_TEST(a_control_frame_may_come_inside_of_a_message) {
    assert_client_reads("\x01\x02He\x89\x02"
                        "hi"
                        "\x80\x03llo\x8A\x00"s,
                        {{"ping", "hi"}, {"text", "Hello"}, {"pong", ""}});
}
END_TEST

START_TEST(inflates_the_examples_of_the_rfc) {
    // RFC 7692 section 7.2.3.1: in one frame, in two, and once more with what came before.
    const std::string one = "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"s;
    const std::string two = "\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"s;
    const std::string again = "\xc1\x05\xf2\x00\x11\x00\x00"s;
    for (const std::size_t step : {100U, 3U, 1U}) {
        BasicDeflateReceiver<ClientMessageReader> receiver;
        receiver.feed_in_steps(one + again + two + "\x81\x02Hi", step);
        assert_events(receiver.sink.events,
                      {{"text", "Hello"}, {"text", "Hello"}, {"text", "Hello"}, {"text", "Hi"}},
                      "in steps");
    }
    BasicDeflateReceiver<ClientMessageReader> masked;
    masked.feed("\xc1\x87");
    assert_events(masked.sink.events, {{"violation", "frame of a server is masked", 1002}},
                  "compressed");
}
END_TEST

START_TEST(receives_a_long_frame_without_a_copy) {
    const std::string payload = Random(3).text(100'000);
    const std::string size{static_cast<char>(payload.size() >> 16 & 0xFF),
                           static_cast<char>(payload.size() >> 8 & 0xFF),
                           static_cast<char>(payload.size() & 0xFF)};
    BasicReceiver<ClientMessageReader> receiver;
    receiver.feed("\x81\x7F\x00\x00\x00\x00\x00"s + size);
    for (std::size_t at = 0; at < payload.size();) {
        const auto window = receiver.reader.receive_window(1, 30'000);
        ck_assert_uint_gt(window.size(), 0);
        std::copy_n(payload.begin() + static_cast<std::ptrdiff_t>(at), window.size(),
                    window.begin());
        at += window.size();
        receiver.reader.received(window.size(), receiver.sink);
    }
    assert_events(receiver.sink.events, {{"text", payload}}, "in windows");
}
END_TEST

WEBSOCKET_TEST_SUITE(message_reader_client) {
    tcase_add_test(tests, reads_the_unmasked_examples_of_the_rfc);
    tcase_add_test(tests, a_server_reads_the_masked_examples_of_the_rfc);
    tcase_add_test(tests, refuses_a_masked_frame_with_its_second_byte);
    tcase_add_test(tests, each_role_refuses_what_the_other_reads);
    tcase_add_test(tests, checks_text_and_close_as_a_server_does);
    tcase_add_test(tests, keeps_the_rules_and_limits_of_frames);
    tcase_add_test(tests, a_control_frame_may_come_inside_of_a_message);
    tcase_add_test(tests, inflates_the_examples_of_the_rfc);
    tcase_add_test(tests, receives_a_long_frame_without_a_copy);
}
