// SPDX-License-Identifier: Apache-2.0
// What plugins of interface version 1 want of a connection: messages in parts, both ways, word that
// there is room, pongs, and reading on demand.
#include <functional>

#include "engine/loop.hpp"
#include "engine/loop_task.hpp"
#include "engine/service.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::Connection;
using websocket::engine::Loop;
using websocket::engine::LoopTask;
using websocket::engine::MessagePart;
using websocket::engine::Session;
using websocket::engine::SharedFrame;

namespace {

struct Events {
    std::string log;
    int closes = 0;
};
using EventLog = Awaited<Events>;

/// Writes down what it is told, a word each.
class PartsListener final : public Session {
public:
    explicit PartsListener(EventLog& events) : events_(events) {}
    void on_open() noexcept override { note("open"); }
    Flow on_message(Message message) override {
        note("message:" + text_of(message.payload));
        return Flow::more;
    }
    Flow on_part(MessagePart part) override {
        note(std::string(part.first ? "first" : "next") + (part.last ? "+last:" : ":") +
             text_of(part.payload));
        return Flow::more;
    }
    Flow on_pong(std::span<const std::uint8_t> payload) override {
        note("pong:" + text_of(payload));
        return text_of(payload) == "enough" ? Flow::pause : Flow::more;
    }
    void on_writable() override { note("writable"); }
    void on_close_reason(std::string_view reason) noexcept override {
        note("reason:" + std::string(reason));
    }
    void on_close(const CloseInfo& info) noexcept override {
        note("close:" + std::to_string(info.code) + (info.clean ? ":clean" : ":unclean"));
        EventLog& events = events_;
        delete this;
        events.update([](Events& all) { ++all.closes; });
    }

private:
    void note(const std::string& word) {
        events_.update([&](Events& all) { all.log += word + " "; });
    }
    EventLog& events_;
};

struct Fixture {
    EventLog events;
    Service service;
    ConnectionId id;

    Peer connect(int socket_buffer = 0) {
        Engine::Place place = service.reserve();
        id = place.id();
        SocketPair sockets = tcp_pair(socket_buffer);
        service.engine().adopt(std::move(place), std::move(sockets.server),
                               std::make_unique<PartsListener>(events), service.options, 13, {});
        await("open ");
        return Peer(std::move(sockets.client));
    }
    void await(const std::string& text) {
        events.await([&](const Events& all) { return all.log.find(text) != std::string::npos; },
                     text.c_str());
    }
    SendResult part(Opcode opcode, std::string_view payload, bool fin) {
        return service.engine().send(id, SharedFrame::build(opcode, bytes(payload), fin),
                                     service.options.send_buffer);
    }
    /// Runs `work` on the connection's loop, with the others that `work` posts behind it.
    void on_loop(std::function<void(Connection*)> work) {
        struct Task final : LoopTask {
            std::function<void(Connection*)> work;
            void run(Loop& /*loop*/, websocket::engine::Channel* channel) noexcept override {
                work(static_cast<Connection*>(channel));
            }
        };
        auto task = std::make_unique<Task>();
        task->work = std::move(work);
        std::unique_ptr<LoopTask> posted = std::move(task);
        ck_assert(service.engine().post(id, posted) == Engine::Posted::yes);
    }
    ~Fixture() { service.stop(); }
};

}  // namespace

START_TEST(a_session_that_wants_parts_gets_them_as_they_come) {
    Fixture f;
    f.service.options.parts = true;
    Peer peer = f.connect();
    peer.send(masked(Opcode::text, "whole"));
    f.await("first+last:whole ");
    peer.send(masked(Opcode::text, "one", false));
    f.await("first:one ");
    const std::string two = masked(Opcode::continuation, "two", false);
    peer.send(std::string_view(two).substr(0, two.size() - 1));
    f.await("next:tw ");
    peer.send(std::string_view(two).substr(two.size() - 1));
    f.await("next:o ");
    peer.send(masked(Opcode::ping, "!"));
    peer.expect(Opcode::pong, "!");
    peer.send(masked(Opcode::continuation, ""));
    f.await("next+last: ");
}
END_TEST

START_TEST(parts_of_text_are_checked_across_their_borders) {
    Fixture f;
    f.service.options.parts = true;
    Peer peer = f.connect();
    peer.send(masked(Opcode::text, "\xC3", false) + masked(Opcode::continuation, "\xA4"));
    f.await("next+last:\xA4 ");
    peer.send(masked(Opcode::text, "\xC3", false) + masked(Opcode::continuation, ""));
    peer.expect_close(1007);
    f.await("close:1007:unclean");
}
END_TEST

