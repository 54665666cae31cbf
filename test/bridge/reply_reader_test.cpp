// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "bridge/reply_reader.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "unit.hpp"

using websocket::bridge::Reply;
using websocket::bridge::ReplyReader;

namespace {

constexpr std::size_t kMost = 1000;

std::span<const std::uint8_t> bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

struct Result {
    std::vector<Reply> replies;
    std::string error;
};

/// What the pieces, of `size` bytes each, are read as.
Result read(std::string_view text, std::size_t size) {
    ReplyReader reader(kMost);
    Result result;
    while (!text.empty()) {
        const bool taken = reader.feed(bytes(text.substr(0, size)));
        text.remove_prefix(std::min(size, text.size()));
        while (auto reply = reader.next()) {
            result.replies.push_back(std::move(*reply));
        }
        if (!taken) {
            break;
        }
    }
    result.error = reader.error();
    return result;
}

constexpr std::string_view
    kGoodReplies("+OK\r\n-LOADING wait\r\n:42\r\n$-1\r\n*-1\r\n"
                 "*3\r\n$7\r\nmessage\r\n$4\r\na\0b\n\r\n$2\r\n\r\n\r\n*0\r\n"
                 "*2\r\n*1\r\n:1\r\n*2\r\n$1\r\nx\r\n:-9\r\n",
                 102);

}  // namespace

START_TEST(what_is_no_reply_is_refused) {
    using namespace std::string_literals;
    for (const std::string& wrong : {"hello\r\n"s, "$x\r\n"s, "$-2\r\n"s, "*-2\r\n"s, ":1x\r\n"s,
                                     "$99999999999999999999\r\n"s, "*2147483647\r\n"s, "*5000\r\n"s,
                                     "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"s,
                                     "*3000\r\n*3000\r\n"s, "*1\r\n?\r\n"s}) {
        for (const std::size_t size : {std::size_t{1}, std::size_t{7}, wrong.size()}) {
            const Result result = read(wrong, size);
            ck_assert_msg(!result.error.empty(), "%s was taken", wrong.c_str());
            ck_assert_uint_eq(result.replies.size(), 0);
        }
    }
}
END_TEST

START_TEST(a_reply_that_is_too_long_is_refused_when_it_comes) {
    const Result announced = read("$536870912\r\n", 3);
    ck_assert(announced.error.empty());  // nothing of it is there yet
    const Result sent = read("$536870912\r\n" + std::string(kMost, 'x'), 64);
    ck_assert(sent.error.starts_with("a reply is longer than 1000 bytes"));
}
END_TEST

START_TEST(replies_are_the_same_wherever_they_are_cut) {
    for (std::size_t size = 1; size <= kGoodReplies.size(); ++size) {
        const Result result = read(kGoodReplies, size);
        ck_assert(result.error.empty());
        ck_assert_uint_eq(result.replies.size(), 8);
        ck_assert(result.replies[0].type == Reply::Type::status);
        ck_assert(result.replies[1].is_error() && result.replies[1].text == "LOADING wait");
        ck_assert(result.replies[2].integer == 42);
        ck_assert(result.replies[3].type == Reply::Type::nil);
        ck_assert(result.replies[4].type == Reply::Type::nil);
        const Reply& message = result.replies[5];
        ck_assert_uint_eq(message.elements.size(), 3);
        ck_assert(message.elements[1].text == std::string_view("a\0b\n", 4));
        ck_assert(message.elements[2].text == "\r\n");
        ck_assert(result.replies[6].type == Reply::Type::array);
        ck_assert_uint_eq(result.replies[6].elements.size(), 0);
        const Reply& nested = result.replies[7];
        ck_assert(nested.elements[0].elements[0].integer == 1);
        ck_assert(nested.elements[1].elements[0].text == "x");
        ck_assert(nested.elements[1].elements[1].integer == -9);
    }
}
END_TEST

START_TEST(nothing_follows_what_was_refused) {
    ReplyReader reader(kMost);
    ck_assert(reader.feed(bytes("?\r\n")));
    ck_assert(!reader.next());
    ck_assert(!reader.feed(bytes("+OK\r\n")));
    ck_assert(!reader.next());
}
END_TEST

WEBSOCKET_TEST_SUITE(reply_reader) {
    tcase_add_test(tests, what_is_no_reply_is_refused);
    tcase_add_test(tests, a_reply_that_is_too_long_is_refused_when_it_comes);
    tcase_add_test(tests, replies_are_the_same_wherever_they_are_cut);
    tcase_add_test(tests, nothing_follows_what_was_refused);
}
