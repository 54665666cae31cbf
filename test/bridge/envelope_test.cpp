// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "bridge/envelope.hpp"

#include <string>
#include <string_view>

#include "protocol/event_encoder.hpp"
#include "unit.hpp"

using websocket::bridge::Envelope;
using websocket::bridge::Heartbeat;

namespace {

Envelope message(std::string_view text, std::string_view fields = {}) {
    return {.type = Envelope::Type::text,
            .host = 0x0102030405060708,
            .sequence = 9,
            .fields = fields,
            .message = text};
}

bool is_refused(const std::string& payload) { return !Envelope::of_payload(payload).has_value(); }

}  // namespace

START_TEST(what_only_looks_like_a_message_of_a_bridge_is_refused) {
    const std::string good = message("hello", "id: 1\n").to_payload();
    for (std::size_t size = 1; size < Envelope::kHead + 2 + 6; ++size) {
        ck_assert_msg(is_refused(good.substr(0, size)), "%zu bytes of it", size);
    }
    for (const auto& [at, byte] : {std::pair{1, '\2'}, {2, '\0'}, {2, '\5'}, {2, '\x85'}}) {
        std::string wrong = good;
        wrong[static_cast<std::size_t>(at)] = byte;
        ck_assert(is_refused(wrong));
    }
    std::string nobody = good;
    nobody.replace(3, 8, 8, '\0');
    ck_assert(is_refused(nobody));
}
END_TEST

START_TEST(text_that_is_not_utf8_is_refused) {
    ck_assert(is_refused(message("\xff").to_payload()));
    ck_assert(is_refused(message("x", "id: \xff\n").to_payload()));
}
END_TEST

START_TEST(fields_that_would_begin_another_event_are_refused) {
    for (const char* fields : {"id: 1", "id: 1\n\ndata: x\n", "\nid: 1\n", "id: 1\r\n", "\n"}) {
        ck_assert_msg(is_refused(message("x", fields).to_payload()), "%s", fields);
    }
    ck_assert(is_refused(message("x", std::string_view("id: \0\n", 6)).to_payload()));
}
END_TEST

START_TEST(fields_that_no_plugin_could_have_made_are_refused) {
    const auto with_fields = [](std::size_t size) {
        return message("x", std::string(size - 1, 'x') + '\n').to_payload();
    };
    ck_assert(!is_refused(with_fields(websocket::protocol::kMaxEventFields)));
    ck_assert(is_refused(with_fields(websocket::protocol::kMaxEventFields + 1)));
    ck_assert(is_refused(with_fields(0x8000)));
    ck_assert(is_refused(with_fields(0xFFFF)));
}
END_TEST

START_TEST(a_message_comes_back_as_it_was) {
    for (const std::string_view fields :
         {std::string_view(), std::string_view("event: a\nid: 1\n")}) {
        for (const std::string_view text : {std::string_view(), std::string_view("\0hello", 6)}) {
            const std::string payload = message(text, fields).to_payload();
            const auto read = Envelope::of_payload(payload);
            ck_assert(read.has_value());
            ck_assert(read->type == Envelope::Type::text);
            ck_assert_uint_eq(read->host, 0x0102030405060708);
            ck_assert_uint_eq(read->sequence, 9);
            ck_assert(read->fields == fields && read->message == text);
        }
    }
}
END_TEST

START_TEST(what_begins_with_no_nul_is_a_message) {
    for (const std::string_view text :
         {std::string_view(), std::string_view("hello"), std::string_view("{\"a\":1}")}) {
        const auto read = Envelope::of_payload(text);
        ck_assert(read && read->type == Envelope::Type::text && read->host == 0);
        ck_assert(read->message == text);
    }
    const auto binary = Envelope::of_payload("\xff\xfe");
    ck_assert(binary && binary->type == Envelope::Type::binary);
}
END_TEST

START_TEST(a_heartbeat_tells_what_was_lost_and_may_tell_more_later) {
    ck_assert(!Heartbeat::of_message("short"));
    const auto read = Heartbeat::of_message(Heartbeat{77}.to_message() + "more");
    ck_assert(read && read->dropped == 77);
}
END_TEST

WEBSOCKET_TEST_SUITE(envelope) {
    tcase_add_test(tests, what_only_looks_like_a_message_of_a_bridge_is_refused);
    tcase_add_test(tests, text_that_is_not_utf8_is_refused);
    tcase_add_test(tests, fields_that_would_begin_another_event_are_refused);
    tcase_add_test(tests, fields_that_no_plugin_could_have_made_are_refused);
    tcase_add_test(tests, a_message_comes_back_as_it_was);
    tcase_add_test(tests, what_begins_with_no_nul_is_a_message);
    tcase_add_test(tests, a_heartbeat_tells_what_was_lost_and_may_tell_more_later);
}
