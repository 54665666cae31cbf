// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "bridge/channel.hpp"

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "unit.hpp"

using websocket::bridge::channel_of;
using websocket::bridge::hosts_channel;
using BrokerKind = websocket::hub::BrokerUrl::Kind;

namespace {

std::string name(BrokerKind kind, std::string_view prefix, std::string_view scope,
                 std::string_view topic) {
    const std::string key =
        std::string(1, static_cast<char>(scope.size())) + std::string(scope) + std::string(topic);
    return channel_of(kind, prefix, key);
}

std::string subject(std::string_view scope, std::string_view topic) {
    return name(BrokerKind::nats, "ws.", scope, topic);
}

/// As a server takes it, without wildcards.
bool is_subject(std::string_view text) {
    return !text.empty() && text.front() != '.' && text.back() != '.' &&
           text.find("..") == std::string_view::npos &&
           text.find_first_of(std::string_view(" \t\r\n\0*>", 7)) == std::string_view::npos;
}

}  // namespace

START_TEST(no_two_topics_have_the_same_channel) {
    const auto channel = [](std::string_view prefix, std::string_view scope,
                            std::string_view topic) {
        return name(BrokerKind::redis, prefix, scope, topic);
    };
    ck_assert(channel("ws:", "=www", "news") == "ws:www:news");
    ck_assert(channel("ws:", "=a:b", "c") == "ws:a%3Ab:c");
    ck_assert(channel("ws:", "=a", "b:c") == "ws:a:b:c");
    ck_assert(channel("ws:", "=a%3Ab", "c") == "ws:a%253Ab:c");
    ck_assert(channel("", "host:www:80", "x") == "@host%3Awww%3A80:x");
    ck_assert(channel("", "=@host:www:80", "x") == "%40host%3Awww%3A80:x");
    ck_assert(channel("ws:", "=!hosts", "x") == "ws:!hosts:x");
}
END_TEST

START_TEST(topics_of_any_bytes_are_subjects_that_nats_takes) {
    ck_assert(subject("=www", "a b") == "ws.www.a%20b");
    ck_assert(subject("=www", "*") == "ws.www.%2A");
    ck_assert(subject("=www", ">") == "ws.www.%3E");
    ck_assert(subject("=www", "50%") == "ws.www.50%25");
    ck_assert(subject("=www", std::string_view("\0\r\n\x7f", 4)) == "ws.www.%00%0D%0A%7F");
    ck_assert(subject("=www", ".") == "ws.www.%2E");
    ck_assert(subject("=www", "..") == "ws.www.%2E%2E");
    ck_assert(subject("=www", ".a") == "ws.www.%2Ea");
    ck_assert(subject("=www", "a.") == "ws.www.a%2E");
    ck_assert(subject("=www", "a..b") == "ws.www.a%2E.b");
    ck_assert(subject("=www.example.com", "x") == "ws.www%2Eexample%2Ecom.x");
    ck_assert(subject("www.example.com:443", "x") == "ws.@www%2Eexample%2Ecom:443.x");
    ck_assert(subject("=@www", "x") == "ws.%40www.x");
    ck_assert(subject("=w w", "x") == "ws.w%20w.x");
    ck_assert(is_subject(hosts_channel("ws.")));
}
END_TEST

START_TEST(usual_topics_are_subjects_as_they_are) {
    ck_assert(subject("=www", "news") == "ws.www.news");
    ck_assert(subject("=www", "chat/room-1:x") == "ws.www.chat/room-1:x");
    ck_assert(subject("=www", "news.sports") == "ws.www.news.sports");
    ck_assert(subject("=www", "gr\xc3\xb6\xc3\x9f"
                              "e") == "ws.www.gr\xc3\xb6\xc3\x9f"
                                      "e");
}
END_TEST

/// All topics and scopes of up to four of the characters that mean something.
START_TEST(no_two_topics_have_the_same_subject) {
    constexpr std::string_view kAlphabet = "a.%2E*@";
    std::vector<std::string> texts{""};
    for (std::size_t i = 0; texts[i].size() < 4; ++i) {
        for (const char c : kAlphabet) {
            texts.push_back(texts[i] + c);
        }
    }
    std::set<std::string> seen{hosts_channel("ws.")};
    const auto is_new = [&](const std::string& text) {
        ck_assert_msg(is_subject(text), "%s", text.c_str());
        ck_assert_msg(seen.insert(text).second, "%s twice", text.c_str());
    };
    for (std::size_t i = 1; i < texts.size(); ++i) {
        is_new(subject("=" + texts[i], "t"));
        is_new(subject("=s", texts[i]));
        if (texts[i].size() <= 2) {
            for (std::size_t other = 1; texts[other].size() <= 2; ++other) {
                is_new(subject("=b" + texts[i], texts[other]));
            }
        }
    }
}
END_TEST

START_TEST(the_longest_topic_is_a_line_that_nats_takes) {
    constexpr std::size_t kMaxControlLine = 4096;  // of a server, unless configured otherwise
    const std::string longest = subject("=" + std::string(254, '*'), std::string(255, ' '));
    ck_assert_uint_lt(100 + longest.size() + std::string_view("PUB  1048576\r\n").size(),
                      kMaxControlLine);
}
END_TEST

WEBSOCKET_TEST_SUITE(broker_channel) {
    tcase_add_test(tests, no_two_topics_have_the_same_channel);
    tcase_add_test(tests, topics_of_any_bytes_are_subjects_that_nats_takes);
    tcase_add_test(tests, usual_topics_are_subjects_as_they_are);
    tcase_add_test(tests, no_two_topics_have_the_same_subject);
    tcase_add_test(tests, the_longest_topic_is_a_line_that_nats_takes);
}
