// SPDX-License-Identifier: Apache-2.0
// Messages whose callbacks are quick: the loop's own thread handles them, until one takes long after all.
#include "plugin/common/serial_queue.hpp"

#include <array>
#include <atomic>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "failing_allocator.hpp"
#include "plugin/recording_plugin.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

/// An echo in which each message "stop" waits until the test opens the next door.
struct Stops {
    std::array<Door, 20> doors;
    std::atomic<std::size_t> stops{0};

    void attach(PluginService& host) {
        host.on_message = [this](const WebSocketServer* server, const std::string& message) {
            if (message == "stop") doors.at(stops++).await("the test to go on");
            send_back(server, message);
        };
    }
    void await(std::size_t count) {
        await_quietly([&] { return stops == count; }, "a callback that blocks");
    }
};

/// Of the loop that serves all clients.
std::thread::id thread_of_loop(PluginService& host) {
    Awaited<std::thread::id> thread;
    Client client = host.service.connect({.on_open = [&](ConnectionId) {
        thread.update([](auto& id) { id = std::this_thread::get_id(); });
    }});
    return thread.await([](auto id) { return id != std::thread::id(); }, "the loop");
}

std::string frames_of(const std::vector<std::string>& texts) {
    std::string frames;
    for (const std::string& text : texts) frames += masked(Opcode::text, text);
    return frames;
}

/// How many of 200 messages the loop's own thread handles.
int handled_on_loop(websocket::plugin::PoolOptions pool) {
    std::atomic<int> there{0};
    std::thread::id loop;
    PluginService host({}, pool);
    host.on_message = [&](const WebSocketServer* server, const std::string& message) {
        there += std::this_thread::get_id() == loop ? 1 : 0;
        send_back(server, message);
    };
    loop = thread_of_loop(host);
    Peer peer = host.connect();
    for (int i = 0; i < 200; ++i) {
        host.make_brief();  // on a busy machine it may have looked slow meanwhile
        peer.send_text("x");
        peer.expect_text("x");
    }
    return there;
}

}  // namespace

START_TEST(quick_callbacks_run_on_the_thread_of_the_loop) {
    ck_assert_int_gt(handled_on_loop({}), 0);
}
END_TEST

START_TEST(with_one_thread_callbacks_run_on_that_only) {
    ck_assert_int_eq(handled_on_loop({.max_threads = 1}), 0);
}
END_TEST

START_TEST(callbacks_that_turn_slow_leave_the_loop) {
    std::atomic<int> there{0};
    std::thread::id loop;
    PluginService host(kBriefPool);
    host.on_message = [&](const WebSocketServer* server, const std::string& message) {
        there += std::this_thread::get_id() == loop ? 1 : 0;
        std::this_thread::sleep_for(4ms);
        send_back(server, message);
    };
    loop = thread_of_loop(host);
    Peer peer = host.connect();
    for (int i = 0; i < 100; ++i) {
        peer.send_text("x");
        peer.expect_text("x");
    }
    ck_assert_int_le(there, 5);
}
END_TEST

