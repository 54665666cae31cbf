// SPDX-License-Identifier: Apache-2.0
//
// The rules, one by one. Every case is read at once, in two parts wherever they are cut, and byte by
// byte; message_reader_split_test.cpp does the same with random streams.
#include "protocol/message_reader.hpp"

#include <array>
#include <string>
#include <vector>

#include "protocol/client_frame.hpp"
#include "protocol/recording_sink.hpp"
#include "unit.hpp"

namespace {

using namespace websocket::test;
using websocket::protocol::CloseCode;
using websocket::protocol::ReaderLimits;

std::string text(std::string_view payload) { return client_frame({.payload = payload}); }
std::string binary(std::string_view payload) {
    return client_frame({.opcode = Opcode::binary, .payload = payload});
}
std::string first(std::string_view payload, Opcode opcode = Opcode::text) {
    return client_frame({.opcode = opcode, .payload = payload, .fin = false});
}
std::string next(std::string_view payload) {
    return client_frame({.opcode = Opcode::continuation, .payload = payload, .fin = false});
}
std::string last(std::string_view payload) {
    return client_frame({.opcode = Opcode::continuation, .payload = payload});
}
std::string ping(std::string_view payload) {
    return client_frame({.opcode = Opcode::ping, .payload = payload});
}
std::string pong(std::string_view payload) {
    return client_frame({.opcode = Opcode::pong, .payload = payload});
}
std::string close(std::string_view payload) {
    return client_frame({.opcode = Opcode::close, .payload = payload});
}

/// That `bytes` give `before` and then one violation of this code, and that nothing behind them is
/// read any more.
void assert_refused(const std::string& bytes, CloseCode code, Events before = {},
                    const ReaderLimits& limits = {}) {
    Events events = events_of(bytes, limits);
    ck_assert_msg(!events.empty() && events.back().kind == "violation", "%s",
                  describe(events).c_str());
    ck_assert_uint_eq(events.back().code, static_cast<unsigned>(code));
    ck_assert(!events.back().bytes.empty());
    before.push_back(events.back());
    assert_same_however_split(bytes + text("never seen"), before, limits);
}

/// A Close with this code and nothing more.
void assert_close_refused(unsigned code, const ReaderLimits& limits = {}) {
    assert_refused(close(close_payload(code)), CloseCode::protocol_error, {}, limits);
}
void assert_close_accepted(unsigned code, const ReaderLimits& limits = {}) {
    assert_same_however_split(close(close_payload(code)), {{"close", "", code}}, limits);
}

}  // namespace

START_TEST(delivers_whole_messages_of_both_types) {
    assert_same_however_split(text("Hello"), {{"text", "Hello"}});
    assert_same_however_split(binary(std::string("\0\xFF\x80", 3)),
                              {{"binary", std::string("\0\xFF\x80", 3)}});
    assert_same_however_split(text("") + binary(""), {{"text", ""}, {"binary", ""}});
}
END_TEST

START_TEST(delivers_every_width_of_length) {
    for (const std::size_t size : {1U, 125U, 126U, 127U, 500U}) {
        const std::string payload(size, 'p');
        assert_same_however_split(text(payload) + binary(payload),
                                  {{"text", payload}, {"binary", payload}});
    }
    for (const std::size_t size : {65535U, 65536U, 65537U, 200000U}) {
        const std::string payload(size, 'p');
        assert_events(events_of(text(payload)), {{"text", payload}}, "at once");
        Receiver receiver;
        receiver.feed_in_steps(text(payload), 1000);
        assert_events(receiver.sink.events, {{"text", payload}}, "in steps");
    }
}
END_TEST

START_TEST(delivers_several_messages_of_one_read_in_their_order) {
    assert_same_however_split(
        text("a") + ping("b") + binary("c") + pong("d") + text("e"),
        {{"text", "a"}, {"ping", "b"}, {"binary", "c"}, {"pong", "d"}, {"text", "e"}});
}
END_TEST

START_TEST(puts_fragments_together) {
    assert_same_however_split(first("Hel") + last("lo"), {{"text", "Hello"}});
    assert_same_however_split(first("a") + next("b") + next("c") + last("d"), {{"text", "abcd"}});
    assert_same_however_split(first("\xFF", Opcode::binary) + last("\xFE"),
                              {{"binary", "\xFF\xFE"}});
    assert_same_however_split(first("") + next("") + last(""), {{"text", ""}});
    assert_same_however_split(first("") + next("x") + last(""), {{"text", "x"}});
    assert_same_however_split(first("a") + last("b") + first("c") + last("d"),
                              {{"text", "ab"}, {"text", "cd"}});
}
END_TEST

