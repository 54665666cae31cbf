// SPDX-License-Identifier: Apache-2.0
// What the thread of a loop does that may block, and what the loop does meanwhile.
#include <array>
#include <deque>
#include <functional>
#include <list>
#include <string>
#include <thread>
#include <utility>

#include "engine/loop.hpp"
#include "engine/service.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::Borrower;
using websocket::engine::Errand;
using websocket::engine::Loop;

namespace {

/// Errands of the one loop of a service: functions, which run in turn.
class Errands final : public Borrower {
public:
    /// [loop]
    void add(std::function<void()> what) {
        const ForTheTest memory;
        waiting_.emplace_back(std::move(what));
        Loop::current()->lend_to(*this);
    }

private:
    class One final : public Errand {
    public:
        std::function<void()> what;
        void run() noexcept override { what(); }
    };
    bool urgent() const noexcept override { return true; }
    Errand* next_errand() noexcept override {
        if (waiting_.empty()) return nullptr;
        current_.what = std::move(waiting_.front());
        waiting_.pop_front();
        return &current_;
    }

    std::deque<std::function<void()>> waiting_;
    One current_;
};

/// A service each of whose messages "errand" is one; others are sent back by the loop. While the stand-in leads, errands
/// have threads of their own.
class LendingService {
public:
    std::function<void(ConnectionId)> errand;

private:
    Errands errands_;

public:
    Service service;

    [[nodiscard]] Client connect(const Wiring& wiring = {}) {
        Client client =
            service.connect({.on_message =
                                 [this](ConnectionId id, Message message) {
                                     if (text_of(message.payload) != "errand") {
                                         return service.echo().on_message(id, message);
                                     }
                                     if (Loop::current()->may_be_lent()) {
                                         errands_.add([this, id] { errand(id); });
                                     } else {
                                         threads_.emplace_back([this, id] { errand(id); });
                                     }
                                     return Flow::more;
                                 }},
                            wiring);
        client.await_open();
        return client;
    }
    void send(ConnectionId id, std::string_view text) {
        if (service.send(id, text) != SendResult::ok) std::abort();
    }

private:
    std::list<std::jthread> threads_;  // last: they use the service
};

}  // namespace

START_TEST(an_errand_runs_on_the_thread_of_the_loop_which_is_none_meanwhile) {
    Awaited<std::pair<std::thread::id, std::thread::id>> threads;
    Awaited<bool> on_loop;
    LendingService lending;
    lending.errand = [&](ConnectionId id) {
        on_loop.update([](bool& on) { on = Engine::on_loop(); });
        threads.update([](auto& both) { both.second = std::this_thread::get_id(); });
        lending.send(id, "done");
    };
    Client client = lending.connect();
    Client first = lending.service.connect({.on_open = [&](ConnectionId) {
        threads.update([](auto& both) { both.first = std::this_thread::get_id(); });
    }});
    first.await_open();
    client.peer.send_text("errand");
    client.peer.expect_text("done");
    ck_assert(threads.get().first == threads.get().second);
    ck_assert(!on_loop.get());
}
END_TEST

START_TEST(while_one_blocks_the_loop_serves_all_others_and_its_own_client) {
    constexpr int kRounds = 5;
    std::array<Door, kRounds> go;
    std::atomic<int> errands{0};
    LendingService lending;
    lending.errand = [&](ConnectionId id) {
        lending.send(id, "before");
        go.at(static_cast<std::size_t>(errands++)).await("the test to go on");
        lending.send(id, "after");
    };
    Client blocked = lending.connect();
    Client other = lending.connect();
    for (Door& door : go) {
        blocked.peer.send_text("errand");
        blocked.peer.expect_text("before");
        for (int i = 0; i < 20; ++i) {
            other.peer.send_text(std::to_string(i));
            other.peer.expect_text(std::to_string(i));
            blocked.peer.send_text(std::to_string(i));
            blocked.peer.expect_text(std::to_string(i));
        }
        door.open();
        blocked.peer.expect_text("after");
    }
}
END_TEST

