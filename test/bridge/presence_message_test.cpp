// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "bridge/presence_message.hpp"

#include <string>
#include <string_view>

#include "unit.hpp"

using websocket::bridge::PresenceChange;
using websocket::bridge::PresenceMessage;
using Kind = PresenceMessage::Kind;

namespace {

const std::string kRoom("\4=wwwroom");

std::string bytes_of(const PresenceChange& change) {
    std::string text;
    change.append_to(text);
    return text;
}

bool is_refused(const PresenceChange& change) {
    const std::string text = bytes_of(change);
    std::string_view rest = text;
    return !PresenceChange::take(rest) && rest == text;
}

}  // namespace

START_TEST(changes_that_no_bridge_writes_are_refused) {
    const std::string id(255, 'i');
    const std::string info(4096, 'x');
    ck_assert(!is_refused({true, kRoom, id, info}));
    ck_assert(is_refused({true, kRoom, "", info}));
    ck_assert(is_refused({true, kRoom, id, info + 'x'}));
    for (const std::string& key :
         {std::string(), std::string("\4=www"), std::string("\4=ww"), std::string("\4@wwwroom"),
          std::string("\4=www\0room", 10), "\4=www" + std::string(256, 'r')}) {
        ck_assert_msg(is_refused({true, key, "alice", ""}), "%s", key.c_str());
    }
    std::string third = bytes_of({true, kRoom, "alice", ""});
    third[0] = '\2';
    std::string_view rest = third;
    ck_assert(!PresenceChange::take(rest));
}
END_TEST

START_TEST(messages_that_are_not_whole_are_refused) {
    const std::string changes =
        bytes_of({true, kRoom, "alice", "1"}) + bytes_of({false, kRoom, "bob"});
    const std::string good =
        PresenceMessage{.kind = Kind::state, .flags = 3, .host = 7, .changes = changes}
            .to_message();
    const std::size_t head = good.size() - changes.size();
    for (std::size_t size = 0; size < good.size(); ++size) {
        const bool at_border =
            size == head || size == head + bytes_of({true, kRoom, "alice", "1"}).size();
        ck_assert_int_eq(PresenceMessage::of_message(good.substr(0, size)).has_value(), at_border);
    }
    const std::string ask = PresenceMessage{.kind = Kind::ask, .host = 7, .asked = 8}.to_message();
    ck_assert(!PresenceMessage::of_message(ask.substr(0, ask.size() - 1)));
    for (const auto kind : {'\0', '\6', '\xff'}) {
        std::string wrong = good;
        wrong[0] = kind;
        ck_assert(!PresenceMessage::of_message(wrong));
    }
    ck_assert(!PresenceMessage::of_message(PresenceMessage{.host = 0}.to_message()));
}
END_TEST

START_TEST(a_message_of_presence_comes_back_as_it_was) {
    const std::string changes =
        bytes_of({true, kRoom, "alice", "1"}) + bytes_of({false, kRoom, "bob"});
    const std::string text = PresenceMessage{.kind = Kind::changes,
                                             .flags = PresenceMessage::kLast,
                                             .host = 0x0102030405060708,
                                             .changes = changes}
                                 .to_message();
    const auto message = PresenceMessage::of_message(text).value();
    ck_assert(message.kind == Kind::changes && message.host == 0x0102030405060708);
    ck_assert_uint_eq(message.flags, PresenceMessage::kLast);
    std::string_view rest = message.changes;
    const auto alice = PresenceChange::take(rest).value();
    ck_assert(alice.present && alice.key == kRoom && alice.id == "alice" && alice.info == "1");
    const auto bob = PresenceChange::take(rest).value();
    ck_assert(!bob.present && bob.key == kRoom && bob.id == "bob" && bob.info.empty());
    ck_assert(rest.empty());
    const std::string ask = PresenceMessage{.kind = Kind::ask, .host = 7, .asked = 8}.to_message();
    ck_assert_uint_eq(PresenceMessage::of_message(ask)->asked, 8);
}
END_TEST

WEBSOCKET_TEST_SUITE(presence_message) {
    tcase_add_test(tests, changes_that_no_bridge_writes_are_refused);
    tcase_add_test(tests, messages_that_are_not_whole_are_refused);
    tcase_add_test(tests, a_message_of_presence_comes_back_as_it_was);
}
