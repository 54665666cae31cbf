// SPDX-License-Identifier: Apache-2.0
// The time before the 101: accepting, refusing, and sends that come early.
#include "plugin/v0/v0_session.hpp"

#include <stdexcept>

#include "failing_allocator.hpp"
#include "plugin/recording_plugin.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::plugin::V0Session;

START_TEST(a_refused_client_is_never_heard_of_again) {
    PluginService host;
    host.accepts = false;
    {
        const PluginService::Candidate candidate = host.candidate();
        ck_assert(candidate.session->connect() == V0Session::Connected::refused);
        ck_assert_uint_eq(host.sessions(), 1);
    }
    host.stop();
    ck_assert_int_eq(host.record().get().disconnects, 0);
}
END_TEST

START_TEST(an_on_connect_that_throws_has_failed) {
    PluginService host;
    host.on_connect = [](const WebSocketServer* server) {
        static_cast<void>(plugin_send(server, "early"));
        throw std::runtime_error("on purpose");
    };
    {
        const PluginService::Candidate candidate = host.candidate();
        ck_assert(candidate.session->connect() == V0Session::Connected::failed);
    }
    ck_assert_uint_eq(host.service.log.count("WS0403"), 1);
    host.stop();
    ck_assert_int_eq(host.record().get().disconnects, 0);
}
END_TEST

START_TEST(a_client_whose_handshake_could_not_be_answered_is_disconnected) {
    PluginService host;
    host.service.engine().begin_stop();
    PluginService late;
    PluginService::Candidate candidate = late.candidate();
    ck_assert(candidate.session->connect() == V0Session::Connected::accepted);
    late.service.engine().begin_stop();
    await_quietly([&] { return late.service.engine().stopped(); }, "the loops' end");
    Peer peer = late.open(std::move(candidate));
    peer.expect_end();
    late.await_disconnects(1);
    late.stop();
    ck_assert_int_eq(late.record().get().disconnects, 1);
}
END_TEST

START_TEST(what_on_connect_sends_follows_the_101_in_order) {
    PluginService host;
    std::vector<std::size_t> taken;
    host.on_connect = [&](const WebSocketServer* server) {
        taken.push_back(plugin_send(server, "one"));
        taken.push_back(plugin_send(server, "two", MESSAGE_TYPE_BINARY));
        taken.push_back(plugin_send(server, "three", MESSAGE_TYPE_PING));
        taken.push_back(plugin_send(server, std::string(126, 'x'), MESSAGE_TYPE_PING));
    };
    Peer peer = host.connect();
    peer.expect_text("one");
    peer.expect(Opcode::binary, "two");
    peer.expect(Opcode::ping, "three");
    ck_assert(taken == (std::vector<std::size_t>{3, 3, 5, 0}));
}
END_TEST

START_TEST(on_connect_may_accept_and_close) {
    PluginService host;
    std::vector<std::size_t> taken;
    host.on_connect = [&](const WebSocketServer* server) {
        taken.push_back(plugin_send(server, "bye"));
        taken.push_back(plugin_send(server, close_payload(4000, "so soon"), MESSAGE_TYPE_CLOSE));
        taken.push_back(plugin_send(server, "late"));
        server->close(server);
    };
    Peer peer = host.connect();
    peer.expect_text("bye");
    peer.expect(Opcode::close, close_payload(4000, "so soon"));
    peer.send_close(4000);
    peer.expect_end();
    ck_assert(taken == (std::vector<std::size_t>{3, 9, 0}));
}
END_TEST

START_TEST(on_connect_cannot_send_more_than_may_wait) {
    PluginService host;
    host.options().send_buffer = 1000;
    std::size_t messages = 0;
    host.on_connect = [&](const WebSocketServer* server) {
        while (plugin_send(server, std::string(100, 'x')) > 0) ++messages;
    };
    Peer peer = host.connect();
    ck_assert_uint_gt(messages, 1);
    ck_assert_uint_le(messages, 10);
    for (std::size_t i = 0; i < messages; ++i) peer.expect_text(std::string(100, 'x'));
    ck_assert(!peer.readable(0ms));
}
END_TEST

