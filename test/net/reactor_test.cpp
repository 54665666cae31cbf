// SPDX-License-Identifier: Apache-2.0
#include "net/reactor.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::base::Descriptor;
using websocket::net::EventHandler;
using websocket::net::Reactor;

namespace {

constexpr std::chrono::milliseconds kFine{1};

/// A descriptor that is ready for input, and what is done when somebody is told so.
struct Ready final : EventHandler {
    Descriptor descriptor{::eventfd(1, EFD_CLOEXEC)};
    std::function<void()> function = [] {};
    std::uint32_t seen = 0;
    int times = 0;

    void on_ready(std::uint32_t events) override {
        seen = events;
        function();
    }
    void on_time() noexcept override { ++times; }
};

void turn(Reactor& reactor, std::chrono::milliseconds most = 0ms) {
    static_cast<void>(reactor.wait(most));
    reactor.dispatch();
    reactor.fire_timers();
}

}  // namespace

START_TEST(tells_of_what_is_ready_as_long_as_it_is_asked_to) {
    Reactor reactor(kFine);
    Ready one;
    ck_assert(reactor.add(one.descriptor.get(), one, EPOLLIN));
    turn(reactor);
    ck_assert_uint_eq(one.seen, EPOLLIN);
    ck_assert(reactor.change(one.descriptor.get(), one, EPOLLIN | EPOLLOUT));
    turn(reactor);
    ck_assert_uint_eq(one.seen, EPOLLIN | EPOLLOUT);
    one.seen = 0;
    reactor.remove(one.descriptor.get(), one);
    turn(reactor);
    ck_assert_uint_eq(one.seen, 0);
}
END_TEST

START_TEST(who_is_removed_hears_nothing_of_what_was_found_before) {
    Reactor reactor(kFine);
    Ready one;
    Ready other;
    one.function = [&] { reactor.remove(other.descriptor.get(), other); };
    other.function = [&] { reactor.remove(one.descriptor.get(), one); };
    ck_assert(reactor.add(one.descriptor.get(), one, EPOLLIN));
    ck_assert(reactor.add(other.descriptor.get(), other, EPOLLIN));
    turn(reactor);
    ck_assert((one.seen != 0) != (other.seen != 0));
}
END_TEST

START_TEST(a_descriptor_that_cannot_be_polled_is_refused) {
    Reactor reactor(kFine);
    Ready one;
    ck_assert(!reactor.add(-1, one, EPOLLIN));
    ck_assert(!reactor.change(one.descriptor.get(), one, EPOLLIN));  // nobody has added it
}
END_TEST

START_TEST(what_a_handler_throws_keeps_nobody_else_from_being_told) {
    Reactor reactor(kFine);
    Ready bad;
    Ready good;
    bad.function = [] { throw std::bad_alloc(); };
    ck_assert(reactor.add(bad.descriptor.get(), bad, EPOLLIN));
    ck_assert(reactor.add(good.descriptor.get(), good, EPOLLIN));
    int thrown = 0;
    for (int i = 0; i < 2 && good.seen == 0; ++i) {
        static_cast<void>(reactor.wait(0ms));
        while (good.seen == 0 && thrown < 10) {
            try {
                reactor.dispatch();
                break;
            } catch (const std::bad_alloc&) {
                ++thrown;
            }
        }
    }
    ck_assert_uint_eq(good.seen, EPOLLIN);
    ck_assert_int_ge(thrown, 1);
}
END_TEST

START_TEST(waits_for_the_next_time_and_no_longer) {
    Reactor reactor(kFine);
    Ready one;
    reactor.set_time(one, reactor.now() + 5);
    while (one.times == 0) turn(reactor, 60s);
    ck_assert(reactor.time() >= 5ms);
    reactor.set_time(one, reactor.now() + 5);
    reactor.clear_time(one);
    const auto waited = reactor.wait(7ms);
    ck_assert(waited.limit <= 7ms && !waited.woken && !waited.interrupted);
    reactor.fire_timers();
    ck_assert_int_eq(one.times, 1);
}
END_TEST

START_TEST(a_time_may_be_set_anew_when_it_comes) {
    struct Again final : EventHandler {
        explicit Again(Reactor& all) noexcept : reactor(all) {}
        void on_time() noexcept override {
            if (++times < 3) reactor.set_time(*this, reactor.now());
        }
        Reactor& reactor;
        int times = 0;
    };
    Reactor reactor(kFine);
    Again again(reactor);
    reactor.set_time(again, 0);
    while (again.times < 3) turn(reactor, 60s);
    turn(reactor, 3ms);
    ck_assert_int_eq(again.times, 3);
}
END_TEST

START_TEST(another_thread_wakes_it_once) {
    Reactor reactor(kFine);
    std::thread waker([&] { reactor.wake(); });
    ck_assert(reactor.wait(60s).woken);
    waker.join();
    ck_assert(!reactor.wait(0ms).woken);
    for (int i = 0; i < 1000; ++i) reactor.wake();
    ck_assert(reactor.wait(60s).woken);
    ck_assert(!reactor.wait(0ms).woken);
}
END_TEST

START_TEST(a_delay_counts_from_now_and_not_from_the_last_wait) {
    Reactor reactor(4ms);
    Ready one;
    static_cast<void>(reactor.wait(0ms));
    const auto before = reactor.elapsed();
    while (reactor.elapsed() < before + 20ms) {
    }
    const auto begin = std::chrono::steady_clock::now();
    reactor.set_delay(one, 10ms);
    while (one.times == 0) turn(reactor, 1000ms);
    ck_assert(std::chrono::steady_clock::now() - begin >= 10ms);
    ck_assert_int_eq(one.times, 1);
}
END_TEST

WEBSOCKET_TEST_SUITE(reactor) {
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, tells_of_what_is_ready_as_long_as_it_is_asked_to);
    tcase_add_test(tests, who_is_removed_hears_nothing_of_what_was_found_before);
    tcase_add_test(tests, a_descriptor_that_cannot_be_polled_is_refused);
    tcase_add_test(tests, what_a_handler_throws_keeps_nobody_else_from_being_told);
    tcase_add_test(tests, waits_for_the_next_time_and_no_longer);
    tcase_add_test(tests, a_time_may_be_set_anew_when_it_comes);
    tcase_add_test(tests, another_thread_wakes_it_once);
    tcase_add_test(tests, a_delay_counts_from_now_and_not_from_the_last_wait);
}
