// SPDX-License-Identifier: Apache-2.0
#include "engine/heartbeat.hpp"

#include "engine/service.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::ConnectionOptions;
using websocket::engine::HangDetector;
using websocket::engine::Heartbeat;
using websocket::engine::LoopWork;
using websocket::engine::Refusal;
using Verdict = HangDetector::Verdict;

namespace {

/// Looks that find nothing new, up to the one before the last that may.
void look(HangDetector& detector, const Heartbeat& heartbeat, unsigned times) {
    for (unsigned i = 0; i < times; ++i) {
        ck_assert(detector.judge(heartbeat.look(), true) == Verdict::unchanged);
    }
}

}  // namespace

START_TEST(tells_work_from_waiting_and_what_the_work_is) {
    Heartbeat heartbeat;
    const ConnectionOptions options;
    ck_assert(!heartbeat.look().at_work());
    heartbeat.begin_turn();
    heartbeat.note(LoopWork::output, &options);
    ck_assert(heartbeat.look().at_work());
    ck_assert(heartbeat.look().work == LoopWork::output);
    ck_assert(heartbeat.look().whose == &options);
    const auto turn = heartbeat.look().turn;
    heartbeat.end_turn();
    ck_assert(!heartbeat.look().at_work());
    heartbeat.begin_turn();
    ck_assert_uint_ne(heartbeat.look().turn, turn);
}
END_TEST

START_TEST(a_turn_that_does_not_end_is_a_hang_until_it_ends) {
    Heartbeat heartbeat;
    HangDetector detector;
    heartbeat.begin_turn();
    look(detector, heartbeat, HangDetector::kPolls);  // the first one sees the turn begin
    ck_assert(detector.judge(heartbeat.look(), true) == Verdict::hangs);
    look(detector, heartbeat, 10);
    ck_assert(detector.hangs());
    heartbeat.end_turn();
    if (_i == 1) heartbeat.begin_turn();  // nor does the watcher have to see it wait
    ck_assert(detector.judge(heartbeat.look(), true) == Verdict::back);
    ck_assert(!detector.hangs());
    look(detector, heartbeat, 1);
}
END_TEST

START_TEST(turns_that_end_are_no_hang_however_many_there_are) {
    Heartbeat heartbeat;
    HangDetector detector;
    for (int i = 0; i < 100; ++i) {
        heartbeat.begin_turn();
        look(detector, heartbeat, HangDetector::kPolls);
        heartbeat.end_turn();
    }
    look(detector, heartbeat, 100);  // waits
}
END_TEST

START_TEST(a_process_that_was_stopped_does_not_look_like_a_hang) {
    Heartbeat heartbeat;
    HangDetector detector;
    heartbeat.begin_turn();
    look(detector, heartbeat, HangDetector::kPolls);
    for (int i = 0; i < 10; ++i) {
        ck_assert(detector.judge(heartbeat.look(), false) == Verdict::unchanged);
    }
    look(detector, heartbeat, HangDetector::kPolls - 1);
    ck_assert(detector.judge(heartbeat.look(), true) == Verdict::hangs);
}
END_TEST

START_TEST(a_loop_that_hangs_gets_no_connections_until_it_is_back) {
    using Hang = websocket::engine::Engine::Hang;
    Door hangs;
    Door go_on;
    Service service({.loops = 2});
    const Behaviour blocks{.on_open = [&](auto) {
        hangs.open();
        go_on.await("the end of the hang");
    }};
    Client blocked = service.connect(blocks);
    hangs.await("the hang");
    std::vector<Hang> reports;
    std::chrono::steady_clock::time_point now{};
    const auto look_once = [&] {
        now += HangDetector::kPollInterval;
        return service.engine().look_for_hangs(now,
                                               [&](const Hang& hang) { reports.push_back(hang); });
    };
    while (look_once() == 0) {
    }
    ck_assert_uint_eq(reports.size(), 1);
    ck_assert_uint_eq(reports[0].loop, blocked.id.loop());
    ck_assert(!reports[0].over);
    ck_assert(reports[0].beat.whose == &service.options);
    std::vector<Client> others;
    for (int i = 0; i < 4; ++i) {
        others.push_back(service.connect());
        others.back().await_open();
        ck_assert_uint_ne(others.back().id.loop(), blocked.id.loop());
        ck_assert_uint_ne(service.engine().some_loop().loop(), blocked.id.loop());
    }
    go_on.open();
    blocked.await_open();
    await_quietly([&] { return look_once() == 0; }, "the loop being back");
    ck_assert_uint_eq(reports.size(), 2);
    ck_assert(reports[1].over && reports[1].loop == blocked.id.loop());
    for (int i = 0; i < 2; ++i) others.push_back(service.connect());
    ck_assert_uint_ne(others[4].id.loop(), others[5].id.loop());
    for (Client& client : others) client.peer.disconnect();
    blocked.peer.disconnect();
    service.await_empty();
}
END_TEST

START_TEST(nobody_is_taken_while_all_loops_hang) {
    Door hangs;
    Door go_on;
    Service service;
    Client blocked = service.connect({.on_open = [&](auto) {
        hangs.open();
        go_on.await("the end of the hang");
    }});
    hangs.await("the hang");
    std::chrono::steady_clock::time_point now{};
    const auto look_once = [&] {
        now += HangDetector::kPollInterval;
        return service.engine().look_for_hangs(now, [](auto&) {});
    };
    while (look_once() == 0) {
    }
    Refusal why{};
    ck_assert(!service.engine().reserve(why).has_value());
    ck_assert(why == Refusal::hanging);
    ck_assert_uint_eq(service.engine().connections(), 1);
    go_on.open();
    await_quietly([&] { return look_once() == 0; }, "the loop being back");
    ck_assert(service.engine().reserve(why).has_value());
    blocked.peer.disconnect();
    service.await_empty();
}
END_TEST

WEBSOCKET_TEST_SUITE(heartbeat) {
    tcase_add_test(tests, tells_work_from_waiting_and_what_the_work_is);
    tcase_add_loop_test(tests, a_turn_that_does_not_end_is_a_hang_until_it_ends, 0, 2);
    tcase_add_test(tests, turns_that_end_are_no_hang_however_many_there_are);
    tcase_add_test(tests, a_process_that_was_stopped_does_not_look_like_a_hang);
    tcase_add_test(tests, a_loop_that_hangs_gets_no_connections_until_it_is_back);
    tcase_add_test(tests, nobody_is_taken_while_all_loops_hang);
}