/// As websocket_plugin.h promises for WS_Send.
START_TEST(a_send_of_another_thread_waits_for_the_101) {
    Door sent;
    std::atomic<std::size_t> taken{99};
    PluginService host;
    std::thread sender;
    host.on_connect = [&](const WebSocketServer* server) {
        sender = std::thread([&, server] {
            taken = plugin_send(server, "from elsewhere");
            sent.open();
        });
        ck_assert(!sent.passed(100ms));
        ck_assert_uint_eq(plugin_send(server, "first"), 5);
    };
    PluginService::Candidate candidate = host.candidate();
    ck_assert(candidate.session->connect() == V0Session::Connected::accepted);
    ck_assert(!sent.passed(100ms));
    Peer peer = host.open(std::move(candidate));
    peer.expect_text("first");
    peer.expect_text("from elsewhere");
    sender.join();
    ck_assert_uint_eq(taken, 14);
}
END_TEST

START_TEST(a_send_of_another_thread_returns_0_when_the_client_is_refused) {
    Door begun;
    std::atomic<std::size_t> taken{99};
    PluginService host;
    host.accepts = false;
    std::thread sender;
    host.on_connect = [&](const WebSocketServer* server) {
        sender = std::thread([&, server] {
            begun.open();
            taken = plugin_send(server, "from elsewhere");
        });
        begun.await("the other thread");
    };
    {
        const PluginService::Candidate candidate = host.candidate();
        ck_assert(candidate.session->connect() == V0Session::Connected::refused);
        sender.join();
    }
    ck_assert_uint_eq(taken, 0);
}
END_TEST

START_TEST(sends_of_many_threads_race_with_the_101_without_loss) {
    for (int round = 0; round < 50; ++round) {
        PluginService host;
        std::vector<std::thread> senders;
        host.on_connect = [&](const WebSocketServer* server) {
            for (int i = 0; i < 3; ++i) {
                senders.emplace_back([server] {
                    for (int j = 0; j < 50; ++j) static_cast<void>(plugin_send(server, "x"));
                });
            }
        };
        Peer peer = host.connect();
        for (int i = 0; i < 150; ++i) peer.expect_text("x");
        for (std::thread& sender : senders) sender.join();
    }
}
END_TEST

START_TEST(every_failing_allocation_in_on_connect_harms_nobody) {
    PluginService host;
    host.on_connect = [](const WebSocketServer* server) {
        static_cast<void>(plugin_send(server, "early"));
        server->close(server);
    };
    bool failed = true;
    for (std::size_t index = 0; failed; ++index) {
        PluginService::Candidate candidate = host.candidate();
        auto connected = V0Session::Connected::failed;
        {
            const FailingAllocator allocator(index);
            connected = candidate.session->connect();
            failed = FailingAllocator::failed();
        }
        if (connected != V0Session::Connected::accepted) continue;
        Peer peer = host.open(std::move(candidate));
        peer.disconnect();
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(v0_session_connect) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_refused_client_is_never_heard_of_again);
    tcase_add_test(tests, an_on_connect_that_throws_has_failed);
    tcase_add_test(tests, a_client_whose_handshake_could_not_be_answered_is_disconnected);
    tcase_add_test(tests, what_on_connect_sends_follows_the_101_in_order);
    tcase_add_test(tests, on_connect_may_accept_and_close);
    tcase_add_test(tests, on_connect_cannot_send_more_than_may_wait);
    tcase_add_test(tests, a_send_of_another_thread_waits_for_the_101);
    tcase_add_test(tests, a_send_of_another_thread_returns_0_when_the_client_is_refused);
    tcase_add_test(tests, sends_of_many_threads_race_with_the_101_without_loss);
    tcase_add_test(tests, every_failing_allocation_in_on_connect_harms_nobody);
}
