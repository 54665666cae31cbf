// SPDX-License-Identifier: Apache-2.0
#include "../../plugins/topic_relays.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "sdk/remembering_host.hpp"
#include "unit.hpp"

using websocket::Position;
using websocket::Result;
using websocket::test::RememberingHost;

namespace {

constexpr std::uint64_t kEpoch = RememberingHost::kEpoch;

struct RelayedTopic : RememberingHost {
    explicit RelayedTopic(std::size_t count) { messages.assign(count, std::string(1000, 'x')); }

    topic::Relays relays{server};
    const websocket::Connection client{server, 5};
    std::vector<std::string> answers = {};

    void join(std::uint64_t behind) {
        const auto say = [this](websocket::Connection, const std::string& text) {
            answers.push_back(text);
        };
        ck_assert(relays.join(client, "t", Position{kEpoch, behind}, topic::Value(), say) ==
                  Result::ok);
    }
    void assert_answer(std::size_t at, const std::string& words) const {
        ck_assert_msg(answers.at(at).find(words) != std::string::npos, "%s is not in %s",
                      words.c_str(), answers[at].c_str());
    }
};

}  // namespace

START_TEST(who_comes_back_gets_all_that_it_has_missed_in_pieces) {
    RelayedTopic relayed(1000);
    relayed.join(900);
    relayed.run_posted();
    ck_assert_uint_eq(relayed.answers.size(), 101);
    relayed.assert_answer(0, R"("recovered":true)");
    for (std::size_t i = 1; i <= 100; ++i) {
        relayed.assert_answer(i, '"' + Position{kEpoch, 900 + i}.text() + '"');
    }
    ck_assert_uint_eq(relayed.messages_read(), 100);
    ck_assert_uint_le(std::ranges::max(relayed.reads), 50);
}
END_TEST

START_TEST(who_has_missed_too_much_is_told_so_before_all_of_it_is_read) {
    RelayedTopic relayed(100'000);
    relayed.join(0);
    relayed.run_posted();
    ck_assert_uint_eq(relayed.answers.size(), 1);
    relayed.assert_answer(0, R"("recovered":false)");
    ck_assert_uint_le(relayed.messages_read(), 200);
}
END_TEST

START_TEST(who_has_missed_nothing_recovers_without_reading) {
    RelayedTopic relayed(10);
    relayed.join(10);
    relayed.run_posted();
    ck_assert_uint_eq(relayed.answers.size(), 1);
    relayed.assert_answer(0, R"("recovered":true)");
    ck_assert_uint_eq(relayed.reads.size(), 0);
}
END_TEST

START_TEST(who_leaves_while_it_is_sent_what_it_has_missed_is_not_subscribed_then) {
    RelayedTopic relayed(10);
    relayed.join(0);
    std::atomic<bool> left{false};
    std::thread leaving;
    relayed.on_read = [&] {
        leaving = std::thread([&] {
            relayed.relays.leave(relayed.client, "t");
            left = true;
        });
        // Time enough for one that does not wait until it has joined.
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
        while (!left && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    };
    relayed.run_posted();
    leaving.join();
    ck_assert(relayed.calls == (std::vector<std::string>{"subscribe", "unsubscribe"}));
}
END_TEST

WEBSOCKET_TEST_SUITE(topic_relays) {
    tcase_add_test(tests, who_comes_back_gets_all_that_it_has_missed_in_pieces);
    tcase_add_test(tests, who_has_missed_too_much_is_told_so_before_all_of_it_is_read);
    tcase_add_test(tests, who_has_missed_nothing_recovers_without_reading);
    tcase_add_test(tests, who_leaves_while_it_is_sent_what_it_has_missed_is_not_subscribed_then);
}
