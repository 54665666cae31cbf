// SPDX-License-Identifier: Apache-2.0
// Sends of a plugin: what they return, whom they wait for, and what ends the wait.
#include "plugin/v0/v0_session.hpp"

#include "plugin/recording_plugin.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::plugin::SlowConsumer;

namespace {

constexpr std::size_t kLarge = 100'000;

/// A client whose plugin sends large messages until one is not taken.
struct Speaker {
    Awaited<int> taken;
    Door done;

    void speak(const WebSocketServer* server, int most) {
        for (int i = 0; i < most && plugin_send(server, std::string(kLarge, 'x')) > 0; ++i) {
            taken.update([](int& count) { ++count; });
        }
        done.open();
    }
};

}  // namespace

START_TEST(every_type_of_message_can_be_sent) {
    Awaited<std::vector<std::size_t>> taken;
    PluginService host(kWays[_i]);
    host.on_message = [&](const WebSocketServer* server, std::string) {
        const std::vector<std::size_t> results{
            plugin_send(server, "text"),
            plugin_send(server, "binary", MESSAGE_TYPE_BINARY),
            plugin_send(server, "ping", MESSAGE_TYPE_PING),
            plugin_send(server, "pong", MESSAGE_TYPE_PONG),
            plugin_send(server, std::string(126, 'x'), MESSAGE_TYPE_PONG),
            server->send(server, MESSAGE_TYPE_TEXT, nullptr, 0),
            server->send(nullptr, MESSAGE_TYPE_TEXT, nullptr, 0),
            plugin_send(server, close_payload(4000, "reason"), MESSAGE_TYPE_CLOSE),
            plugin_send(server, "late")};
        taken.update([&](auto& value) { value = results; });
    };
    Peer peer = host.connect();
    peer.send_text("go");
    peer.expect_text("text");
    peer.expect(Opcode::binary, "binary");
    peer.expect(Opcode::ping, "ping");
    peer.expect(Opcode::pong, "pong");
    peer.expect_text("");
    peer.expect(Opcode::close, close_payload(4000, "reason"));
    const auto got = taken.await([](const auto& value) { return !value.empty(); }, "the results");
    ck_assert(got == (std::vector<std::size_t>{4, 6, 4, 4, 0, 0, 0, 8, 0}));
}
END_TEST

/// In on_connect, too, where messages are kept for later.
START_TEST(text_that_is_not_utf8_is_not_taken) {
    Awaited<std::vector<std::size_t>> taken;
    PluginService host(kWays[_i]);
    const auto send_all = [&](const WebSocketServer* server) {
        const std::vector<std::size_t> results{
            plugin_send(server, "a\xFFz"), plugin_send(server, "cut \xE2\x82"),
            plugin_send(server, "\xE2\x82\xAC"), plugin_send(server, "\xFF", MESSAGE_TYPE_BINARY)};
        taken.update([&](auto& all) { all.insert(all.end(), results.begin(), results.end()); });
    };
    host.on_connect = send_all;
    host.on_message = [&](const WebSocketServer* server, std::string) { send_all(server); };
    Peer peer = host.connect();
    peer.send_text("go");
    for (int i = 0; i < 2; ++i) {
        peer.expect_text("\xE2\x82\xAC");
        peer.expect(Opcode::binary, "\xFF");
    }
    const auto got = taken.await([](const auto& all) { return all.size() == 8; }, "the results");
    ck_assert(got == (std::vector<std::size_t>{0, 0, 3, 1, 0, 0, 3, 1}));
    ck_assert_uint_eq(host.service.log.count("WS0311"), 4);
}
END_TEST

START_TEST(a_close_never_carries_what_may_not_be_sent) {
    const struct {
        std::string payload;
        std::string sent;
        int type;
    } kCases[] = {{"", "", MESSAGE_TYPE_CLOSE},
                  {"x", "", MESSAGE_TYPE_CLOSE},
                  {close_payload(1005), "", MESSAGE_TYPE_CLOSE},
                  {close_payload(999, "x"), "", MESSAGE_TYPE_CLOSE},
                  {close_payload(4000, "a\xFFz"), close_payload(4000), MESSAGE_TYPE_CLOSE},
                  {close_payload(4000, "cut \xC3"), close_payload(4000), MESSAGE_TYPE_CLOSE},
                  {close_payload(4999, "ok"), close_payload(4999, "ok"), 12345}};
    for (const auto& one : kCases) {
        PluginService host(kWays[_i]);
        host.on_message = [&](const WebSocketServer* server, std::string) {
            static_cast<void>(plugin_send(server, one.payload, one.type));
        };
        Peer peer = host.connect();
        peer.send_text("go");
        peer.expect(Opcode::close, one.sent);
    }
}
END_TEST

