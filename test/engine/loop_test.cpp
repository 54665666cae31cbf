// SPDX-License-Identifier: Apache-2.0
// What other threads may do to a connection at any time.
#include "engine/loop.hpp"

#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>

#include "engine/service.hpp"
#include "failing_allocator.hpp"
#include "thread_state.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::Loop;
using websocket::engine::LoopTask;
using websocket::engine::SharedFrame;
using websocket::engine::TurnEnd;

namespace {

/// Waits for room in a thread of its own, and does so when the constructor returns.
class Waiter {
public:
    Waiter(Service& service, ConnectionId id)
        : thread_([&service, id, this] {
              thread_id_ = ::gettid();
              service.engine().wait_for_room(id, service.options.send_buffer / 2);
              woken_.open();
          }) {
        await_quietly([this] { return asleep(thread_id_) || woken(); }, "a thread to block");
    }
    ~Waiter() { thread_.join(); }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    void await() { woken_.await("a sender to be woken"); }

private:
    [[nodiscard]] bool woken() { return woken_.passed(0ms); }

    std::atomic<pid_t> thread_id_{0};
    Door woken_;
    std::thread thread_;
};

/// The one loop of a service, which does nothing while this lives.
class BusyLoop {
public:
    explicit BusyLoop(Service& service)
        : holder_(service.connect({.on_message = [doors = doors_](ConnectionId, Message) {
              doors->begun.open();
              doors->go_on.await("the test to go on");
              return Flow::more;
          }})) {
        holder_.peer.send_text("hold");
        doors_->begun.await("the loop to be busy");
    }
    ~BusyLoop() { doors_->go_on.open(); }
    BusyLoop(const BusyLoop&) = delete;
    BusyLoop& operator=(const BusyLoop&) = delete;

private:
    struct Doors {
        Door begun;
        Door go_on;
    };

