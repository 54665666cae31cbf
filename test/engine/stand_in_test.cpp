// SPDX-License-Identifier: Apache-2.0
#include "engine/stand_in.hpp"

#include <atomic>

#include "engine/awaiting.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::StandIn;

namespace {

/// A stand-in whose work is nothing, until it is called back.
class Watched {
public:
    std::atomic<bool> leads{false};
    std::atomic<int> called{0};
    int served = 0;  // of whoever leads
    StandIn stand_in{[this] { serve(); }, [this] { ++called; }};

    void await_lead() {
        await_quietly([this] { return leads.load(); }, "the stand-in");
    }

private:
    void serve() {
        leads = true;
        ++served;
        await_quietly([this] { return stand_in.wanted_back(); }, "the owner");
        leads = false;
    }
};

}  // namespace

START_TEST(who_blocks_is_stood_in_for_until_he_is_back) {
    Watched watched;
    watched.stand_in.lend();
    watched.await_lead();
    ck_assert(!watched.stand_in.visit());
    ck_assert(!watched.stand_in.take_back());
    ck_assert(!watched.leads);
    ck_assert_int_eq(watched.called, 1);
    ck_assert_int_eq(watched.served, 1);
}
END_TEST

START_TEST(who_says_that_he_will_block_is_so_at_once_and_every_time) {
    for (int i = 0; i < 10; ++i) {
        Watched watched;
        for (int round = 1; round <= 10; ++round) {
            watched.stand_in.lend();
            watched.stand_in.hurry();
            watched.await_lead();
            ck_assert(!watched.stand_in.take_back());
            ck_assert_int_eq(watched.served, round);
        }
    }
}
END_TEST

START_TEST(after_a_rest_it_watches_again) {
    Watched watched;
    for (int round = 1; round <= 10; ++round) {
        // Long enough for it to rest, if the machine has time for that; if not, nothing is lost.
        std::this_thread::sleep_for(3 * StandIn::kTick);
        watched.stand_in.lend();
        watched.await_lead();
        ck_assert(!watched.stand_in.take_back());
    }
    ck_assert_int_eq(watched.served, 10);
}
END_TEST

/// ThreadSanitizer sees it if two lead at once.
START_TEST(there_is_one_who_leads_however_often_the_lead_passes) {
    Watched watched;
    int errands = 0;
    int visits = 0;
    int lost = 0;
    for (; errands < 20'000; ++errands) {
        ++watched.served;
        watched.stand_in.lend();
        for (int i = 0; i < errands % 3; ++i) {
            if (watched.stand_in.visit()) {
                ++watched.served;
                ++visits;
                watched.stand_in.end_visit();
            }
        }
        if (errands % 1000 == 0) watched.stand_in.hurry();
        if (errands % 1000 == 500) std::this_thread::yield();
        lost += watched.stand_in.take_back() ? 0 : 1;
    }
    ck_assert_int_eq(watched.served, errands + visits + lost);
}
END_TEST

START_TEST(nobody_takes_the_lead_in_the_middle_of_a_visit) {
    Watched watched;
    watched.stand_in.lend();
    for (int visits = 0; visits < 10 && watched.stand_in.visit(); ++visits) {
        watched.stand_in.hurry();
        for (int i = 0; i < 20; ++i) {
            ck_assert(!watched.leads);
            std::this_thread::yield();
        }
        watched.stand_in.end_visit();
    }
    watched.await_lead();
    ck_assert(!watched.stand_in.visit());
    ck_assert(!watched.stand_in.take_back());
}
END_TEST

WEBSOCKET_TEST_SUITE(stand_in) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, who_blocks_is_stood_in_for_until_he_is_back);
    tcase_add_test(tests, who_says_that_he_will_block_is_so_at_once_and_every_time);
    tcase_add_test(tests, after_a_rest_it_watches_again);
    tcase_add_test(tests, there_is_one_who_leads_however_often_the_lead_passes);
    tcase_add_test(tests, nobody_takes_the_lead_in_the_middle_of_a_visit);
}