START_TEST(closing_twice_sends_one_close) {
    PluginService host(kWays[_i]);
    host.on_message = [&](const WebSocketServer* server, std::string) {
        server->close(server);
        server->close(server);
        server->close(nullptr);
    };
    Peer peer = host.connect();
    peer.send_text("go");
    peer.expect(Opcode::close, "");
    peer.send(Opcode::close, "");
    peer.expect_end();
}
END_TEST

START_TEST(block_waits_for_a_slow_client_and_loses_nothing) {
    PluginService host(kWays[_i]);
    Speaker speaker;
    host.on_message = [&](const WebSocketServer* server, std::string) {
        speaker.speak(server, 40);
    };
    Peer peer = host.connect(8'000);
    peer.send_text("go");
    ck_assert(peer.readable(kPatience));
    ck_assert(!speaker.done.passed(100ms));
    for (int i = 0; i < 40; ++i) peer.expect_text(std::string(kLarge, 'x'));
    speaker.done.await("the last send");
    ck_assert_int_eq(speaker.taken.get(), 40);
}
END_TEST

START_TEST(the_death_of_the_client_ends_the_wait) {
    PluginService host(kWays[_i]);
    Speaker speaker;
    host.on_message = [&](const WebSocketServer* server, std::string) {
        speaker.speak(server, 1000);
    };
    Peer peer = host.connect(8'000);
    peer.send_text("go");
    speaker.taken.await([](int count) { return count >= 3; }, "the queue to fill");
    peer.reset();
    speaker.done.await("the blocked send");
    host.await_disconnects(1);
}
END_TEST

START_TEST(a_close_by_another_thread_ends_the_wait) {
    Awaited<const WebSocketServer*> client;
    PluginService host(kWays[_i]);
    Speaker speaker;
    host.on_message = [&](const WebSocketServer* server, std::string) {
        client.update([=](auto& value) { value = server; });
        speaker.speak(server, 1000);
    };
    Peer peer = host.connect(8'000);
    peer.send_text("go");
    speaker.taken.await([](int count) { return count >= 3; }, "the queue to fill");
    const WebSocketServer* server = client.get();
    server->close(server);
    speaker.done.await("the blocked send");
}
END_TEST

START_TEST(the_end_of_the_engine_ends_the_wait) {
    PluginService host(kWays[_i]);
    Speaker speaker;
    host.on_message = [&](const WebSocketServer* server, std::string) {
        speaker.speak(server, 1000);
    };
    Peer peer = host.connect(8'000);
    peer.send_text("go");
    speaker.taken.await([](int count) { return count >= 3; }, "the queue to fill");
    host.stop();
    ck_assert(speaker.done.passed(0ms));
}
END_TEST

START_TEST(drop_gives_up_the_message_and_keeps_the_client) {
    PluginService host(kWays[_i]);
    host.session_options().slow_consumer = SlowConsumer::drop;
    Speaker speaker;
    host.on_message = [&](const WebSocketServer* server, std::string message) {
        if (message == "go") {
            speaker.speak(server, 1000);
        } else {
            static_cast<void>(plugin_send(server, message));
        }
    };
    Peer peer = host.connect(8'000);
    peer.send_text("go");
    speaker.done.await("a message to be dropped");
    const int taken = speaker.taken.get();
    ck_assert_int_lt(taken, 1000);
    for (int i = 0; i < taken; ++i) peer.expect_text(std::string(kLarge, 'x'));
    peer.send_text("still here");
    peer.expect_text("still here");
}
END_TEST

START_TEST(close_ends_a_slow_client_with_1008_behind_what_is_queued) {
    PluginService host(kWays[_i]);
    host.session_options().slow_consumer = SlowConsumer::close;
    Speaker speaker;
    host.on_message = [&](const WebSocketServer* server, std::string) {
        speaker.speak(server, 1000);
    };
    Peer peer = host.connect(8'000);
    peer.send_text("go");
    speaker.done.await("the client to be found slow");
    const int taken = speaker.taken.get();
    for (int i = 0; i < taken; ++i) peer.expect_text(std::string(kLarge, 'x'));
    peer.expect_close(1008);
}
END_TEST

START_TEST(an_inline_plugin_never_waits) {
    PluginService host(Dispatch::inline_);
    Speaker speaker;
    host.on_message = [&](const WebSocketServer* server, std::string message) {
        if (message == "go") {
            speaker.speak(server, 1000);
        } else {
            static_cast<void>(plugin_send(server, message));
        }
    };
    Peer slow = host.connect(8'000);
    slow.send_text("go");
    speaker.done.await("the slow client's callback");
    ck_assert_int_lt(speaker.taken.get(), 1000);
    Peer other = host.connect();
    other.send_text("unharmed");
    other.expect_text("unharmed");
}
END_TEST

START_TEST(ten_threads_of_a_plugin_may_send_and_each_keeps_its_order) {
    constexpr std::size_t kThreads = 10;
    constexpr int kEach = 300;
    PluginService host(kWays[_i]);
    std::vector<std::thread> threads;
    host.on_message = [&](const WebSocketServer* server, std::string) {
        for (std::size_t thread = 0; thread < kThreads; ++thread) {
            threads.emplace_back([server, thread] {
                for (int i = 0; i < kEach; ++i) {
                    std::string text = std::to_string(thread) + ":" + std::to_string(i);
                    text.resize(i % 50 == 0 ? 50'000 : text.size(), ' ');
                    if (plugin_send(server, text) != text.size()) std::abort();
                }
            });
        }
    };
    host.on_disconnect = [&](const WebSocketServer*) {
        for (std::thread& thread : threads) thread.join();
    };
    Peer peer = host.connect();
    peer.send_text("go");
    std::vector<int> next(kThreads, 0);
    for (std::size_t i = 0; i < kThreads * kEach; ++i) {
        const std::string text = peer.receive().payload;
        const auto thread = static_cast<std::size_t>(std::stoi(text));
        const int number = std::stoi(text.substr(text.find(':') + 1));
        if (number != next.at(thread)++) ck_abort_msg("thread %zu: %d", thread, number);
    }
    peer.send_close(1000);
    host.await_disconnects(1);
}
END_TEST

/// The life of a plugin's thread as websocket_plugin.h describes it.
START_TEST(threads_may_send_until_on_disconnect_has_joined_them) {
    PluginService host(kWays[_i], {.max_threads = 4});
    for (int round = 0; round < 100; ++round) {
        std::atomic<bool> over{false};
        std::thread sender;
        host.on_message = [&](const WebSocketServer* server, std::string) {
            sender = std::thread([&, server] {
                while (!over) static_cast<void>(plugin_send(server, std::string(5000, 'x')));
            });
        };
        host.on_disconnect = [&](const WebSocketServer*) {
            over = true;
            sender.join();
        };
        Peer peer = host.connect(8'000);
        peer.send_text("go");
        static_cast<void>(peer.receive());
        if (round % 2 == 0) {
            peer.reset();
        } else {
            peer.send_close(1000);
            peer.read_to_end();
        }
        host.await_disconnects(round + 1);
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(v0_session_send) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_loop_test(tests, every_type_of_message_can_be_sent, 0, kPoolWays);
    tcase_add_loop_test(tests, text_that_is_not_utf8_is_not_taken, 0, kPoolWays);
    tcase_add_loop_test(tests, a_close_never_carries_what_may_not_be_sent, 0, kPoolWays);
    tcase_add_loop_test(tests, closing_twice_sends_one_close, 0, kPoolWays);
    tcase_add_loop_test(tests, block_waits_for_a_slow_client_and_loses_nothing, 0, kPoolWays);
    tcase_add_loop_test(tests, the_death_of_the_client_ends_the_wait, 0, kPoolWays);
    tcase_add_loop_test(tests, a_close_by_another_thread_ends_the_wait, 0, kPoolWays);
    tcase_add_loop_test(tests, the_end_of_the_engine_ends_the_wait, 0, kPoolWays);
    tcase_add_loop_test(tests, drop_gives_up_the_message_and_keeps_the_client, 0, kPoolWays);
    tcase_add_loop_test(tests, close_ends_a_slow_client_with_1008_behind_what_is_queued, 0,
                        kPoolWays);
    tcase_add_test(tests, an_inline_plugin_never_waits);
    tcase_add_loop_test(tests, ten_threads_of_a_plugin_may_send_and_each_keeps_its_order, 0,
                        kPoolWays);
    tcase_add_loop_test(tests, threads_may_send_until_on_disconnect_has_joined_them, 0, kPoolWays);
}
