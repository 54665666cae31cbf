// SPDX-License-Identifier: Apache-2.0
// Which requests of the server are known to have come before.
#include "client/answers.hpp"

#include <chrono>
#include <memory>
#include <string>

#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::client::Answered;
using websocket::client::Answers;

START_TEST(knows_a_request_until_it_is_answered_however_long_that_takes) {
    Answers answers;
    const std::shared_ptr<Answered> slow = answers.add("1", "slow");
    for (int second = 0; second < 3600; ++second) {
        const std::chrono::seconds now{second};
        const std::string id = "n" + std::to_string(second);
        answers.answered(answers.add(id, "quick"), std::string(10'000, 'x'), now);
        ck_assert(answers.find(id, "quick", now) != nullptr);
        ck_assert(answers.find("1", "slow", now) == slow);
        ck_assert_ptr_null(answers.find("1", "another", now).get());
    }
    ck_assert_str_eq(slow->answer.c_str(), "");
}
END_TEST

START_TEST(knows_an_answer_for_some_seconds_after_it) {
    Answers answers;
    const std::shared_ptr<Answered> slow = answers.add("1", "slow");
    answers.answered(slow, "done", 1h);  // nothing has come for so long
    ck_assert(answers.find("1", "slow", 1h + 4999ms) == slow);
    ck_assert_ptr_null(answers.find("1", "slow", 1h + 15s).get());
}
END_TEST

START_TEST(does_not_know_what_it_was_told_to_forget_when_that_is_answered) {
    Answers answers;
    const std::shared_ptr<Answered> before = answers.add("1", "m");
    answers.forget();
    answers.answered(before, "to nobody", 1s);
    ck_assert_ptr_null(answers.find("1", "m", 1s).get());
    const std::shared_ptr<Answered> now = answers.add("1", "m");
    answers.answered(before, "to nobody", 1s);
    ck_assert(answers.find("1", "m", 1s) == now);
}
END_TEST

WEBSOCKET_TEST_SUITE(answers) {
    tcase_add_test(tests, knows_a_request_until_it_is_answered_however_long_that_takes);
    tcase_add_test(tests, knows_an_answer_for_some_seconds_after_it);
    tcase_add_test(tests, does_not_know_what_it_was_told_to_forget_when_that_is_answered);
}
