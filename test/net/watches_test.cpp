// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "net/watches.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <utility>

#include "unit.hpp"

using websocket::base::Descriptor;
using websocket::net::OwnerId;
using websocket::net::Reactor;
using websocket::net::Watches;
using websocket::net::WatchTask;

namespace {

class CountedWatch final : public WatchTask {
public:
    explicit CountedWatch(std::function<bool(std::uint32_t)> function)
        : function_(std::move(function)) {
        ++alive;
    }
    ~CountedWatch() override { --alive; }
    bool ready(std::uint32_t events) noexcept override {
        ++called;
        return function_(events);
    }

    static inline int alive = 0;
    static inline int called = 0;

private:
    std::function<bool(std::uint32_t)> function_;
};

constexpr OwnerId kOwner = 1;

/// A reactor, its watches, and a pipe.
struct WatchedPipe {
    Reactor reactor{std::chrono::milliseconds{64}};
    Watches watches{reactor};
    Descriptor in;
    Descriptor out;

    WatchedPipe() {
        std::array<int, 2> ends{};
        ck_assert_int_eq(::pipe(ends.data()), 0);
        in = Descriptor(ends[0]);
        out = Descriptor(ends[1]);
    }
    bool watch(std::uint64_t number, std::function<bool(std::uint32_t)> function,
               OwnerId owner = {}) {
        return watches.start(number, owner, Descriptor(::dup(in.get())), EPOLLIN,
                             std::make_unique<CountedWatch>(std::move(function)));
    }
    void write() const { ck_assert_int_eq(::write(out.get(), "x", 1), 1); }
    /// Handles what is ready now; returns how many watches were called.
    int turn() {
        CountedWatch::called = 0;
        static_cast<void>(reactor.wait(std::chrono::milliseconds{0}));
        reactor.dispatch();
        watches.reap();
        return CountedWatch::called;
    }
};

}  // namespace

START_TEST(a_watch_is_called_as_long_as_its_descriptor_is_ready) {
    WatchedPipe f;
    int called = 0;
    ck_assert(f.watch(1, [&](std::uint32_t events) {
        called += events == EPOLLIN ? 1 : 0;
        return true;
    }));
    ck_assert_int_eq(f.turn(), 0);
    f.write();
    f.turn();
    f.turn();
    ck_assert_int_eq(called, 2);
    f.watches.change(1, 0);
    ck_assert_int_eq(f.turn(), 0);
    f.watches.stop(1);
    f.watches.reap();
    ck_assert_int_eq(CountedWatch::alive, 0);
}
END_TEST

START_TEST(a_resting_watch_waits_to_be_armed_again) {
    WatchedPipe f;
    int called = 0;
    ck_assert(f.watch(1, [&](std::uint32_t) {
        ++called;
        return false;
    }));
    f.write();
    f.turn();
    ck_assert_int_eq(f.turn(), 0);
    f.watches.change(1, EPOLLIN);  // does not wake it
    ck_assert_int_eq(f.turn(), 0);
    f.watches.rearm(1);
    f.turn();
    ck_assert_int_eq(called, 2);
    f.watches.stop_all();
}
END_TEST

START_TEST(a_watch_may_end_itself_and_others_whose_event_is_at_hand) {
    WatchedPipe f;
    int called = 0;
    const auto end_both = [&](std::uint32_t) {
        ++called;
        f.watches.stop(1);
        f.watches.stop(2);
        return true;
    };
    ck_assert(f.watch(1, end_both));
    ck_assert(f.watch(2, end_both));
    f.write();
    ck_assert_int_eq(f.turn(), 1);
    ck_assert_int_eq(called, 1);
    ck_assert_int_eq(CountedWatch::alive, 0);
}
END_TEST

START_TEST(the_end_of_a_connection_ends_its_watches_only) {
    WatchedPipe f;
    ck_assert(f.watch(
        1, [](std::uint32_t) { return true; }, kOwner));
    ck_assert(f.watch(2, [](std::uint32_t) { return true; }));
    f.watches.stop_all(kOwner);
    f.watches.reap();
    ck_assert_int_eq(CountedWatch::alive, 1);
    f.watches.stop_all();
    f.watches.reap();
    ck_assert_int_eq(CountedWatch::alive, 0);
}
END_TEST

START_TEST(what_cannot_be_polled_is_refused) {
    WatchedPipe f;
    ck_assert(!f.watches.start(1, {}, Descriptor(-1), EPOLLIN,
                               std::make_unique<CountedWatch>([](std::uint32_t) { return true; })));
    ck_assert_int_eq(CountedWatch::alive, 0);
}
END_TEST

WEBSOCKET_TEST_SUITE(watches) {
    tcase_add_test(tests, a_watch_is_called_as_long_as_its_descriptor_is_ready);
    tcase_add_test(tests, a_resting_watch_waits_to_be_armed_again);
    tcase_add_test(tests, a_watch_may_end_itself_and_others_whose_event_is_at_hand);
    tcase_add_test(tests, the_end_of_a_connection_ends_its_watches_only);
    tcase_add_test(tests, what_cannot_be_polled_is_refused);
}