START_TEST(answers_control_frames_between_fragments_before_the_message) {
    assert_same_however_split(first("a") + ping("1") + next("b") + pong("") + ping("2") + last("c"),
                              {{"ping", "1"}, {"pong", ""}, {"ping", "2"}, {"text", "abc"}});
}
END_TEST

START_TEST(a_ping_inside_of_a_character_does_not_break_it) {
    assert_same_however_split(first("\xE2") + ping("\xFF") + next("\x82") + ping("") + last("\xAC"),
                              {{"ping", "\xFF"}, {"ping", ""}, {"text", "\xE2\x82\xAC"}});
}
END_TEST

START_TEST(delivers_control_payloads_up_to_125_bytes) {
    for (const std::size_t size : {0U, 1U, 124U, 125U}) {
        const std::string payload(size, '\xAA');
        assert_same_however_split(ping(payload) + pong(payload),
                                  {{"ping", payload}, {"pong", payload}});
    }
}
END_TEST

START_TEST(a_message_may_end_the_conversation_with_a_close) {
    assert_same_however_split(text("a") + close(close_payload(1000, "bye")) + text("never seen"),
                              {{"text", "a"}, {"close", "bye", 1000}});
    assert_same_however_split(close(""), {{"close", "", 1005}});
    assert_same_however_split(first("lost") + close(close_payload(1001)) + last("never seen"),
                              {{"close", "", 1001}});
    const std::string reason(123, 'r');
    assert_same_however_split(close(close_payload(4999, reason)), {{"close", reason, 4999}});
}
END_TEST

START_TEST(refuses_half_a_status_code) { assert_refused(close("\x03"), CloseCode::protocol_error); }
END_TEST

START_TEST(accepts_registered_and_private_status_codes) {
    for (const unsigned code : {1000U, 1001U, 1002U, 1003U, 1007U, 1008U, 1009U, 1010U, 1011U,
                                1012U, 1013U, 3000U, 3999U, 4000U, 4999U}) {
        assert_close_accepted(code);
    }
}
END_TEST

START_TEST(refuses_prohibited_status_codes_whatever_is_configured) {
    const ReaderLimits lenient{.allow_reserved_close_codes = true};
    for (const unsigned code : {0U, 1U, 999U, 1005U, 1006U, 1015U, 5000U, 65535U}) {
        assert_close_refused(code);
        assert_close_refused(code, lenient);
    }
}
END_TEST

START_TEST(reserved_status_codes_pass_where_they_are_allowed) {
    const ReaderLimits lenient{.allow_reserved_close_codes = true};
    for (const unsigned code : {1004U, 1016U, 1100U, 2000U, 2999U}) {
        assert_close_refused(code);
        assert_close_accepted(code, lenient);
    }
}
END_TEST

START_TEST(a_close_reason_has_to_be_text) {
    assert_same_however_split(close(close_payload(1000, "\xC3\xA9")),
                              {{"close", "\xC3\xA9", 1000}});
    assert_refused(close(close_payload(1000, "\xC3")), CloseCode::invalid_payload);
    assert_refused(close(close_payload(1000, "a\xFFz")), CloseCode::invalid_payload);
    assert_refused(close(close_payload(1000, "\xED\xA0\x80")), CloseCode::invalid_payload);
}
END_TEST

START_TEST(refuses_what_is_no_utf8) {
    for (const std::string bad :
         {"\x80", "\xC0\xAF", "\xE2\x28\xA1", "\xED\xA0\x80", "\xF4\x90\x80\x80", "fine until \xFF",
          "\xE2\x82", "\xF0\x9F\x98"}) {
        const std::string long_text = std::string(90, 'a') + bad;
        assert_refused(text("fine") + text(bad), CloseCode::invalid_payload, {{"text", "fine"}});
        assert_refused(text(long_text), CloseCode::invalid_payload);
        assert_refused(first("") + last(bad), CloseCode::invalid_payload);
        assert_refused(first(bad) + last(""), CloseCode::invalid_payload);
    }
}
END_TEST

START_TEST(a_character_may_be_cut_by_fragments_but_not_left_open) {
    const std::string smile = "\xF0\x9F\x98\x80";
    for (std::size_t cut = 0; cut <= smile.size(); ++cut) {
        assert_same_however_split(first(smile.substr(0, cut)) + last(smile.substr(cut)),
                                  {{"text", smile}});
    }
    assert_refused(first("\xF0\x9F") + last("") + text("\x98\x80"), CloseCode::invalid_payload);
}
END_TEST