    const std::shared_ptr<Doors> doors_ = std::make_shared<Doors>();  // the loop's, too
    Client holder_;
};

/// A connection to a peer that has not read yet, and more than enough queued.
Client connect_full(Service& service) {
    Client client = service.connect(service.echo(), {.socket_buffer = 8'000});
    client.await_open();
    SendResult result{};
    while ((result = service.send(client.id, std::string(100'000, 'x'))) == SendResult::ok) {
    }
    ck_assert(result == SendResult::full);
    return client;
}

}  // namespace

START_TEST(threads_that_run_no_loop_may_block) {
    std::atomic<bool> inside{false};
    Service service;
    Client client = service.connect({.on_open = [&](ConnectionId) { inside = Engine::on_loop(); }});
    client.await_open();
    ck_assert(inside);
    ck_assert(!Engine::on_loop());
}
END_TEST

START_TEST(messages_of_each_of_ten_threads_keep_their_order) {
    constexpr int kThreads = 10;
    constexpr int kEach = 2'000;
    Service service;
    Client client = service.connect();
    client.await_open();
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            for (int i = 0; i < kEach; ++i) {
                std::string message = std::to_string(thread) + ":" + std::to_string(i);
                message.resize(i % 97 == 0 ? 12'000 : message.size(), ' ');
                SendResult result{};
                while ((result = service.send(client.id, message)) == SendResult::full) {
                    service.engine().wait_for_room(client.id, service.options.send_buffer / 2);
                }
                if (result != SendResult::ok) std::abort();
            }
        });
    }
    std::vector<int> next(kThreads, 0);
    for (int i = 0; i < kThreads * kEach; ++i) {
        const std::string message = client.peer.receive().payload;
        const auto thread = static_cast<std::size_t>(std::stoi(message));
        const int number = std::stoi(message.substr(message.find(':') + 1));
        if (number != next.at(thread)++) ck_abort_msg("thread %zu: %d", thread, number);
    }
    for (std::thread& thread : threads) thread.join();
}
END_TEST

START_TEST(
    messages_that_wait_for_a_busy_loop_leave_whole_and_in_order_with_all_that_is_between_them) {
    Service service;
    auto report = std::make_shared<Report>();
    Client client = service.connect({}, {.report = report});
    Client other = service.connect();
    client.await_open();
    other.await_open();
    const std::string large(40'000, 'l');
    const std::string middle(9'000, 'm');
    const auto shared = SharedFrame::build(Opcode::text, bytes("shared"));
    {
        const BusyLoop busy(service);
        for (const char* text : {"1", "", "3"})
            ck_assert(service.send(client.id, text) == SendResult::ok);
        ck_assert(service.engine().send(client.id, shared, service.options.send_buffer) ==
                  SendResult::ok);
        ck_assert(service.send(client.id, "4") == SendResult::ok);
        ck_assert(service.engine().send(client.id, Opcode::ping, bytes("p"),
                                        service.options.send_buffer) == SendResult::ok);
        ck_assert(service.send(client.id, "5") == SendResult::ok);
        ck_assert(service.send(other.id, "to another") == SendResult::ok);
        for (const std::string& text : {std::string("6"), middle, middle, large, std::string("7")})
            ck_assert(service.send(client.id, text) == SendResult::ok);
        ck_assert(service.engine().send(client.id, Opcode::binary, bytes("8"),
                                        service.options.send_buffer) == SendResult::ok);
    }
    for (const char* text : {"1", "", "3", "shared", "4"}) client.peer.expect_text(text);
    client.peer.expect(Opcode::ping, "p");
    for (const std::string& text :
         {std::string("5"), std::string("6"), middle, middle, large, std::string("7")})
        client.peer.expect_text(text);
    client.peer.expect(Opcode::binary, "8");
    other.peer.expect_text("to another");
    ck_assert(text_of(shared.bytes()) == "\x81\x06shared");
    client.peer.reset();
    const auto accounts =
        report->await([](const auto& all) { return !all.empty(); }, "the record's end");
    ck_assert_uint_eq(accounts.front().traffic.messages_out, 12);
}
END_TEST

/// What the loop has posted, it must not overtake, also when another thread's message waits for the same client.
START_TEST(messages_of_the_loop_keep_their_order_also_behind_one_of_another_thread) {
    struct Last final : TurnEnd {
        void at_turn_end() noexcept override { send(); }
        std::function<void()> send;
    };
    struct Task final : LoopTask {
        explicit Task(std::function<void()> what) : what_(std::move(what)) {}
        void run(Loop& /*loop*/, websocket::engine::Channel* /*channel*/) noexcept override {
            what_();
        }
        const std::function<void()> what_;
    };
    Last last;
    Service service;
    Client client = service.connect();
    client.await_open();
    const auto post = [&](std::function<void()> what) {
        std::unique_ptr<LoopTask> task = std::make_unique<Task>(std::move(what));
        if (service.engine().post(client.id, task) != Engine::Posted::yes) std::abort();
    };
    const auto send = [&](const char* text) {
        if (service.send(client.id, text) != SendResult::ok) std::abort();
    };
    last.send = [&] { send("second"); };
    post([&] {
        service.engine().leave(1, client.id);
        post([&] {
            std::thread([&] { send("of another thread"); }).join();
            send("first");
            Loop::current()->put_off(last);
        });
    });
    for (const char* text : {"of another thread", "first", "second"}) client.peer.expect_text(text);
}
END_TEST

START_TEST(messages_that_wait_for_a_busy_loop_count_as_queued) {
    Service service;
    service.options.send_buffer = 1'000;
    Client client = service.connect();
    client.await_open();
    const std::string text(98, 'x');  // a hundred bytes with its header
    {
        const BusyLoop busy(service);
        for (int i = 0; i < 10; ++i) ck_assert(service.send(client.id, text) == SendResult::ok);
        ck_assert(service.send(client.id, text) == SendResult::full);
        ck_assert(service.engine().queued(client.id) == 1'000);
    }
    for (int i = 0; i < 10; ++i) client.peer.expect_text(text);
    ck_assert(service.send(client.id, "room again") == SendResult::ok);
    client.peer.expect_text("room again");
}
END_TEST

START_TEST(a_message_that_finds_no_memory_behind_others_leaves_no_trace) {
    Service service;
    Client client = service.connect();
    client.await_open();
    {
        const BusyLoop busy(service);
        ck_assert(service.send(client.id, "before") == SendResult::ok);
        const auto queued = service.engine().queued(client.id);
        SendResult result{};
        {
            const FailingAllocator allocator(0);
            result = service.send(client.id, "never");
        }
        ck_assert(result == SendResult::no_memory);
        ck_assert(service.engine().queued(client.id) == queued);
        ck_assert(service.send(client.id, "after") == SendResult::ok);
    }
    client.peer.expect_text("before");
    client.peer.expect_text("after");
}
END_TEST

START_TEST(what_a_callback_puts_off_happens_once_before_the_loop_waits) {
    struct Work final : TurnEnd {
        void at_turn_end() noexcept override {
            done.update([](int& times) { ++times; });
        }
        Awaited<int> done;
    };
    Work work;
    Work other;
    Service service;
    Client client = service.connect({.on_message = [&](ConnectionId, Message) {
        Loop::current()->put_off(work);
        Loop::current()->put_off(other);
        if (work.done.get() != other.done.get()) std::abort();
        return Flow::more;
    }});
    for (int turn = 1; turn <= 2; ++turn) {
        client.peer.send_text("now");
        work.done.await([=](int times) { return times == turn; }, "the end of the turn");
        other.done.await([=](int times) { return times == turn; }, "the end of the turn");
    }
}
END_TEST

START_TEST(a_full_connection_says_so_and_a_blocked_sender_wakes_when_there_is_room) {
    Service service;
    service.options.send_buffer = 200'000;
    Client client = connect_full(service);
    Waiter first(service, client.id);
    Waiter second(service, client.id);
    std::thread reader([&] { client.peer.read_to_end(); });
    first.await();
    second.await();
    ck_assert(service.send(client.id, "there is room") == SendResult::ok);
    service.stop();
    reader.join();
}
END_TEST

START_TEST(a_blocked_sender_wakes_when_the_connection_closes) {
    Service service;
    service.options.send_buffer = 200'000;
    Client client = connect_full(service);
    Waiter waiter(service, client.id);
    ck_assert(service.close(client.id, 1000));
    waiter.await();
    ck_assert(service.send(client.id, "x") == SendResult::closing);
    Waiter late(service, client.id);
    late.await();
}
END_TEST

START_TEST(a_blocked_sender_wakes_when_the_connection_dies) {
    Service service;
    service.options.send_buffer = 200'000;
    Client client = connect_full(service);
    Waiter waiter(service, client.id);
    client.peer.reset();
    waiter.await();
    client.await_close();
    ck_assert(service.send(client.id, "x") == SendResult::gone);
    Waiter late(service, client.id);
    late.await();
}
END_TEST

/// The pool's thread is the one that waits, so nobody else will say that all is handled.
START_TEST(a_blocked_sender_wakes_when_its_own_side_closes_while_it_drains) {
    Door draining;
    Service service;
    service.options.send_buffer = 200'000;
    Client client = service.connect({.drained =
                                         [&](ConnectionId) {
                                             draining.open();
                                             return false;
                                         }},
                                    {.socket_buffer = 8'000});
    client.await_open();
    while (service.send(client.id, std::string(100'000, 'x')) == SendResult::ok) {
    }
    client.peer.send_close(1000);
    draining.await("the end of the input");
    Waiter waiter(service, client.id);
    service.close(client.id, 1000);
    waiter.await();
}
END_TEST

START_TEST(no_wake_up_is_lost_between_room_and_waiting) {
    Service service;
    service.options.send_buffer = 1;
    Client client = service.connect();
    client.await_open();
    constexpr int kEach = 2'000;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            for (int sent = 0; sent < kEach;) {
                if (service.send(client.id, "x") == SendResult::ok) {
                    ++sent;
                } else {
                    service.engine().wait_for_room(client.id, 0);
                }
            }
        });
    }
    for (int i = 0; i < 3 * kEach; ++i) client.peer.expect_text("x");
    for (std::thread& thread : threads) thread.join();
}
END_TEST

START_TEST(an_old_id_answers_gone_also_when_its_slot_serves_somebody_else) {
    Service service;
    Client old = service.connect();
    old.peer.send_close(1000);
    old.await_close();
    old.peer.disconnect();
    service.await_empty();
    Client next = service.connect(service.echo());
    next.await_open();
    ck_assert_uint_eq(next.id.slot(), old.id.slot());
    ck_assert(!(next.id == old.id));
    ck_assert(service.send(old.id, "x") == SendResult::gone);
    ck_assert(!service.close(old.id, 4000));
    service.engine().resume(old.id);
    service.engine().wait_for_room(old.id, 0);
    next.peer.send_text("mine");
    next.peer.expect_text("mine");
}
END_TEST

START_TEST(an_id_that_was_never_given_out_answers_gone) {
    Service service;
    ck_assert(service.send(ConnectionId(0, 0, 1), "x") == SendResult::gone);  // no loop runs yet
    Client client = service.connect();
    for (const ConnectionId id :
         {ConnectionId(), ConnectionId(0, 5'000, 1), ConnectionId(7, client.id.slot(), 1),
          ConnectionId(0, client.id.slot(), client.id.generation() + 1)}) {
        ck_assert(service.send(id, "x") == SendResult::gone);
        ck_assert(!service.close(id, 1000));
        service.engine().resume(id);
        service.engine().wait_for_room(id, 0);
    }
}
END_TEST

START_TEST(sends_race_against_the_end_without_harm) {
    std::atomic<std::uint64_t> current{0};
    std::atomic<bool> over{false};
    Service service;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&, i] {
            while (!over) {
                const std::uint64_t value = current;
                const ConnectionId id(static_cast<std::uint32_t>(value) >> 20,
                                      static_cast<std::uint32_t>(value) & 0xFFFFF,
                                      static_cast<std::uint32_t>(value >> 32));
                static_cast<void>(service.send(id, "x"));
                service.engine().resume(id);
                if (i == 0) service.engine().wait_for_room(id, 0);
            }
        });
    }
    for (int i = 0; i < (kThreadSanitizer ? 100 : 300); ++i) {
        Client client = service.connect(service.echo());
        current = client.id.value();
        client.peer.send_text("x");
        client.peer.expect_text("x");
        if (i % 3 == 0) client.peer.reset();
        if (i % 3 == 1) {
            client.peer.send_close(1000);
            client.peer.read_to_end();
        }
        if (i % 3 == 2) client.peer.disconnect();
        client.await_close();
    }
    over = true;
    for (std::thread& thread : threads) thread.join();
    service.await_empty();
}
END_TEST

START_TEST(a_close_that_could_not_be_posted_still_closes) {
    Service service;
    for (std::size_t index = 0; index < 3; ++index) {
        Client client = service.connect();
        client.await_open();
        bool closed = false;
        {
            const FailingAllocator allocator(index);
            closed = service.close(client.id, 4000);
        }
        ck_assert(closed);
        client.peer.send_close(1000);
        const Frame close = client.peer.receive();
        ck_assert_int_eq(static_cast<int>(close.opcode), static_cast<int>(Opcode::close));
        client.await_close();
    }
}
END_TEST

START_TEST(a_resume_that_could_not_be_posted_still_resumes) {
    Service service;
    Client client =
        service.connect({.on_message = [](ConnectionId, Message) { return Flow::pause; }});
    client.peer.send(masked(Opcode::text, "1") + masked(Opcode::text, "2"));
    client.await_messages(1);
    {
        const FailingAllocator allocator(0);
        service.engine().resume(client.id);
    }
    client.await_messages(2);
}
END_TEST

START_TEST(a_send_without_memory_says_so_and_leaves_no_trace) {
    Service service;
    service.options.send_buffer = 1000;
    Client client = service.connect(service.echo());
    client.await_open();
    SendResult result{};
    {
        const std::string large(2'000, 'x');
        const FailingAllocator allocator(0);
        result = service.send(client.id, large);
    }
    ck_assert(result == SendResult::no_memory);
    ck_assert(service.send(client.id, "after") == SendResult::ok);
    client.peer.expect_text("after");
}
END_TEST

START_TEST(a_connection_that_could_not_be_handed_over_is_closed) {
    Service service;
    Client first = service.connect();
    first.await_open();
    auto record = std::make_shared<Record>();
    SocketPair sockets = tcp_pair();
    Peer peer(std::move(sockets.client));
    Engine::Place place = service.reserve();
    const ConnectionId id = place.id();
    auto session = std::make_unique<RecordingSession>(record, id, Behaviour{});
    {
        const FailingAllocator allocator(0);
        service.engine().adopt(std::move(place), std::move(sockets.server), std::move(session),
                               service.options, 13, {});
    }
    ck_assert_uint_eq(record->get().closes.size(), 1);
    ck_assert(!record->get().opened);
    peer.expect_end();
    ck_assert(service.send(id, "x") == SendResult::gone);
    ck_assert_uint_eq(service.engine().connections(), 1);
    service.log.await("WS0301");
}
END_TEST

WEBSOCKET_TEST_SUITE(loop) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, threads_that_run_no_loop_may_block);
    tcase_add_test(tests, messages_of_each_of_ten_threads_keep_their_order);
    tcase_add_test(
        tests,
        messages_that_wait_for_a_busy_loop_leave_whole_and_in_order_with_all_that_is_between_them);
    tcase_add_test(tests, messages_of_the_loop_keep_their_order_also_behind_one_of_another_thread);
    tcase_add_test(tests, messages_that_wait_for_a_busy_loop_count_as_queued);
    tcase_add_test(tests, a_message_that_finds_no_memory_behind_others_leaves_no_trace);
    tcase_add_test(tests, what_a_callback_puts_off_happens_once_before_the_loop_waits);
    tcase_add_test(tests, a_full_connection_says_so_and_a_blocked_sender_wakes_when_there_is_room);
    tcase_add_test(tests, a_blocked_sender_wakes_when_the_connection_closes);
    tcase_add_test(tests, a_blocked_sender_wakes_when_the_connection_dies);
    tcase_add_test(tests, a_blocked_sender_wakes_when_its_own_side_closes_while_it_drains);
    tcase_add_test(tests, no_wake_up_is_lost_between_room_and_waiting);
    tcase_add_test(tests, an_old_id_answers_gone_also_when_its_slot_serves_somebody_else);
    tcase_add_test(tests, an_id_that_was_never_given_out_answers_gone);
    tcase_add_test(tests, sends_race_against_the_end_without_harm);
    tcase_add_test(tests, a_close_that_could_not_be_posted_still_closes);
    tcase_add_test(tests, a_resume_that_could_not_be_posted_still_resumes);
    tcase_add_test(tests, a_send_without_memory_says_so_and_leaves_no_trace);
    tcase_add_test(tests, a_connection_that_could_not_be_handed_over_is_closed);
}
