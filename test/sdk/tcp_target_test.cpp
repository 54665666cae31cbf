// SPDX-License-Identifier: Apache-2.0
#include "../../plugins/tcp_target.hpp"

#include <string>

#include "unit.hpp"

namespace {

/// What is wrong with a target; empty if nothing is.
std::string objection_to_target(const std::string& text) {
    try {
        const tcp::Target target = tcp::parse_target(text);
        ck_assert_msg(target.text() == text, "%s became %s", text.c_str(), target.text().c_str());
        return "";
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
}

}  // namespace

START_TEST(targets_are_written_as_they_were_read) {
    for (const char* text : {"127.0.0.1:1", "[::1]:5900", "[2001:db8::17]:65535", "a:80",
                             "vnc-1.example_net:5900", "unix:/run/x.sock", "unix:/with:colon"}) {
        ck_assert_msg(objection_to_target(text).empty(), "%s", text);
    }
    ck_assert(tcp::parse_target("127.0.0.1:1").is_numeric());
    ck_assert(tcp::parse_target("[::1]:1").is_numeric());
    ck_assert(!tcp::parse_target("localhost:1").is_numeric());
    ck_assert(tcp::parse_target("unix:/x").is_unix());
}
END_TEST

START_TEST(every_objection_says_what_is_allowed) {
    for (const char* text : {"",        ":",          "a",       "a:",
                             "a:x",     "a:0",        "a:65536", "a:-1",
                             "a: 1",    "a:1 ",       ":1",      "[]:1",
                             "[::1]",   "[::1]:",     "::1:1",   "[127.0.0.1]:1",
                             "1.2.3:4", "01.2.3.4:5", "1:2",     "a b:1",
                             "a/b:1",   "unix:",      "unix:x",  "unix_socket:/x"}) {
        const std::string why = objection_to_target(text);
        ck_assert_msg(why.find(std::string("\"") + text + "\" has") == 0, "%s: %s", text,
                      why.c_str());
        ck_assert_msg(why.find("HOST:PORT, [IPV6]:PORT and unix:/PATH") != std::string::npos, "%s",
                      why.c_str());
    }
    ck_assert(objection_to_target("unix:/" + std::string(106, 'x')).empty());
    ck_assert(!objection_to_target("unix:/" + std::string(107, 'x')).empty());
    ck_assert(objection_to_target(std::string(253, 'x') + ":1").empty());
    ck_assert(!objection_to_target(std::string(254, 'x') + ":1").empty());
    ck_assert(!objection_to_target(std::string("a\0b:1", 5)).empty());
}
END_TEST

WEBSOCKET_TEST_SUITE(tcp_target) {
    tcase_add_test(tests, targets_are_written_as_they_were_read);
    tcase_add_test(tests, every_objection_says_what_is_allowed);
}