START_TEST(fails_with_the_first_byte_that_cannot_be_text) {
    const std::string before = std::string(200, 'a') + "\xE2\x82\xAC";
    const std::string payload = before + "\xED\xA0" + std::string(200, 'b');
    for (const std::string& frame : {text(payload), first(payload)}) {
        const std::size_t good = frame.size() - payload.size() + before.size() + 1;
        Receiver receiver;
        for (std::size_t i = 0; i <= good; ++i) {
            ck_assert_msg(receiver.sink.events.empty(), "%zu of %zu", i, good);
            receiver.feed(std::string_view(frame).substr(i, 1));
        }
        ck_assert_uint_eq(receiver.sink.events.size(), 1);
        ck_assert_uint_eq(receiver.sink.events[0].code, 1007);
    }
}
END_TEST

START_TEST(binary_messages_are_not_checked_for_text) {
    std::string payload(256, '\0');
    for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(i);
    assert_same_however_split(binary(payload) + first(payload, Opcode::binary) + last(payload),
                              {{"binary", payload}, {"binary", payload + payload}});
}
END_TEST

START_TEST(refuses_frames_out_of_place) {
    assert_refused(last("x"), CloseCode::protocol_error);
    assert_refused(next("x"), CloseCode::protocol_error);
    assert_refused(text("a") + last("x"), CloseCode::protocol_error, {{"text", "a"}});
    assert_refused(first("a") + last("b") + last("x"), CloseCode::protocol_error, {{"text", "ab"}});
    assert_refused(first("a") + text("x"), CloseCode::protocol_error);
    assert_refused(first("a") + ping("p") + binary("x"), CloseCode::protocol_error,
                   {{"ping", "p"}});
    assert_refused(first("") + first(""), CloseCode::protocol_error);
}
END_TEST

START_TEST(refuses_malformed_frames) {
    assert_refused(client_frame({.payload = "x", .masked = false}), CloseCode::protocol_error);
    assert_refused(client_frame({.payload = "x", .rsv = 4}), CloseCode::protocol_error);
    assert_refused(client_frame({.opcode = static_cast<Opcode>(3)}), CloseCode::protocol_error);
    assert_refused(client_frame({.opcode = static_cast<Opcode>(11)}), CloseCode::protocol_error);
    assert_refused(ping(std::string(126, 'p')), CloseCode::protocol_error);
    assert_refused(client_frame({.opcode = Opcode::ping, .fin = false}), CloseCode::protocol_error);
    assert_refused(client_frame({.payload = "x", .length_bytes = 2}), CloseCode::protocol_error);
    assert_refused(client_header({}, UINT64_MAX), CloseCode::too_big);
}
END_TEST

START_TEST(the_message_size_limit_is_inclusive_over_all_fragments) {
    const ReaderLimits limits{.max_message_size = 4};
    assert_same_however_split(text("1234") + text("1234") + ping("1234"),
                              {{"text", "1234"}, {"text", "1234"}, {"ping", "1234"}}, limits);
    assert_same_however_split(first("12") + ping("1234") + next("") + last("34"),
                              {{"ping", "1234"}, {"text", "1234"}}, limits);
    assert_refused(text("12345"), CloseCode::too_big, {}, limits);
    assert_refused(first("12") + ping("p") + last("345"), CloseCode::too_big, {{"ping", "p"}},
                   limits);
    assert_refused(first("1") + client_header({.opcode = Opcode::continuation}, INT64_MAX),
                   CloseCode::too_big, {}, limits);
    // A Close counts as a message, as it did in the module that this one replaces.
    assert_refused(close(close_payload(1000, "123")), CloseCode::too_big, {}, limits);
}
END_TEST

START_TEST(the_message_size_limit_is_none_for_pings_and_pongs) {
    const ReaderLimits limits{.max_message_size = 1};
    const std::string longest(125, 'p');
    assert_same_however_split(
        ping(longest) + client_frame({.opcode = Opcode::pong, .payload = longest}) + text("x"),
        {{"ping", longest}, {"pong", longest}, {"text", "x"}}, limits);
}
END_TEST