START_TEST(other_messages_wait_for_the_end_of_a_message_in_parts) {
    Fixture f;
    Peer peer = f.connect();
    ck_assert(f.part(Opcode::text, "a", false) == SendResult::ok);
    ck_assert(f.service.send(f.id, "later") == SendResult::ok);
    ck_assert(f.service.send(f.id, "!", Opcode::ping) == SendResult::ok);
    f.on_loop([&](Connection* connection) {
        ck_assert(connection->transmit(Opcode::text, bytes("last"),
                                       websocket::engine::Compression::as_agreed) ==
                  SendResult::ok);
    });
    ck_assert(f.part(Opcode::continuation, "b", true) == SendResult::ok);
    peer.expect(Opcode::text, "a");
    peer.expect(Opcode::ping, "!");
    peer.expect(Opcode::continuation, "b");
    peer.expect(Opcode::text, "later");
    peer.expect(Opcode::text, "last");
    ck_assert(f.service.send(f.id, "more") == SendResult::ok);
    peer.expect(Opcode::text, "more");
}
END_TEST

START_TEST(messages_that_wait_for_the_last_part_leave_room_for_it) {
    Fixture f;
    f.service.options.send_buffer = 1'000;
    Peer peer = f.connect();
    ck_assert(f.part(Opcode::text, "a", false) == SendResult::ok);
    peer.expect(Opcode::text, "a");
    const std::string message(100, 'x');
    std::size_t sent = 0;
    while (f.service.send(f.id, message) == SendResult::ok) {
        ++sent;
        ck_assert_uint_lt(sent, 100);
    }
    ck_assert(f.service.engine().tell_when_writable(f.id, 500));
    await_quietly([&] { return f.service.engine().queued(f.id) == 0U; }, "what waits aside");
    ck_assert(f.service.send(f.id, message) == SendResult::full);
    ck_assert(f.service.engine().tell_when_writable(f.id, 500));
    ck_assert(
        !f.service.engine().tell_when_writable(f.id, 500, websocket::engine::Passage::between));
    for (int i = 0; i < 50; ++i) {
        ck_assert(f.part(Opcode::continuation, message, false) == SendResult::ok);
        peer.expect(Opcode::continuation, message);
    }
    ck_assert(f.service.send(f.id, "?", Opcode::ping) == SendResult::ok);
    peer.expect(Opcode::ping, "?");
    ck_assert(f.part(Opcode::continuation, "", true) == SendResult::ok);
    peer.expect(Opcode::continuation, "");
    for (; sent > 0; --sent) peer.expect(Opcode::text, message);
    f.await("writable ");
    await_quietly([&] { return f.service.send(f.id, "more") == SendResult::ok; }, "room");
    peer.expect(Opcode::text, "more");
    peer.send_text("heard");
    f.await("message:heard ");
}
END_TEST

START_TEST(a_client_is_read_again_when_what_waited_for_the_last_part_has_left) {
    Fixture f;
    f.service.options.send_buffer = 1'000;
    Peer peer = f.connect();
    ck_assert(f.part(Opcode::text, "a", false) == SendResult::ok);
    while (f.service.send(f.id, std::string(100, 'x')) == SendResult::ok) {
    }
    peer.send_text("one");
    f.await("message:one ");
    peer.send_text("two");
    ck_assert(f.part(Opcode::continuation, "b", true) == SendResult::ok);
    f.await("message:two ");
}
END_TEST

START_TEST(parts_without_memory_are_not_taken_and_change_nothing) {
    Door done;
    Fixture f;
    Peer peer = f.connect();
    f.on_loop([&](Connection* connection) {
        const SharedFrame first = SharedFrame::build(Opcode::text, bytes("a"), false);
        const SharedFrame message = SharedFrame::build(Opcode::text, bytes("later"));
        const SharedFrame last = SharedFrame::build(Opcode::continuation, bytes("b"), true);
        for (const SharedFrame* frame : {&first, &message, &last}) {
            SendResult result = SendResult::ok;
            std::size_t before = 0;
            fail_each_allocation(
                [&] {
                    before = connection->queued();
                    result =
                        connection->transmit(*frame, websocket::engine::Compression::as_agreed);
                },
                [&](bool failed) {
                    ck_assert(result == (failed ? SendResult::no_memory : SendResult::ok));
                    if (failed) ck_assert_uint_eq(connection->queued(), before);
                });
        }
        done.open();
    });
    done.await("the sends");
    peer.expect(Opcode::text, "a");
    peer.expect(Opcode::continuation, "b");
    peer.expect(Opcode::text, "later");
    await_quietly([&] { return f.service.engine().queued(f.id) == 0U; }, "the last write");
}
END_TEST

START_TEST(a_part_out_of_order_ends_nothing_under_the_callback_that_sends_it) {
    Door sent;
    Fixture f;
    Peer peer = f.connect();
    f.on_loop([&](Connection* connection) {
        const SharedFrame part = SharedFrame::build(Opcode::continuation, bytes("b"), false);
        static_cast<void>(connection->transmit(part, websocket::engine::Compression::as_agreed));
        ck_assert_ptr_nonnull(connection->session());
        ck_assert_int_eq(f.events.get().closes, 0);
        ck_assert(connection->transmit(Opcode::text, bytes("too late"),
                                       websocket::engine::Compression::as_agreed) ==
                  SendResult::closing);
        sent.open();
    });
    sent.await("the part");
    peer.expect_close(1011);
    f.await("close:1011:unclean");
}
END_TEST

