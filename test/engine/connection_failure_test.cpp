// SPDX-License-Identifier: Apache-2.0
// Reads, writes, allocations and sessions that fail at every point where they can: it costs this
// connection, and on_close comes exactly once.
#include "engine/connection.hpp"

#include <stdexcept>

#include "engine/service.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

/// Needs each kind of read and write: messages small, large and cut, a Ping, a Close.
std::string conversation() {
    return masked(Opcode::text, "small") + masked(Opcode::binary, std::string(50'000, 'l')) +
           masked(Opcode::text, "frag", false) + masked(Opcode::ping, "ping") +
           masked(Opcode::continuation, "ment") + masked(Opcode::close, close_payload(1000));
}

/// Sends what the server takes and forgets what it answers, until it hangs up.
void converse(Client& client, const std::string& input) {
    if (client.peer.send_some(input) < input.size()) {
        client.peer.shut_down();
    }
    client.peer.read_to_end();
    client.await_close();
}

/// A second connection of the same loop: it must notice nothing.
void expect_service(Service& service) {
    Client other = service.connect(service.echo());
    other.peer.send_text("unharmed");
    other.peer.expect_text("unharmed");
    other.peer.send_close(1000);
    other.peer.expect_close(1000);
    other.peer.disconnect();
    other.await_close();
}

}  // namespace

START_TEST(every_failing_read_costs_one_connection) {
    Service service;
    for (const IoStatus status : {IoStatus::failed, IoStatus::closed, IoStatus::would_block}) {
        bool reached = true;
        for (std::size_t index = 0; reached; ++index) {
            auto script = std::make_shared<Script>();
            script->on_read([=](std::size_t call) {
                return call == index ? IoResult{status} : IoResult{Script::kGoOn, 7'000};
            });
            Client client = service.connect(service.echo(), {.script = script});
            converse(client, conversation());
            reached = script->reads() > index;
        }
        expect_service(service);
    }
    service.await_empty();
}
END_TEST

START_TEST(every_failing_write_costs_one_connection) {
    Service service;
    for (const IoStatus status : {IoStatus::failed, IoStatus::closed, IoStatus::would_block}) {
        bool reached = true;
        for (std::size_t index = 0; reached; ++index) {
            auto script = std::make_shared<Script>();
            script->on_write([=](std::size_t call) {
                return call == index ? IoResult{status} : IoResult{Script::kGoOn, 20'000};
            });
            Client client = service.connect(service.echo(), {.script = script});
            converse(client, conversation());
            reached = script->writes() > index;
        }
        expect_service(service);
    }
    service.await_empty();
}
END_TEST

START_TEST(a_write_that_fails_inside_of_a_message_is_seen_by_the_next_send) {
    std::atomic<SendResult> first{};
    std::atomic<SendResult> second{};
    Service service;
    Client client = service.connect({.on_message = [&](ConnectionId id, Message) {
        first = service.send(id, std::string(100'000, 'x'));
        second = service.send(id, "y");
        service.close(id, 1000);
        return Flow::more;
    }});
    client.script->on_write(Script::only(0, IoStatus::failed));
    client.peer.send_text("go");
    client.expect_closed(1006, false);
    ck_assert(first == SendResult::gone);
    ck_assert(second == SendResult::gone);
    service.await_empty();
}
END_TEST

START_TEST(a_session_that_throws_is_closed_with_1011_and_logged) {
    Service service;
    const struct {
        std::function<void()> raise;
        const char* id;
    } kCases[] = {{[] { throw std::runtime_error("on purpose"); }, "WS0302"},
                  {[] { throw 7; }, "WS0302"},
                  {[] { throw std::bad_alloc(); }, "WS0301"}};
    for (const auto& one : kCases) {
        Client client = service.connect({.on_message = [&](ConnectionId id, Message) {
            static_cast<void>(service.send(id, "before"));
            one.raise();
            return Flow::more;
        }});
        client.peer.send(masked(Opcode::text, "go") + masked(Opcode::text, "never seen"));
        client.peer.expect_text("before");
        client.peer.expect_close(1011);
        client.expect_closed(1011, false);
        ck_assert_uint_eq(client.record->get().messages.size(), 1);
        service.log.await(one.id);
    }
    expect_service(service);
}
END_TEST

/// The allocation with this number fails, whichever thread makes it.
START_TEST(every_failing_allocation_costs_one_connection_at_most) {
    Service service;
    service.options.close_timeout = 1s;  // without memory for a Close nobody can say so
    expect_service(service);             // what is allocated once and kept
    const std::string input = conversation();
    bool failed = true;
    for (std::size_t index = 0; failed; ++index) {
        auto script = std::make_shared<Script>();
        script->on_write([](std::size_t) { return IoResult{Script::kGoOn, 20'000}; });
        Client client = service.connect(
            {.on_message =
                 [&](ConnectionId id, Message message) {
                     static_cast<void>(service.engine().send(id, Opcode::binary, message.payload,
                                                             service.options.send_buffer));
                     return Flow::more;
                 }},
            {.script = script});
        client.await_open();
        {
            const FailingAllocator allocator(index, Threads::all);
            while (!client.peer.send_some(input)) {
            }
            std::array<char, 4096> some;
            while (::recv(client.peer.descriptor(), some.data(), some.size(), 0) > 0) {
            }
            failed = FailingAllocator::failed();
        }
        client.await_close();
    }
    service.await_empty();
    expect_service(service);
}
END_TEST

/// The end of a session that drains too slowly needs memory for a Close behind other frames.
START_TEST(a_close_timeout_without_memory_for_the_close_ends_the_connection) {
    Service service;
    service.options.close_timeout = 64ms;
    for (std::size_t index = 0; index < 3; ++index) {
        Door draining;
        auto script = std::make_shared<Script>();
        script->on_write([](std::size_t) { return IoResult{IoStatus::would_block}; });
        Client client = service.connect({.drained =
                                             [&](ConnectionId id) {
                                                 static_cast<void>(service.send(id, "queued"));
                                                 draining.open();
                                                 return false;
                                             }},
                                        {.script = script});
        client.await_open();
        client.peer.send_close(4000);
        draining.await("the end of the input");
        bool closed = false;
        {
            const FailingAllocator allocator(index, Threads::all);
            closed = client.record->holds([](const Story& story) { return !story.closes.empty(); });
        }
        ck_assert(closed);
        client.peer.disconnect();
        service.await_empty();
        // Timers of connections that are gone must be gone, too.
        Client after = service.connect();
        after.await_open();
        service.close(after.id, 1000);
        after.expect_closed(1006, false);
        after.peer.disconnect();
        service.await_empty();
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(connection_failure) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, every_failing_read_costs_one_connection);
    tcase_add_test(tests, every_failing_write_costs_one_connection);
    tcase_add_test(tests, a_write_that_fails_inside_of_a_message_is_seen_by_the_next_send);
    tcase_add_test(tests, a_session_that_throws_is_closed_with_1011_and_logged);
    tcase_add_test(tests, every_failing_allocation_costs_one_connection_at_most);
    tcase_add_test(tests, a_close_timeout_without_memory_for_the_close_ends_the_connection);
}
