// SPDX-License-Identifier: Apache-2.0
#include "engine/event_stream.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "engine/event_form.hpp"
#include "engine/service.hpp"
#include "failing_allocator.hpp"
#include "protocol/event_source.hpp"
#include "unit.hpp"

using namespace websocket::test;
using namespace std::chrono_literals;
using websocket::engine::Ender;
using websocket::engine::EventStream;
using websocket::engine::EventStreamOptions;
using websocket::engine::GroupId;
using websocket::engine::GroupListener;
using websocket::engine::RatePolicy;
using websocket::engine::SharedFrame;
using websocket::net::Delivery;
using websocket::protocol::BodyFraming;
using websocket::protocol::CloseCode;

namespace {

constexpr GroupId kListeners = 7;
constexpr std::uint16_t kNormal = 1000;

class Losses final : public GroupListener {
public:
    void on_gone(ConnectionId /*id*/) noexcept override {
        const ForTheTest memory;
        gone.update([](std::size_t& total) { ++total; });
    }
    void on_too_slow(std::size_t members) noexcept override {
        const ForTheTest memory;
        too_slow.update([members](std::size_t& total) { total += members; });
    }
    Awaited<std::size_t> gone;
    Awaited<std::size_t> too_slow;
};

class Listening {
public:
    Peer peer;
    std::shared_ptr<Record> record = std::make_shared<Record>();
    std::shared_ptr<Script> script;
    std::shared_ptr<Report> report = std::make_shared<Report>();
    ConnectionId id;

    explicit Listening(Service& service, Behaviour behaviour = {},
                       const EventStreamOptions& how = {}, int buffer = 0,
                       std::shared_ptr<Script> script_of = std::make_shared<Script>())
        : Listening(service, std::move(behaviour), how, tcp_pair(buffer), std::move(script_of)) {}

    /// What has come until there are so many events, without the chunks around.
    EventSource await_events(std::size_t count) {
        for (;;) {
            EventSource source(body());
            if (source.events.size() >= count) return source;
            read_more();
        }
    }
    EventSource await_comment() {
        for (;;) {
            EventSource source(body());
            if (!source.comments.empty()) return source;
            read_more();
        }
    }
    /// All until the end of the stream, whose body was ended as it should.
    EventSource await_end() {
        for (std::string some = peer.receive_some(); !some.empty(); some = peer.receive_some()) {
            received_ += some;
        }
        ck_assert(!chunked_ || dechunked(received_).second);
        return EventSource(body());
    }
    [[nodiscard]] std::string body() const {
        return chunked_ ? dechunked(received_).first : received_;
    }
    CloseInfo await_close() {
        return record->await([](const Story& story) { return !story.closes.empty(); }, "on_close")
            .closes.front();
    }
    Account await_account() {
        return report
            ->await([](const auto& accounts) { return !accounts.empty(); }, "the stream's end")
            .front();
    }
    void await_open() {
        record->await([](const Story& story) { return story.opened; }, "on_open");
    }

private:
    Listening(Service& service, Behaviour behaviour, const EventStreamOptions& how,
              SocketPair sockets, std::shared_ptr<Script> script_of)
        : peer(std::move(sockets.client)), script(std::move(script_of)),
          chunked_(how.framing == BodyFraming::chunked) {
        websocket::engine::Refusal why{};
        auto place = service.engine().reserve<EventStream>(why);
        ck_assert(place.has_value());
        id = place->id();
        (*place)->attach(std::make_unique<ReportingRecord>(service.options.rates, report));
        (*place)->prepare(std::make_unique<ScriptedTransport>(std::move(sockets.server), script),
                          std::make_unique<RecordingSession>(record, id, std::move(behaviour)),
                          service.options, how);
        service.engine().serve(std::move(*place));
    }
    void read_more() {
        const std::string some = peer.receive_some();
        ck_assert_msg(!some.empty(), "the end came too early");
        received_ += some;
    }