START_TEST(parts_out_of_order_never_reach_the_peer) {
    for (const bool twice : {false, true}) {
        Fixture f;
        Peer peer = f.connect();
        if (twice) {
            ck_assert(f.part(Opcode::text, "a", false) == SendResult::ok);
            peer.expect(Opcode::text, "a");
        }
        ck_assert(f.part(twice ? Opcode::text : Opcode::continuation, "b", false) ==
                  SendResult::ok);
        peer.expect_close(1011);
        f.await("close:1011:unclean");
    }
}
END_TEST

START_TEST(a_close_in_the_middle_of_a_message_in_parts_drops_what_waits) {
    Fixture f;
    Peer peer = f.connect();
    ck_assert(f.part(Opcode::text, "a", false) == SendResult::ok);
    ck_assert(f.service.send(f.id, "later") == SendResult::ok);
    ck_assert(f.service.close(f.id, 1000));
    peer.expect(Opcode::text, "a");
    peer.expect_close(1000);
    peer.send_close(1000);
    peer.expect_end();
    f.await("close:1000:clean");
}
END_TEST

START_TEST(the_session_is_told_once_when_there_is_room_again) {
    Fixture f;
    f.service.options.send_buffer = 50'000;
    Peer peer = f.connect(8'000);
    while (f.service.send(f.id, std::string(10'000, 'x')) == SendResult::ok) {
    }
    ck_assert(f.service.engine().tell_when_writable(f.id, 25'000));
    ck_assert(f.service.engine().queued(f.id) > 25'000);
    std::size_t seen = 0;
    while (f.events.get().log.find("writable") == std::string::npos) {
        if (peer.readable(1ms)) seen += peer.receive().payload.size();
    }
    ck_assert_uint_gt(seen, 0);
    ck_assert(!f.service.engine().tell_when_writable(f.id, 25'000));
}
END_TEST

START_TEST(pongs_and_reasons_reach_the_session) {
    Fixture f;
    Peer peer = f.connect();
    peer.send(masked(Opcode::pong, "p"));
    f.await("pong:p ");
    peer.send(Opcode::close, close_payload(4000) + "because");
    f.await("reason:because close:4000:clean ");
}
END_TEST

START_TEST(a_session_may_have_enough_of_pongs) {
    Door looked;
    Fixture f;
    Peer peer = f.connect();
    peer.send(masked(Opcode::pong, "enough") + masked(Opcode::text, "unheard"));
    f.await("pong:enough ");
    f.on_loop([&](Connection* /*connection*/) { looked.open(); });  // a turn of the loop at least
    looked.await("a turn");
    ck_assert(f.events.get().log.find("unheard") == std::string::npos);
    f.service.engine().resume(f.id);
    f.await("message:unheard ");
}
END_TEST

START_TEST(reading_stops_and_goes_on_as_the_application_likes) {
    Door held;
    Door looked;
    Fixture f;
    Peer peer = f.connect();
    f.on_loop([&](Connection* connection) {
        connection->hold(true);
        held.open();
    });
    held.await("the pause");
    peer.send_text("unheard");
    f.on_loop([&](Connection* /*connection*/) { looked.open(); });  // a turn of the loop at least
    looked.await("a turn");
    ck_assert(f.events.get().log.find("unheard") == std::string::npos);
    f.on_loop([](Connection* connection) { connection->hold(false); });
    f.await("message:unheard ");
}
END_TEST

START_TEST(a_task_runs_without_a_connection_once_that_has_ended) {
    Awaited<int> ran;
    Fixture f;
    Peer peer = f.connect();
    peer.reset();
    f.await("close:1006:unclean");
    f.on_loop([&](Connection* connection) {
        ran.update([&](int& value) { value = connection == nullptr ? 1 : 2; });
    });
    ck_assert_int_eq(ran.await([](int value) { return value != 0; }, "the task"), 1);
    ck_assert(!f.service.engine().queued(f.id).has_value());
}
END_TEST

WEBSOCKET_TEST_SUITE(connection_parts) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_session_that_wants_parts_gets_them_as_they_come);
    tcase_add_test(tests, parts_of_text_are_checked_across_their_borders);
    tcase_add_test(tests, other_messages_wait_for_the_end_of_a_message_in_parts);
    tcase_add_test(tests, messages_that_wait_for_the_last_part_leave_room_for_it);
    tcase_add_test(tests, a_client_is_read_again_when_what_waited_for_the_last_part_has_left);
    tcase_add_test(tests, parts_without_memory_are_not_taken_and_change_nothing);
    tcase_add_test(tests, a_part_out_of_order_ends_nothing_under_the_callback_that_sends_it);
    tcase_add_test(tests, parts_out_of_order_never_reach_the_peer);
    tcase_add_test(tests, a_close_in_the_middle_of_a_message_in_parts_drops_what_waits);
    tcase_add_test(tests, the_session_is_told_once_when_there_is_room_again);
    tcase_add_test(tests, pongs_and_reasons_reach_the_session);
    tcase_add_test(tests, a_session_may_have_enough_of_pongs);
    tcase_add_test(tests, reading_stops_and_goes_on_as_the_application_likes);
    tcase_add_test(tests, a_task_runs_without_a_connection_once_that_has_ended);
}