START_TEST(what_an_errand_sends_keeps_its_order_whoever_leads_meanwhile) {
    constexpr int kEach = 300;
    LendingService lending;
    lending.errand = [&](ConnectionId id) {
        for (int i = 0; i < kEach; ++i) {
            std::string text = std::to_string(i);
            if (i % 7 == 0) text.resize(20'000, ' ');
            lending.send(id, text);
            if (i == kEach / 2)
                lending.service.engine().leave(1, id);  // behind this comes what follows
            if (i % 100 == 99) std::this_thread::sleep_for(3 * websocket::engine::StandIn::kTick);
        }
    };
    lending.service.options.send_buffer = 64U << 20;
    Client client = lending.connect();
    for (int round = 0; round < 3; ++round) {
        client.peer.send_text("errand");
        for (int i = 0; i < kEach; ++i) {
            std::string text = std::to_string(i);
            if (i % 7 == 0) text.resize(20'000, ' ');
            client.peer.expect_text(text);
        }
    }
}
END_TEST

START_TEST(errands_answer_behind_what_other_threads_have_sent_before) {
    LendingService lending;
    Client client = lending.connect();
    lending.errand = [&](ConnectionId id) { lending.send(id, "of the errand"); };
    for (int round = 0; round < 300; ++round) {
        std::string expected = std::to_string(round);
        // The message that is the errand may be read in the turn in which the loop is told of the other one.
        std::thread([&] { lending.send(client.id, expected); }).join();
        client.peer.send_text("errand");
        client.peer.expect_text(expected);
        client.peer.expect_text("of the errand");
    }
}
END_TEST

START_TEST(errands_answer_behind_what_other_threads_have_sent_meanwhile) {
    LendingService lending;
    std::string expected;
    lending.errand = [&](ConnectionId id) {
        lending.send(id, "first");
        std::thread([&] { lending.send(id, expected); }).join();
        lending.send(id, "of the errand");
        lending.send(id, "last");
    };
    Client client = lending.connect();
    for (int round = 0; round < 300; ++round) {
        expected = std::to_string(round);
        client.peer.send_text("errand");
        for (const std::string& text :
             {std::string("first"), expected, std::string("of the errand"), std::string("last")}) {
            client.peer.expect_text(text);
        }
    }
}
END_TEST

START_TEST(an_errand_that_closes_loses_nothing_of_what_others_have_sent) {
    LendingService lending;
    lending.errand = [&](ConnectionId id) {
        std::thread([&] { lending.send(id, "of the other thread"); }).join();
        lending.service.close(id, 1000);
    };
    for (int round = 0; round < 100; ++round) {
        Client client = lending.connect();
        client.peer.send_text("errand");
        client.peer.expect_text("of the other thread");
        client.peer.expect_close(1000);
    }
}
END_TEST

START_TEST(an_errand_that_waits_for_room_waits_for_its_client_only) {
    LendingService lending;
    lending.service.options.send_buffer = 100'000;
    const std::string large(90'000, 'x');
    constexpr int kMessages = 50;
    lending.errand = [&](ConnectionId id) {
        for (int i = 0; i < kMessages;) {
            if (lending.service.send(id, large) == SendResult::ok) {
                ++i;
            } else {
                lending.service.engine().wait_for_room(id, 50'000);
            }
        }
    };
    Client slow = lending.connect({.socket_buffer = 8'000});
    Client other = lending.connect();
    slow.peer.send_text("errand");
    for (int i = 0; i < 100; ++i) {
        other.peer.send_text(std::to_string(i));
        other.peer.expect_text(std::to_string(i));
    }
    for (int i = 0; i < kMessages; ++i) slow.peer.expect_text(large);
}
END_TEST

START_TEST(errands_that_wait_behind_one_that_blocks_are_not_lost) {
    Door go;
    std::atomic<int> begun{0};
    LendingService lending;
    lending.errand = [&](ConnectionId id) {
        if (begun++ == 0) go.await("the test to go on");
        lending.send(id, "done");
    };
    Client first = lending.connect();
    Client second = lending.connect();
    first.peer.send_text("errand");
    await_quietly([&] { return begun == 1; }, "the errand");
    second.peer.send_text("before");
    second.peer.expect_text("before");  // by the stand-in
    go.open();
    first.peer.expect_text("done");
    second.peer.send_text("errand");
    second.peer.expect_text("done");
}
END_TEST

START_TEST(a_loop_ends_although_its_thread_is_blocked) {
    Door go;
    Door begun;
    Door ended;
    std::atomic<bool> returned{false};
    websocket::engine::EngineOptions options;
    options.on_end = [&] {
        if (Loop::current() != nullptr) std::abort();
        ended.open();
    };
    {
        Errands errands;
        Service service(options);
        Client client = service.connect({.on_message = [&](ConnectionId, Message) {
            if (!Loop::current()->may_be_lent()) std::abort();
            errands.add([&] {
                begun.open();
                go.await("the test to go on");
                returned = true;
            });
            return Flow::more;
        }});
        client.await_open();
        client.peer.send_text("errand");
        begun.await("the errand");
        service.engine().begin_stop();
        client.peer.expect_close(1001);
        client.peer.disconnect();
        ended.await("the loop's end");
        await_quietly([&] { return service.engine().stopped(); }, "the engine's end");
        ck_assert(!returned);
        go.open();
    }
    ck_assert(returned);
}
END_TEST

START_TEST(without_memory_for_a_stand_in_the_thread_is_not_lent) {
    Awaited<int> answer;
    Service service;
    Client client = service.connect({.on_message = [&](ConnectionId, Message) {
        bool may = true;
        {
            const FailingAllocator allocator(0);
            may = Loop::current()->may_be_lent();
        }
        may = may || Loop::current()->may_be_lent();  // nor later
        answer.update([&](int& value) { value = may ? 1 : 2; });
        return Flow::more;
    }});
    client.await_open();
    client.peer.send_text("now");
    ck_assert_int_eq(answer.await([](int value) { return value != 0; }, "an answer"), 2);
}
END_TEST

WEBSOCKET_TEST_SUITE(loop_lending) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, an_errand_runs_on_the_thread_of_the_loop_which_is_none_meanwhile);
    tcase_add_test(tests, while_one_blocks_the_loop_serves_all_others_and_its_own_client);
    tcase_add_test(tests, what_an_errand_sends_keeps_its_order_whoever_leads_meanwhile);
    tcase_add_test(tests, errands_answer_behind_what_other_threads_have_sent_before);
    tcase_add_test(tests, errands_answer_behind_what_other_threads_have_sent_meanwhile);
    tcase_add_test(tests, an_errand_that_closes_loses_nothing_of_what_others_have_sent);
    tcase_add_test(tests, an_errand_that_waits_for_room_waits_for_its_client_only);
    tcase_add_test(tests, errands_that_wait_behind_one_that_blocks_are_not_lost);
    tcase_add_test(tests, a_loop_ends_although_its_thread_is_blocked);
    tcase_add_test(tests, without_memory_for_a_stand_in_the_thread_is_not_lent);
}