    bool chunked_;
    std::string received_;
};

SendResult send_part(Service& service, ConnectionId id, Opcode opcode, std::string_view text,
                     bool last) {
    return service.engine().send(id, SharedFrame::build(opcode, bytes(text), last),
                                 service.options.send_buffer);
}

}  // namespace

// ---- what goes wrong ------------------------------------------------------------------------------

START_TEST(what_a_client_sends_is_discarded_and_costs_its_rate) {
    Service service;
    service.options.rates = {.bytes = 2'000, .burst = 1s, .policy = RatePolicy::close};
    Listening client(service);
    client.await_open();
    client.peer.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert(service.send(client.id, "still here") == SendResult::ok);
    client.await_events(1);
    client.peer.send(std::string(64U << 10, 'x'));
    ck_assert_uint_eq(client.await_close().code, 1008);
    client.await_end();
    client.peer.disconnect();
    const Account account = client.await_account();
    ck_assert(account.ending.by == Ender::server);
    ck_assert_uint_gt(account.traffic.bytes_in, 2'000);
}
END_TEST

START_TEST(the_end_of_the_clients_side_is_the_end) {
    Service service;
    Listening client(service);
    client.await_open();
    ck_assert(service.send(client.id, "last") == SendResult::ok);
    client.peer.shut_down();
    const CloseInfo info = client.await_close();
    ck_assert_uint_eq(info.code, 1006);
    ck_assert(info.by_peer);
    ck_assert(client.await_end().events.at(0).data == "last");
    ck_assert(client.await_account().ending.by == Ender::client);
    service.await_empty();
    ck_assert(service.send(client.id, "x") == SendResult::gone);
}
END_TEST

START_TEST(a_client_that_resets_is_gone) {
    Service service;
    Listening client(service);
    client.await_open();
    client.peer.reset();
    ck_assert_uint_eq(client.await_close().code, 1006);
    ck_assert(client.await_account().ending.by == Ender::network);
    service.await_empty();
}
END_TEST

START_TEST(a_write_that_fails_ends_it) {
    Service service;
    auto script = std::make_shared<Script>();
    script->on_write(Script::only(0, IoStatus::failed));
    Listening client(service, {}, {}, 0, script);
    client.await_open();
    static_cast<void>(service.send(client.id, "x"));
    ck_assert_uint_eq(client.await_close().code, 1006);
    client.peer.read_to_end();
    service.await_empty();
}
END_TEST

START_TEST(a_client_that_does_not_read_is_full_and_then_told_of_room) {
    Service service;
    service.options.send_buffer = 32U << 10;
    Listening client(service, {}, {.framing = BodyFraming::bare}, 4096);
    client.await_open();
    const std::string line(1000, 'x');
    std::size_t sent = 0;
    SendResult result = SendResult::ok;
    for (; result == SendResult::ok && sent < 100'000; ++sent) {
        result = service.send(client.id, line);
    }
    ck_assert_int_eq(static_cast<int>(result), static_cast<int>(SendResult::full));
    // What the loop is encoding counts as message and as event.
    ck_assert_uint_lt(service.engine().queued(client.id).value(), 2 * (32U << 10) + 2'000);
    client.await_events(sent - 1);
    service.engine().wait_for_room(client.id, 0);
    ck_assert(service.send(client.id, "more") == SendResult::ok);
    ck_assert(client.await_events(sent).events.back().data == "more");
}
END_TEST

START_TEST(a_member_that_does_not_read_loses_messages_or_is_closed) {
    Losses losses;
    Service service;
    service.options.send_buffer = 16U << 10;
    service.options.closes_slow = true;
    service.engine().set_group_listener(losses);
    Listening client(service, {}, {}, 4096);
    client.await_open();
    ck_assert(service.engine().join(kListeners, client.id));
    const SharedFrame frame = SharedFrame::build(Opcode::text, bytes(std::string(4096, 'x')));
    while (!client.record->holds([](const Story& story) { return !story.closes.empty(); }, 0ms)) {
        static_cast<void>(service.engine().broadcast(0, kListeners, frame, {}));
    }
    ck_assert_uint_eq(client.await_close().code, 1008);
    losses.too_slow.await([](std::size_t count) { return count > 0; }, "on_too_slow");
    client.await_end();
}
END_TEST

START_TEST(who_takes_nothing_is_gone_and_who_says_nothing_is_not) {
    Service service;
    service.options.ping_interval = 200ms;
    service.options.pong_timeout = 200ms;
    Listening silent(service);
    auto script = std::make_shared<Script>();
    script->on_delivery([](std::size_t) {
        return Delivery{3, 0};
    });  // as if no acknowledgement came
    Listening dead(service, {}, {}, 0, script);
    ck_assert_uint_eq(dead.await_close().code, 1001);
    const EventSource source = silent.await_comment();
    ck_assert(source.events.empty());
    ck_assert(!silent.record->holds([](const Story& story) { return !story.closes.empty(); }, 0ms));
    dead.peer.read_to_end();
}
END_TEST

/// Over a long way something is always under way, and need not be less than at the last look.
START_TEST(who_takes_what_comes_all_the_time_is_not_gone) {
    std::atomic<std::uint32_t> looks = 0;
    Service service;
    service.options.ping_interval = 64ms;
    service.options.pong_timeout = 64ms;
    auto script = std::make_shared<Script>();
    script->on_delivery([&](std::size_t) { return Delivery{1'000, ++looks}; });
    Listening far(service, {}, {}, 0, script);
    far.await_open();
    await_quietly([&] { return looks > 10; }, "looks at what has been taken");
    ck_assert(!far.record->holds([](const Story& story) { return !story.closes.empty(); }, 0ms));
}
END_TEST

/// As TLS does while the kernel has room for parts of a record.
START_TEST(who_takes_what_no_write_can_count_is_not_gone) {
    Service service;
    service.options.ping_interval = 64ms;
    service.options.pong_timeout = 64ms;
    auto script = std::make_shared<Script>();
    std::atomic<bool> counts = false;
    script->on_write([&](std::size_t call) {
        return call == 0 || counts ? Script::kNormally : IoResult{IoStatus::would_block};
    });
    script->on_delivery([](std::size_t) { return Delivery{3, 0}; });
    Listening slow(service, {}, {}, 0, script);
    slow.await_open();
    ck_assert(service.send(slow.id, "first") == SendResult::ok);
    slow.await_events(1);
    ck_assert(service.send(slow.id, "second") == SendResult::ok);
    ck_assert(!slow.record->holds([](const Story& story) { return !story.closes.empty(); }, 1s));
    counts = true;
    ck_assert(slow.await_events(2).events.at(1).data == "second");
}
END_TEST

START_TEST(a_client_that_shuts_its_side_still_gets_all) {
    Service service;
    service.options.send_buffer = 4'000'000;
    Listening slow(service, {}, {}, 20'000);
    slow.await_open();
    const std::string large(1'000'000, 'x');
    ck_assert(service.send(slow.id, large) == SendResult::ok);
    ck_assert(service.close(slow.id, kNormal));
    slow.peer.shut_down();
    ck_assert(slow.await_end().events.at(0).data == large);
    service.await_empty();
}
END_TEST

START_TEST(a_client_that_does_not_close_its_side_is_waited_for_in_vain_only_so_long) {
    Service service;
    service.options.close_timeout = 100ms;
    Listening client(service);
    client.await_open();
    ck_assert(service.close(client.id, kNormal));
    client.await_account();
    service.await_empty();
}
END_TEST

START_TEST(a_message_that_would_be_too_large_as_an_event_is_not_built) {
    const SharedFrame frame = SharedFrame::build(Opcode::text, bytes(std::string(48U << 20, '\n')));
    bool refused = false;
    try {
        static_cast<void>(websocket::engine::event_form(frame, BodyFraming::chunked));
    } catch (const std::bad_alloc&) {
        refused = true;
    }
    ck_assert(refused);
}
END_TEST

START_TEST(each_allocation_that_fails_costs_one_stream_at_most) {
    Service service;
    Losses losses;
    service.engine().set_group_listener(losses);
    std::size_t ended = 0;
    for (std::size_t index = 0; index < 24; ++index) {
        Listening client(service, {}, {.retry = 1s});
        client.await_open();
        ck_assert(service.engine().join(kListeners, client.id));
        const SharedFrame frame = SharedFrame::build(Opcode::text, bytes("for all"));
        {
            const FailingAllocator failing(index, Threads::all);
            static_cast<void>(service.engine().broadcast(0, kListeners, frame, {}));
            static_cast<void>(service.send(client.id, "for you"));
            static_cast<void>(service.close(client.id, kNormal));
            await_quietly([&] { return !service.engine().queued(client.id).has_value(); },
                          "the close");
        }
        client.await_close();
        client.peer.read_to_end();
        client.peer.disconnect();
        ++ended;
    }
    ck_assert_uint_eq(ended, 24);
    service.await_empty();
}
END_TEST

// ---- what goes right ------------------------------------------------------------------------------

START_TEST(messages_become_events_in_order_and_the_close_ends_the_body) {
    Service service;
    Behaviour greets{
        .on_open = [&](ConnectionId id) { static_cast<void>(service.send(id, "from on_open")); }};
    Listening client(service, std::move(greets), {.retry = 1'500ms});
    client.await_open();
    for (const char* text : {"one", "two\nlines", ""}) {
        ck_assert(service.send(client.id, text) == SendResult::ok);
    }
    ck_assert(service.send(client.id, "\1\2", Opcode::binary) == SendResult::ok);
    ck_assert(service.send(client.id, "", Opcode::ping) == SendResult::ok);
    ck_assert(service.send(client.id, "", Opcode::pong) == SendResult::ok);
    ck_assert(service.close(client.id, 4001));
    ck_assert(service.send(client.id, "too late") != SendResult::ok);
    const EventSource all = client.await_end();
    const std::vector<StreamEvent> wanted{{"message", "from on_open", ""},
                                          {"message", "one", ""},
                                          {"message", "two\nlines", ""},
                                          {"message", "", ""},
                                          {"binary", "AQI=", ""}};
    ck_assert(all.events == wanted);
    ck_assert(all.retry == "1500");
    ck_assert_uint_eq(all.comments.size(), 1);
    const CloseInfo info = client.await_close();
    ck_assert_uint_eq(info.code, 4001);
    ck_assert(!info.by_peer);
    client.peer.disconnect();
    const Account account = client.await_account();
    ck_assert_uint_eq(account.ending.code, 4001);
    ck_assert_uint_eq(account.traffic.messages_out, 5);
}
END_TEST

START_TEST(a_bare_body_has_no_chunks) {
    Service service;
    Listening client(service, {}, {.framing = BodyFraming::bare});
    client.await_open();
    ck_assert(service.send(client.id, "x") == SendResult::ok);
    ck_assert(service.close(client.id, kNormal));
    client.await_end();
    ck_assert(client.body() == "data: x\n\n");
}
END_TEST

START_TEST(a_session_may_close_its_stream_in_on_open) {
    Service service;
    Behaviour closes{.on_open = [&](ConnectionId id) {
        static_cast<void>(service.send(id, "only"));
        static_cast<void>(service.close(id, kNormal));
    }};
    Listening client(service, std::move(closes));
    ck_assert_uint_eq(client.await_end().events.size(), 1);
    ck_assert_uint_eq(client.await_close().code, kNormal);
}
END_TEST

START_TEST(a_message_in_parts_is_one_event_and_others_wait_for_its_end) {
    Service service;
    Listening client(service);
    client.await_open();
    ck_assert(send_part(service, client.id, Opcode::text, "a\r", false) == SendResult::ok);
    ck_assert(service.send(client.id, "other") == SendResult::ok);
    ck_assert(service.send(client.id, "", Opcode::ping) == SendResult::ok);
    ck_assert(send_part(service, client.id, Opcode::continuation, "\nb", false) == SendResult::ok);
    ck_assert(send_part(service, client.id, Opcode::continuation, "", true) == SendResult::ok);
    const EventSource all = client.await_events(2);
    ck_assert(all.events.at(0).data == "a\nb");
    ck_assert(all.events.at(1).data == "other");
    ck_assert(send_part(service, client.id, Opcode::continuation, "x", true) == SendResult::ok);
    ck_assert_uint_eq(client.await_close().code, 1011);
    client.await_end();
}
END_TEST

START_TEST(events_that_wait_for_the_last_part_leave_room_for_it) {
    Service service;
    service.options.send_buffer = 1'000;
    Listening client(service);
    client.await_open();
    ck_assert(send_part(service, client.id, Opcode::text, "a", false) == SendResult::ok);
    std::size_t sent = 0;
    while (service.send(client.id, std::string(100, 'x')) == SendResult::ok) {
        ++sent;
        ck_assert_uint_lt(sent, 100);
    }
    await_quietly([&] { return service.engine().queued(client.id) == 0U; }, "what waits aside");
    for (int i = 0; i < 50; ++i) {
        const SendResult result =
            send_part(service, client.id, Opcode::continuation, std::string(100, 'a'), i == 49);
        ck_assert(result == SendResult::ok);
        await_quietly([&] { return i == 49 || service.engine().queued(client.id) == 0U; },
                      "the way of a part");
    }
    const EventSource all = client.await_events(1 + sent);
    ck_assert(all.events.at(0).data == std::string(5'001, 'a'));
    ck_assert(all.events.at(sent).data == std::string(100, 'x'));
}
END_TEST

START_TEST(a_broadcast_reaches_sockets_and_streams_each_in_its_form) {
    Losses losses;
    Service service;
    service.engine().set_group_listener(losses);
    Client socket = service.connect();
    Listening chunked(service);
    Listening bare(service, {}, {.framing = BodyFraming::bare});
    for (Listening* one : {&chunked, &bare}) {
        one->await_open();
        ck_assert(service.engine().join(kListeners, one->id));
    }
    socket.await_open();
    ck_assert(service.engine().join(kListeners, socket.id));
    const SharedFrame first = SharedFrame::build(Opcode::text, bytes("first"));
    websocket::engine::set_event_fields(first, "event: e\nid: 9\n");
    ck_assert(service.engine().broadcast(0, kListeners, first, {}) == SendResult::ok);
    for (int i = 0; i < 50; ++i) {
        const SharedFrame frame = SharedFrame::build(Opcode::text, bytes(std::to_string(i)));
        ck_assert(service.engine().broadcast(0, kListeners, frame, bare.id) == SendResult::ok);
    }
    socket.peer.expect_text("first");
    for (int i = 0; i < 50; ++i) socket.peer.expect_text(std::to_string(i));
    ck_assert(bare.await_events(1).events.front() == (StreamEvent{"e", "first", "9"}));
    const EventSource all = chunked.await_events(51);
    ck_assert(all.events.front() == (StreamEvent{"e", "first", "9"}));
    ck_assert(all.events.back() == (StreamEvent{"message", "49", "9"}));
    ck_assert_uint_eq(bare.await_events(1).events.size(), 1);
    chunked.peer.disconnect();
    losses.gone.await([](std::size_t count) { return count == 1; }, "on_gone");
}
END_TEST

START_TEST(streams_share_what_a_message_becomes) {
    const SharedFrame frame = SharedFrame::build(Opcode::text, bytes("x"));
    const auto once = websocket::engine::event_form(frame, BodyFraming::chunked).bytes().data();
    ck_assert_ptr_eq(websocket::engine::event_form(frame, BodyFraming::chunked).bytes().data(),
                     once);
    ck_assert_ptr_ne(websocket::engine::event_form(frame, BodyFraming::bare).bytes().data(), once);
}
END_TEST

START_TEST(a_drain_ends_streams_properly) {
    Service service;
    Listening client(service, {.on_drain = [&](ConnectionId id, auto) {
                         static_cast<void>(service.send(id, "come back"));
                     }});
    client.await_open();
    service.engine().begin_drain({std::chrono::steady_clock::now() + 4s,
                                  []() noexcept { return CloseCode::service_restart; }});
    ck_assert(client.await_end().events.at(0).data == "come back");
    ck_assert_uint_eq(client.await_close().code, 1012);
    client.peer.disconnect();
    service.await_empty();
    ck_assert_uint_eq(service.engine().departures().in_order, 1);
    ck_assert_uint_eq(service.engine().departures().forced, 0);
}
END_TEST

START_TEST(a_drain_lets_a_message_in_parts_come_to_its_end) {
    for (const bool ends : {true, false}) {
        Service service;
        std::atomic<bool> told = false;
        Listening client(service, {.on_drain = [&](ConnectionId, auto) { told = true; }});
        client.await_open();
        ck_assert(send_part(service, client.id, Opcode::text, "a", false) == SendResult::ok);
        service.engine().begin_drain({std::chrono::steady_clock::now() + (ends ? 12s : 500ms),
                                      []() noexcept { return CloseCode::service_restart; }});
        await_quietly([&] { return told.load(); }, "the drain");
        ck_assert(service.send(client.id, "behind") == SendResult::ok);
        if (ends) {
            ck_assert(send_part(service, client.id, Opcode::continuation, "b", true) ==
                      SendResult::ok);
            const EventSource all = client.await_end();
            ck_assert(all.events.at(0).data == "ab");
            ck_assert(all.events.at(1).data == "behind");
        }
        ck_assert_uint_eq(client.await_close().code, 1012);
        client.peer.disconnect();
        service.await_empty();
        ck_assert_uint_eq(service.engine().departures().in_order, ends ? 1 : 0);
    }
}
END_TEST

START_TEST(the_end_of_the_engine_ends_the_body_as_well) {
    Service service;
    Listening client(service);
    client.await_open();
    service.engine().begin_stop();
    client.await_end();
    ck_assert_uint_eq(client.await_close().code, 1001);
}
END_TEST

WEBSOCKET_TEST_SUITE(event_stream) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, what_a_client_sends_is_discarded_and_costs_its_rate);
    tcase_add_test(tests, the_end_of_the_clients_side_is_the_end);
    tcase_add_test(tests, a_client_that_resets_is_gone);
    tcase_add_test(tests, a_write_that_fails_ends_it);
    tcase_add_test(tests, a_client_that_does_not_read_is_full_and_then_told_of_room);
    tcase_add_test(tests, a_member_that_does_not_read_loses_messages_or_is_closed);
    tcase_add_test(tests, who_takes_nothing_is_gone_and_who_says_nothing_is_not);
    tcase_add_test(tests, who_takes_what_comes_all_the_time_is_not_gone);
    tcase_add_test(tests, who_takes_what_no_write_can_count_is_not_gone);
    tcase_add_test(tests, a_client_that_shuts_its_side_still_gets_all);
    tcase_add_test(tests, a_client_that_does_not_close_its_side_is_waited_for_in_vain_only_so_long);
    tcase_add_test(tests, a_message_that_would_be_too_large_as_an_event_is_not_built);
    tcase_add_test(tests, each_allocation_that_fails_costs_one_stream_at_most);
    tcase_add_test(tests, messages_become_events_in_order_and_the_close_ends_the_body);
    tcase_add_test(tests, a_bare_body_has_no_chunks);
    tcase_add_test(tests, a_session_may_close_its_stream_in_on_open);
    tcase_add_test(tests, a_message_in_parts_is_one_event_and_others_wait_for_its_end);
    tcase_add_test(tests, events_that_wait_for_the_last_part_leave_room_for_it);
    tcase_add_test(tests, a_broadcast_reaches_sockets_and_streams_each_in_its_form);
    tcase_add_test(tests, streams_share_what_a_message_becomes);
    tcase_add_test(tests, a_drain_ends_streams_properly);
    tcase_add_test(tests, a_drain_lets_a_message_in_parts_come_to_its_end);
    tcase_add_test(tests, the_end_of_the_engine_ends_the_body_as_well);
}
