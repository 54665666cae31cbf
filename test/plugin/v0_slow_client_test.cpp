// SPDX-License-Identifier: Apache-2.0
// What clients that do not read can do to others, with WebSocketSlowConsumer Block.
#include <algorithm>
#include <vector>

#include "plugin/recording_plugin.hpp"
#include "plugin/v0/v0_session.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

constexpr std::size_t kLargeMessage = 100'000;

/// One for the pool; where the loop's own counts, there has to be another one.
websocket::plugin::PoolOptions few_threads(int way) {
    return {.max_threads = 1U + static_cast<unsigned>(way)};
}

/// Sends large messages until one is not taken.
void flood(const WebSocketServer* server) {
    while (plugin_send(server, std::string(kLargeMessage, 'x')) > 0) {
    }
}

/// Sends messages and reads nothing until the server does not read either, with some that it has not handled;
/// says how many it has.
std::size_t send_until_stuck(PluginService& host, Peer& peer, std::size_t size) {
    const std::string frame = masked(Opcode::binary, std::string(size, 'x'));
    const std::size_t before = host.record().get().messages.size();
    std::size_t sent = 0;
    std::size_t seen = 0;
    std::string rest;
    for (int still = 0;;) {
        pollfd poll{peer.descriptor(), POLLOUT, 0};
        if (::poll(&poll, 1, 300) > 0) {
            if (rest.empty()) {
                rest = frame;
                ck_assert_uint_lt(++sent, 10'000);
            }
            rest.erase(0, peer.send_some(rest));
            continue;
        }
        const std::size_t handled = host.record().get().messages.size();
        still = handled == seen ? still + 1 : 0;
        if (handled < before + sent - 1 && still == 4) {
            return sent - 1;
        }
        seen = handled;  // it may only be slow, and go on
    }
}

/// Large messages, and then Close 1008.
void expect_given_up(Peer& peer) {
    for (Frame frame = peer.receive();; frame = peer.receive()) {
        if (frame.opcode == Opcode::close) {
            ck_assert(frame.payload.substr(0, 2) == close_payload(1008));
            return;
        }
    }
}

/// Clients that meet in a plugin: the later ones have it send to the first. Outlives the service, whose
/// callbacks may still run when a test is over.
struct Meeting {
    Awaited<const WebSocketServer*> other;
    Awaited<int> results;  // of sends to it that are over

    void attach(PluginService& host) {
        host.on_connect = [this](const WebSocketServer* server) {
            other.update([=](auto& value) { value = value == nullptr ? server : value; });
        };
    }
    /// Floods the first client that has come.
    void flood_other() {
        flood(other.get());
        results.update([](int& count) { ++count; });
    }
    void await_results(int count) {
        results.await([=](int value) { return value >= count; }, "the end of a send");
    }
};

}  // namespace

