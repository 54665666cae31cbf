// SPDX-License-Identifier: Apache-2.0
// What a plugin of ABI version 0 is promised from its first callback to its last.
#include "plugin/v0/v0_session.hpp"

#include <stdexcept>

#include "plugin/recording_plugin.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::plugin::V0Session;

namespace {

std::string text_frames(int count) {
    std::string frames;
    for (int i = 0; i < count; ++i) frames += masked(Opcode::text, std::to_string(i));
    return frames;
}

}  // namespace

START_TEST(messages_come_in_order_one_at_a_time_and_the_end_comes_once) {
    PluginService host(kWays[_i]);
    host.on_message = send_back;
    Peer peer = host.connect();
    peer.send(text_frames(1000));
    for (int i = 0; i < 1000; ++i) peer.expect_text(std::to_string(i));
    peer.send_close(1000);
    peer.expect_close(1000);
    peer.expect_end();
    peer.disconnect();
    host.await_disconnects(1);
    host.stop();
    ck_assert_uint_eq(host.record().get().messages.size(), 1000);
    ck_assert_int_eq(host.record().get().disconnects, 1);
}
END_TEST

START_TEST(answers_to_all_that_came_before_the_close_go_out_before_ours) {
    PluginService host(kWays[_i], {.max_threads = 4});
    host.on_message = send_back;
    for (int round = 0; round < 200; ++round) {
        Peer peer = host.connect();
        const int count = 1 + round % 40;
        peer.send(text_frames(count) + masked(Opcode::close, close_payload(1000)));
        for (int i = 0; i < count; ++i) peer.expect_text(std::to_string(i));
        peer.expect_close(1000);
        peer.expect_end();
    }
}
END_TEST

/// The pool's thread may still be leaving the first message when the second and the Close come.
START_TEST(an_answer_is_not_lost_when_the_close_comes_right_behind_another_answer) {
    std::atomic<bool> over{false};
    PluginService host(kWays[_i], {.max_threads = 8});
    host.on_message = send_back;
    std::vector<std::thread> load;  // so that threads are interrupted anywhere
    for (int i = 0; i < 4; ++i) {
        load.emplace_back([&] {
            while (!over) std::this_thread::yield();
        });
    }
    for (int round = 0; round < 3000; ++round) {
        Peer peer = host.connect();
        peer.send_text("first");
        peer.expect_text("first");
        peer.send(masked(Opcode::text, "last") + masked(Opcode::close, close_payload(1000)));
        peer.expect_text("last");
        peer.expect_close(1000);
    }
    over = true;
    for (std::thread& thread : load) thread.join();
}
END_TEST

START_TEST(messages_of_many_clients_run_side_by_side) {
    constexpr int kClients = 6;
    Awaited<int> inside;
    PluginService host(kWays[_i], {.max_threads = kClients});
    host.on_message = [&](const WebSocketServer*, std::string) {
        inside.update([](int& count) { ++count; });
        static_cast<void>(inside.holds([](int count) { return count == kClients; }));
    };
    std::vector<Peer> peers;
    for (int i = 0; i < kClients; ++i) peers.push_back(host.connect());
    for (Peer& peer : peers) peer.send_text("all together");
    inside.await([](int count) { return count == kClients; }, "all callbacks at once");
}
END_TEST