START_TEST(the_limits_of_one_message_start_anew_with_the_next) {
    const ReaderLimits limits{.max_message_size = 4, .max_fragments = 2, .max_empty_fragments = 1};
    std::string bytes;
    Events events;
    for (int i = 0; i < 5; ++i) {
        bytes += first("") + last("1234") + text("") + text("1234");
        events.insert(events.end(), {{"text", "1234"}, {"text", ""}, {"text", "1234"}});
    }
    assert_same_however_split(bytes, events, limits);
}
END_TEST

START_TEST(refuses_too_many_fragments) {
    const ReaderLimits limits{.max_fragments = 3, .max_empty_fragments = 2};
    assert_same_however_split(first("a") + next("b") + last("c"), {{"text", "abc"}}, limits);
    assert_same_however_split(first("") + next("b") + last(""), {{"text", "b"}}, limits);
    assert_refused(first("a") + next("b") + next("c") + last("d"), CloseCode::policy_violation, {},
                   limits);
    assert_refused(first("") + next("") + last(""), CloseCode::policy_violation, {}, limits);
}
END_TEST

START_TEST(nothing_is_read_behind_the_end) {
    for (const std::string& end : {close(""), text("\xFF"), last("x")}) {
        std::string bytes = end + text("never seen");
        websocket::protocol::MessageReader reader;
        RecordingSink sink;
        std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
        static_cast<void>(reader.consume(copy, {}, sink));
        ck_assert_uint_eq(sink.events.size(), 1);
        ck_assert(std::string(copy.begin(), copy.end()).ends_with(text("never seen")));
    }
}
END_TEST

START_TEST(a_sink_may_be_told_of_fragments_and_stop_at_each) {
    struct FragmentSink : RecordingSink {
        std::size_t fragments = 0;
        websocket::protocol::Next on_fragment() {
            ++fragments;
            return websocket::protocol::Next::stop;
        }
    };
    const std::string input =
        text("whole") + first("a") + ping("p") + next("") + next("b") + last("c") + first("d");
    websocket::protocol::MessageReader reader;
    FragmentSink sink;
    std::vector<std::uint8_t> bytes(input.begin(), input.end());
    std::span<std::uint8_t> rest(bytes);
    for (std::size_t wanted = 1; wanted <= 4; ++wanted) {
        rest = rest.subspan(reader.consume(rest, {}, sink));
        ck_assert_uint_eq(sink.fragments, wanted);
        ck_assert_uint_eq(rest.empty(), wanted == 4);
    }
    assert_events(sink.events, {{"text", "whole"}, {"ping", "p"}, {"text", "abc"}}, "stopped");
}
END_TEST

WEBSOCKET_TEST_SUITE(message_reader) {
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, delivers_whole_messages_of_both_types);
    tcase_add_test(tests, delivers_every_width_of_length);
    tcase_add_test(tests, delivers_several_messages_of_one_read_in_their_order);
    tcase_add_test(tests, puts_fragments_together);
    tcase_add_test(tests, a_sink_may_be_told_of_fragments_and_stop_at_each);
    tcase_add_test(tests, answers_control_frames_between_fragments_before_the_message);
    tcase_add_test(tests, a_ping_inside_of_a_character_does_not_break_it);
    tcase_add_test(tests, delivers_control_payloads_up_to_125_bytes);
    tcase_add_test(tests, a_message_may_end_the_conversation_with_a_close);
    tcase_add_test(tests, refuses_half_a_status_code);
    tcase_add_test(tests, accepts_registered_and_private_status_codes);
    tcase_add_test(tests, refuses_prohibited_status_codes_whatever_is_configured);
    tcase_add_test(tests, reserved_status_codes_pass_where_they_are_allowed);
    tcase_add_test(tests, a_close_reason_has_to_be_text);
    tcase_add_test(tests, refuses_what_is_no_utf8);
    tcase_add_test(tests, a_character_may_be_cut_by_fragments_but_not_left_open);
    tcase_add_test(tests, fails_with_the_first_byte_that_cannot_be_text);
    tcase_add_test(tests, binary_messages_are_not_checked_for_text);
    tcase_add_test(tests, refuses_frames_out_of_place);
    tcase_add_test(tests, refuses_malformed_frames);
    tcase_add_test(tests, the_message_size_limit_is_inclusive_over_all_fragments);
    tcase_add_test(tests, the_message_size_limit_is_none_for_pings_and_pongs);
    tcase_add_test(tests, the_limits_of_one_message_start_anew_with_the_next);
    tcase_add_test(tests, refuses_too_many_fragments);
    tcase_add_test(tests, nothing_is_read_behind_the_end);
}