START_TEST(clients_that_do_not_read_echoes_hold_no_thread) {
    PluginService host(kWays[_i], few_threads(_i));
    host.options().send_buffer = 10'000;
    host.session_options().receive_buffer = 10'000;
    host.on_message = send_back;
    std::vector<Peer> deaf;
    for (int i = 0; i < 3; ++i) {
        deaf.push_back(host.connect(8'000));
        static_cast<void>(send_until_stuck(host, deaf.back(), 5'000));
    }
    Peer good = host.connect();
    for (int i = 0; i < 20; ++i) {
        good.send_text("still here");
        good.expect_text("still here");
    }
    ck_assert_uint_eq(host.service.log.count("WS0402") + host.service.log.count("WS0404"), 0);
    for (Peer& peer : deaf) peer.reset();
    host.await_disconnects(3);
}
END_TEST

START_TEST(a_client_that_reads_again_gets_all_echoes_in_order) {
    PluginService host(kWays[_i], few_threads(_i));
    host.options().send_buffer = 10'000;
    host.session_options().receive_buffer = 10'000;
    int count = 0;
    host.on_message = [&](const WebSocketServer* server, std::string message) {
        send_back(server, std::to_string(count++) + message.substr(0, 4'000));
    };
    Peer peer = host.connect(8'000);
    const std::size_t sent = send_until_stuck(host, peer, 5'000);
    for (std::size_t i = 0; i < sent; ++i) {
        peer.expect_text(std::to_string(i) + std::string(4'000, 'x'));
    }
}
END_TEST

START_TEST(what_waits_for_room_is_handled_when_the_client_goes) {
    PluginService host(kWays[_i], few_threads(_i));
    host.options().send_buffer = 10'000;
    host.session_options().receive_buffer = 10'000;
    host.on_message = send_back;
    for (int i = 0; i < 3; ++i) {
        Peer peer = host.connect(8'000);
        static_cast<void>(send_until_stuck(host, peer, 5'000));
        peer.reset();
        host.await_disconnects(i + 1);
    }
}
END_TEST

START_TEST(what_waits_for_room_is_handled_when_the_server_closes) {
    Meeting meeting;
    PluginService host(kWays[_i], few_threads(_i));
    host.options().send_buffer = 10'000;
    host.session_options().receive_buffer = 10'000;
    meeting.attach(host);
    host.on_message = send_back;
    Peer peer = host.connect(8'000);
    static_cast<void>(send_until_stuck(host, peer, 5'000));
    const std::size_t handled = host.record().get().messages.size();
    meeting.other.get()->close(meeting.other.get());
    host.await_messages(handled + 1);
}
END_TEST

START_TEST(a_client_that_reads_no_flood_is_closed_when_others_need_its_thread) {
    using Servers = Awaited<std::vector<const WebSocketServer*>>;
    Servers connected;
    Servers given_up;
    PluginService host(kWays[_i], {.max_threads = 2});
    const auto add = [](Servers& servers, const WebSocketServer* server) {
        servers.update([=](auto& all) { all.push_back(server); });
    };
    host.on_connect = [&](const WebSocketServer* server) { add(connected, server); };
    host.on_message = [&](const WebSocketServer* server, std::string message) {
        if (message.size() != 5) return send_back(server, message);
        flood(server);
        add(given_up, server);
    };
    std::vector<Peer> deaf;
    for (int i = 0; i < 4; ++i) {
        deaf.push_back(host.connect(8'000));
        deaf.back().send_text("flood");
    }
    Peer good = host.connect();
    good.send_text("still here");
    good.expect_text("still here");
    host.service.log.await("WS0404");
    const auto some = [](const auto& all) { return !all.empty(); };
    const auto servers = connected.get();
    const auto one = std::ranges::find(servers, given_up.await(some, "the end of a flood").front());
    expect_given_up(deaf.at(static_cast<std::size_t>(one - servers.begin())));
}
END_TEST

START_TEST(a_callback_waits_for_its_own_client_as_long_as_it_takes) {
    PluginService host(kWays[_i]);
    host.session_options().send_timeout = 1ms;
    host.on_message = [](const WebSocketServer* server, std::string) {
        for (int i = 0; i < 40; ++i) {
            if (plugin_send(server, std::string(kLargeMessage, 'x')) == 0) std::abort();
        }
    };
    Peer peer = host.connect(8'000);
    peer.send_text("go");
    ck_assert(peer.readable(kPatience));
    static_cast<void>(Door().passed(50ms));  // much longer than others would be waited for
    for (int i = 0; i < 40; ++i) peer.expect_text(std::string(kLargeMessage, 'x'));
}
END_TEST

START_TEST(a_callback_waits_for_another_client_no_longer_than_it_may) {
    Meeting meeting;
    PluginService host(kWays[_i], {.max_threads = 4});
    host.session_options().send_timeout = 50ms;
    meeting.attach(host);
    host.on_message = [&](const WebSocketServer*, std::string) { meeting.flood_other(); };
    Peer deaf = host.connect(8'000);
    Peer good = host.connect();
    good.send_text("go");
    meeting.await_results(1);
    host.service.log.await("WS0405");
    expect_given_up(deaf);
    good.send_close(1000);
    good.expect_close(1000);
}
END_TEST

START_TEST(on_connect_waits_for_another_client_no_longer_than_it_may) {
    PluginService host(kWays[_i], {.max_threads = 4});
    host.session_options().send_timeout = 50ms;
    const WebSocketServer* first = nullptr;
    host.on_connect = [&](const WebSocketServer* server) {
        first == nullptr ? void(first = server) : flood(first);
    };
    Peer deaf = host.connect(8'000);
    deaf.send_text("I am open");
    host.await_messages(1);
    Peer good = host.connect();
    expect_given_up(deaf);
}
END_TEST

START_TEST(a_thread_of_its_own_waits_for_its_client_as_long_as_it_takes) {
    PluginService host(kWays[_i]);
    host.session_options().send_timeout = 1ms;
    std::thread sender;
    host.on_message = [&](const WebSocketServer* server, std::string) {
        sender = std::thread([server] {
            for (int i = 0; i < 40; ++i) {
                if (plugin_send(server, std::string(kLargeMessage, 'x')) == 0) std::abort();
            }
        });
    };
    host.on_disconnect = [&](const WebSocketServer*) { sender.join(); };
    Peer peer = host.connect(8'000);
    peer.send_text("go");
    ck_assert(peer.readable(kPatience));
    static_cast<void>(Door().passed(50ms));
    for (int i = 0; i < 40; ++i) peer.expect_text(std::string(kLargeMessage, 'x'));
    peer.reset();
    host.await_disconnects(1);
}
END_TEST

START_TEST(a_thread_that_serves_several_clients_waits_for_each_no_longer_than_it_may) {
    Awaited<std::vector<const WebSocketServer*>> clients;
    PluginService host(kWays[_i]);
    host.session_options().send_timeout = 50ms;
    host.on_connect = [&](const WebSocketServer* server) {
        clients.update([=](auto& all) { all.push_back(server); });
    };
    Peer deaf = host.connect(8'000);
    Peer good = host.connect();
    const auto both = clients.get();
    std::thread sender([&] {
        static_cast<void>(plugin_send(both[1], "one"));
        flood(both[0]);
        static_cast<void>(plugin_send(both[1], "two"));
    });
    good.expect_text("one");
    good.expect_text("two");
    sender.join();
    expect_given_up(deaf);
}
END_TEST

START_TEST(with_a_timeout_of_zero_nobody_is_closed_for_the_time) {
    Meeting meeting;
    PluginService host(kWays[_i], {.max_threads = 4});
    host.session_options().send_timeout = 0ms;
    meeting.attach(host);
    host.on_message = [&](const WebSocketServer*, std::string) { meeting.flood_other(); };
    Peer deaf = host.connect(8'000);
    Peer good = host.connect();
    good.send_text("go");
    ck_assert(!meeting.results.holds([](int count) { return count > 0; }, 200ms));
    deaf.reset();
    meeting.await_results(1);
}
END_TEST

WEBSOCKET_TEST_SUITE(v0_slow_client) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_loop_test(tests, clients_that_do_not_read_echoes_hold_no_thread, 0, kPoolWays);
    tcase_add_loop_test(tests, a_client_that_reads_again_gets_all_echoes_in_order, 0, kPoolWays);
    tcase_add_loop_test(tests, what_waits_for_room_is_handled_when_the_client_goes, 0, kPoolWays);
    tcase_add_loop_test(tests, what_waits_for_room_is_handled_when_the_server_closes, 0, kPoolWays);
    tcase_add_loop_test(tests, a_client_that_reads_no_flood_is_closed_when_others_need_its_thread,
                        0, kPoolWays);
    tcase_add_loop_test(tests, a_callback_waits_for_its_own_client_as_long_as_it_takes, 0,
                        kPoolWays);
    tcase_add_loop_test(tests, a_callback_waits_for_another_client_no_longer_than_it_may, 0,
                        kPoolWays);
    tcase_add_loop_test(tests, on_connect_waits_for_another_client_no_longer_than_it_may, 0,
                        kPoolWays);
    tcase_add_loop_test(tests, a_thread_of_its_own_waits_for_its_client_as_long_as_it_takes, 0,
                        kPoolWays);
    tcase_add_loop_test(tests,
                        a_thread_that_serves_several_clients_waits_for_each_no_longer_than_it_may,
                        0, kPoolWays);
    tcase_add_loop_test(tests, with_a_timeout_of_zero_nobody_is_closed_for_the_time, 0, kPoolWays);
}