START_TEST(a_client_whose_messages_are_handled_slowly_is_read_from_no_further) {
    Door go;
    PluginService host(kWays[_i]);
    host.session_options().receive_buffer = 10'000;
    host.on_message = [&](const WebSocketServer* server, std::string message) {
        static_cast<void>(go.passed());
        send_back(server, message.substr(0, 8));
    };
    Peer peer = host.connect(8'000);
    const std::string frame = masked(Opcode::text, std::string(1000, 'x'));
    std::size_t sent = 0;
    std::string rest;
    for (pollfd poll{peer.descriptor(), POLLOUT, 0}; ::poll(&poll, 1, 300) > 0;) {
        if (rest.empty()) {
            rest = frame;
            ck_assert_uint_lt(++sent, 10'000);
        }
        rest.erase(0, peer.send_some(rest));
    }
    ck_assert_uint_eq(host.record().get().messages.size(), 1);
    go.open();
    peer.send(rest);
    for (std::size_t i = 0; i < sent; ++i) peer.expect_text("xxxxxxxx");
}
END_TEST

START_TEST(a_message_larger_than_the_receive_buffer_comes_through) {
    PluginService host(kWays[_i]);
    host.session_options().receive_buffer = 1;
    host.on_message = send_back;
    Peer peer = host.connect();
    const std::string large(300'000, 'l');
    for (int i = 0; i < 3; ++i) peer.send_text(large);
    peer.send_text("end");
    for (int i = 0; i < 3; ++i) peer.expect_text(large);
    peer.expect_text("end");
}
END_TEST

START_TEST(no_client_is_forgotten_in_a_pause) {
    PluginService host(kWays[_i], {.max_threads = 4});
    host.session_options().receive_buffer = 200;
    host.on_message = send_back;
    std::vector<Peer> peers;
    for (int i = 0; i < 4; ++i) peers.push_back(host.connect());
    for (int round = 0; round < 300; ++round) {
        for (Peer& peer : peers) peer.send(text_frames(10));
        for (Peer& peer : peers) {
            for (int i = 0; i < 10; ++i) peer.expect_text(std::to_string(i));
        }
    }
}
END_TEST

START_TEST(a_pool_plugin_that_throws_costs_its_client_only_and_gets_no_more_of_it) {
    PluginService host(kWays[_i]);
    host.on_message = [](const WebSocketServer* server, std::string message) {
        if (message == "throw") throw std::runtime_error("on purpose");
        if (message == "throw int") throw 7;
        send_back(server, message);
    };
    for (const char* what : {"throw", "throw int"}) {
        Peer other = host.connect();
        Peer peer = host.connect();
        peer.send(masked(Opcode::text, "before") + masked(Opcode::text, what) +
                  masked(Opcode::text, "never"));
        peer.expect_text("before");
        peer.expect_close(1011);
        peer.send_close(1011);
        peer.expect_end();
        other.send_text("unharmed");
        other.expect_text("unharmed");
    }
    ck_assert_uint_eq(host.service.log.count("WS0403"), 2);
    for (const std::string& message : host.record().get().messages) ck_assert(message != "never");
}
END_TEST

START_TEST(an_inline_plugin_that_throws_costs_its_client_only) {
    PluginService host(Dispatch::inline_);
    host.on_message = [](const WebSocketServer*, std::string) {
        throw std::runtime_error("on purpose");
    };
    Peer peer = host.connect();
    peer.send_text("go");
    peer.expect_close(1011);
    host.await_disconnects(1);
    host.service.log.await("WS0302");
}
END_TEST

START_TEST(on_disconnect_may_throw) {
    PluginService host(kWays[_i]);
    host.on_disconnect = [](const WebSocketServer*) { throw std::runtime_error("on purpose"); };
    Peer peer = host.connect();
    peer.send_close(1000);
    host.service.log.await("WS0403");
    await_quietly([&] { return host.sessions() == 0; }, "the session's end");
}
END_TEST

START_TEST(on_disconnect_that_waits_does_so_in_the_pool) {
    PluginService host(kBriefPool);
    host.on_disconnect = [](const WebSocketServer*) {
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
    };
    const auto& pace = host.pace();
    for (int i = 0; pace.brief(); ++i) {
        ck_assert_int_lt(i, 20);
        Peer peer = host.connect();
        peer.send_close(1000);
        peer.expect_close(1000);
        await_quietly([&] { return host.sessions() == 0; }, "the session's end");
    }
}
END_TEST

START_TEST(the_request_lives_until_on_disconnect_has_returned) {
    std::atomic<bool> request_gone{false};
    std::atomic<bool> gone_too_early{false};
    Awaited<bool> ended;
    PluginService host(kWays[_i]);
    host.on_disconnect = [&](const WebSocketServer*) { gone_too_early = request_gone.load(); };
    PluginService::Candidate candidate = host.candidate([&] {
        request_gone = true;
        if (host.sessions() != 1) gone_too_early = true;  // its cleanups belong to the session
        ended.update([](bool& value) { value = true; });
    });
    ck_assert(candidate.session->connect() == V0Session::Connected::accepted);
    Peer peer = host.open(std::move(candidate));
    peer.send_close(1000);
    ended.await([](bool value) { return value; }, "the request's end");
    ck_assert(!gone_too_early);
}
END_TEST

START_TEST(optional_callbacks_may_be_missing) {
    PluginService host(kWays[_i]);
    static std::atomic<int> messages{0};
    host.plugin().on_connect = nullptr;
    host.plugin().on_disconnect = nullptr;
    host.plugin().on_message = [](void* self, const WebSocketServer* server, int,
                                  unsigned char* buffer, size_t size) {
        if (self == nullptr) ++messages;
        return server->send(server, MESSAGE_TYPE_TEXT, buffer, size);
    };
    Peer peer = host.connect();
    peer.send_text("x");
    peer.expect_text("x");
    peer.send_close(1000);
    peer.expect_close(1000);
    peer.expect_end();
    await_quietly([&] { return host.sessions() == 0; }, "the session's end");
    ck_assert_int_eq(messages, 1);
}
END_TEST

START_TEST(an_end_of_the_engine_ends_every_client_once) {
    PluginService host(kWays[_i]);
    host.on_message = send_back;
    std::vector<Peer> peers;
    for (int i = 0; i < 20; ++i) {
        peers.push_back(host.connect());
        peers.back().send(text_frames(50));
    }
    host.stop();
    ck_assert_int_eq(host.record().get().disconnects, 20);
}
END_TEST

START_TEST(clients_may_come_and_go_quickly) {
    PluginService host(kWays[_i], {.max_threads = 4});
    host.on_message = send_back;
    for (int i = 0; i < 300; ++i) {
        Peer peer = host.connect();
        peer.send(text_frames(20));
        if (i % 3 == 0) peer.reset();
        if (i % 3 == 1) peer.send_close(1000);
    }
    host.await_disconnects(300);
    host.stop();
    ck_assert_int_eq(host.record().get().disconnects, 300);
}
END_TEST

WEBSOCKET_TEST_SUITE(v0_session) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_loop_test(tests, messages_come_in_order_one_at_a_time_and_the_end_comes_once, 0,
                        kWayCount);
    tcase_add_loop_test(tests, answers_to_all_that_came_before_the_close_go_out_before_ours, 0,
                        kWayCount);
    tcase_add_loop_test(tests,
                        an_answer_is_not_lost_when_the_close_comes_right_behind_another_answer, 0,
                        kWayCount);
    tcase_add_loop_test(tests, messages_of_many_clients_run_side_by_side, 0, kPoolWays);
    tcase_add_loop_test(tests, a_client_whose_messages_are_handled_slowly_is_read_from_no_further,
                        0, kPoolWays);
    tcase_add_loop_test(tests, a_message_larger_than_the_receive_buffer_comes_through, 0,
                        kPoolWays);
    tcase_add_loop_test(tests, no_client_is_forgotten_in_a_pause, 0, kPoolWays);
    tcase_add_loop_test(tests,
                        a_pool_plugin_that_throws_costs_its_client_only_and_gets_no_more_of_it, 0,
                        kPoolWays);
    tcase_add_test(tests, an_inline_plugin_that_throws_costs_its_client_only);
    tcase_add_loop_test(tests, on_disconnect_may_throw, 0, kPoolWays);
    tcase_add_test(tests, on_disconnect_that_waits_does_so_in_the_pool);
    tcase_add_loop_test(tests, the_request_lives_until_on_disconnect_has_returned, 0, kWayCount);
    tcase_add_loop_test(tests, optional_callbacks_may_be_missing, 0, kWayCount);
    tcase_add_loop_test(tests, an_end_of_the_engine_ends_every_client_once, 0, kWayCount);
    tcase_add_loop_test(tests, clients_may_come_and_go_quickly, 0, kWayCount);
}