START_TEST(a_callback_that_blocks_in_the_middle_of_a_read_holds_up_its_own_client_only) {
    Stops stops;
    PluginService host(kBriefPool);
    stops.attach(host);
    Peer blocked = host.connect();
    Peer other = host.connect();
    for (std::size_t round = 0; round < stops.doors.size(); ++round) {
        host.make_brief();
        blocked.send(frames_of({"0", "1", "stop", "2", "3"}));
        for (const char* text : {"0", "1"}) blocked.expect_text(text);
        stops.await(round + 1);
        for (int i = 0; i < 10; ++i) {
            other.send_text("still here");
            other.expect_text("still here");
        }
        blocked.send(frames_of({"4", std::string(200'000, '5'), "6"}));
        other.send_text("and here");
        other.expect_text("and here");
        stops.doors.at(round).open();
        for (const std::string& text :
             {std::string("stop"), std::string("2"), std::string("3"), std::string("4"),
              std::string(200'000, '5'), std::string("6")})
            blocked.expect_text(text);
    }
}
END_TEST

START_TEST(answers_go_out_before_the_close_also_when_one_has_blocked) {
    for (int behind = 0; behind < 2; ++behind) {
        Stops stops;
        PluginService host(kBriefPool);
        stops.attach(host);
        for (std::size_t round = 0; round < stops.doors.size(); ++round) {
            host.make_brief();
            Peer peer = host.connect();
            const std::string close = masked(Opcode::close, close_payload(1000));
            peer.send(frames_of({"0", "stop", "1", "2"}) + (behind == 0 ? close : ""));
            stops.await(round + 1);
            if (behind == 1) {
                peer.send(frames_of({"3"}) + close);
                Peer other = host.connect();
                other.send_text("by now it is read");
                other.expect_text("by now it is read");
            }
            stops.doors.at(round).open();
            for (const char* text : {"0", "stop", "1", "2"}) peer.expect_text(text);
            if (behind == 1) peer.expect_text("3");
            peer.expect_close(1000);
        }
    }
}
END_TEST

START_TEST(many_small_messages_of_one_read_all_come_in_order) {
    PluginService host(kBriefPool);
    host.on_message = send_back;
    Peer peer = host.connect();
    constexpr int kMessages = 3'000;  // more than a batch has
    std::string frames;
    for (int i = 0; i < kMessages; ++i) frames += masked(Opcode::text, std::to_string(i));
    for (int round = 0; round < 5; ++round) {
        host.make_brief();
        peer.send(frames);
        for (int i = 0; i < kMessages; ++i) peer.expect_text(std::to_string(i));
    }
}
END_TEST

/// Long messages have buffers of their own, and those that were held back come without a read.
START_TEST(messages_of_several_clients_that_come_in_one_turn_do_not_mix) {
    Door go;
    Door busy;
    PluginService host(kBriefPool);
    host.session_options().receive_buffer = 1;
    host.on_message = send_back;
    Client holder = host.service.connect({.on_message = [&](ConnectionId, Message) {
        busy.open();
        go.await("the test to go on");
        return Flow::more;
    }});
    std::vector<Peer> peers;
    for (int i = 0; i < 5; ++i) peers.push_back(host.connect());
    holder.peer.send_text("hold");
    busy.await("the loop to be busy");
    for (std::size_t i = 0; i < peers.size(); ++i) {
        const std::string name(10, static_cast<char>('a' + i));
        peers[i].send(masked(Opcode::text, "first " + name) +
                      masked(Opcode::text, "second ", false) + masked(Opcode::continuation, name) +
                      masked(Opcode::text, "third ", false) + masked(Opcode::continuation, name));
    }
    host.make_brief();
    go.open();
    for (std::size_t i = 0; i < peers.size(); ++i) {
        const std::string name(10, static_cast<char>('a' + i));
        for (const char* text : {"first ", "second ", "third "}) peers[i].expect_text(text + name);
    }
}
END_TEST

START_TEST(a_client_that_goes_while_its_callback_blocks_is_told_of_once) {
    Stops stops;
    PluginService host(kBriefPool);
    stops.attach(host);
    for (std::size_t round = 0; round < stops.doors.size(); ++round) {
        host.make_brief();
        Peer peer = host.connect();
        peer.send(frames_of({"0", "stop", "1"}));
        stops.await(round + 1);
        peer.reset();
        Peer other = host.connect();
        other.send_text("served");
        other.expect_text("served");
        other.reset();
        stops.doors.at(round).open();
        host.await_disconnects(2 * static_cast<int>(round) + 2);
    }
    host.stop();
    ck_assert_int_eq(host.record().get().disconnects, 2 * static_cast<int>(stops.doors.size()));
}
END_TEST

START_TEST(clients_that_come_and_go_while_callbacks_block_now_and_then_lose_nothing) {
    constexpr int kRounds = kSanitizer ? 150 : 600;
    std::minstd_rand random(1);
    const auto below = [&](unsigned limit) { return static_cast<std::size_t>(random() % limit); };
    PluginService host(kBriefPool, {.max_threads = 8});
    host.options().send_buffer = 20'000;
    host.session_options().receive_buffer = 20'000;
    host.on_message = [](const WebSocketServer* server, const std::string& message) {
        if (message.starts_with("slow")) std::this_thread::sleep_for(5ms);
        send_back(server, message);
    };
    std::array<std::optional<Peer>, 6> peers;
    std::array<std::vector<std::string>, 6> sent;
    for (int round = 0; round < kRounds; ++round) {
        if (round % 5 == 0) host.make_brief();
        for (std::size_t i = 0; i < peers.size(); ++i) {
            if (!peers[i]) peers[i].emplace(host.connect());
            std::string frames;
            for (std::size_t n = below(30); n > 0; --n) {
                std::string text = (below(60) == 0 ? "slow " : "quick ") + std::to_string(random());
                text.resize(below(8) == 0 ? below(30'000) + 20 : text.size(), 'x');
                frames += masked(Opcode::text, text);
                sent[i].push_back(std::move(text));
            }
            const bool closes = below(20) == 0;
            peers[i]->send(frames + (closes ? masked(Opcode::close, close_payload(1000)) : ""));
            if (!closes && below(20) == 0) {
                peers[i]->reset();
                peers[i].reset();
            } else if (closes || below(2) == 0 || sent[i].size() > 60) {
                for (const std::string& text : sent[i]) peers[i]->expect_text(text);
                if (closes) peers[i]->expect_close(1000);
                if (closes) peers[i].reset();
            } else {
                continue;
            }
            sent[i].clear();
        }
    }
    for (std::size_t i = 0; i < peers.size(); ++i) {
        for (const std::string& text : sent[i]) peers[i]->expect_text(text);
    }
}
END_TEST

START_TEST(without_memory_for_what_waits_for_room_the_client_is_closed_with_1011) {
    const std::string large(1'000'000, 'x');
    std::optional<FailingAllocator> allocator;
    std::atomic<int> messages{0};
    PluginService host(kBriefPool);
    host.options().send_buffer = 10'000;
    host.on_message = [&](const WebSocketServer* server, const std::string& message) {
        send_back(server, ++messages == 1 ? large : message);
        if (messages == 1) allocator.emplace(0);  // on this thread, until it has failed
    };
    bool closed = false;
    for (int round = 0; round < 20 && !closed; ++round) {
        messages = 0;
        host.make_brief();
        Peer peer = host.connect(8'000);
        peer.send(frames_of({"0", "1", "2"}));
        peer.expect_text(large);
        // On a busy machine the messages may have come one by one, or have been handled elsewhere.
        const Frame next = peer.receive();
        closed = next.opcode == Opcode::close;
        ck_assert(!closed || next.payload.starts_with(close_payload(1011).substr(0, 2)));
        ck_assert(!closed || messages == 1);
    }
    ck_assert(closed);
}
END_TEST

WEBSOCKET_TEST_SUITE(serial_queue) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, quick_callbacks_run_on_the_thread_of_the_loop);
    tcase_add_test(tests, with_one_thread_callbacks_run_on_that_only);
    tcase_add_test(tests, callbacks_that_turn_slow_leave_the_loop);
    tcase_add_test(tests,
                   a_callback_that_blocks_in_the_middle_of_a_read_holds_up_its_own_client_only);
    tcase_add_test(tests, answers_go_out_before_the_close_also_when_one_has_blocked);
    tcase_add_test(tests, many_small_messages_of_one_read_all_come_in_order);
    tcase_add_test(tests, messages_of_several_clients_that_come_in_one_turn_do_not_mix);
    tcase_add_test(tests, a_client_that_goes_while_its_callback_blocks_is_told_of_once);
    tcase_add_test(tests, clients_that_come_and_go_while_callbacks_block_now_and_then_lose_nothing);
    tcase_add_test(tests, without_memory_for_what_waits_for_room_the_client_is_closed_with_1011);
}
