// SPDX-License-Identifier: Apache-2.0
// Compression between an engine and clients that use zlib.
#include <array>
#include <map>
#include <mutex>
#include <thread>

#include "engine/connection.hpp"
#include "engine/deflate_peer.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::Compression;
using websocket::engine::SharedFrame;

namespace {

std::string noise(std::size_t size) {
    Random random(size);
    return random.bytes(size);
}

}  // namespace

// --- what comes in -------------------------------------------------------------------------------

START_TEST(compressed_messages_reach_the_session_inflated) {
    Service service;
    Client client = connect(service, kModes[_i]);
    DeflatePeer peer(client.peer, kModes[_i]);
    for (std::uint32_t i = 0; i < 5; ++i) peer.send_compressed(json(500 + i, i / 2));
    const auto messages = client.await_messages(5);
    for (std::uint32_t i = 0; i < 5; ++i) ck_assert(messages[i] == json(500 + i, i / 2));
}
END_TEST

START_TEST(nothing_compressed_is_taken_where_nothing_was_agreed) {
    Service service;
    Client client = service.connect();
    client.peer.send(compressed_frame(Opcode::text, ZlibDeflate().message("Hello")));
    client.peer.expect_close(1002);
    client.expect_closed(1002, false);
}
END_TEST

START_TEST(what_is_wrong_with_a_compressed_message_ends_its_connection_only) {
    Service service;
    service.options.reader.max_message_size = 100'000;
    Client good = connect(service, kModes[_i], service.echo());
    for (const auto& [payload, code] :
         {std::pair{std::string("\xFF\xFF\xFF"), 1007},
          std::pair{ZlibDeflate().message("\xC3\x28"), 1007},
          std::pair{ZlibDeflate().message(std::string(100'001, 'x')), 1009}}) {
        Client bad = connect(service, kModes[_i]);
        bad.peer.send(compressed_frame(Opcode::text, payload));
        bad.peer.expect_close(static_cast<std::uint16_t>(code));
        bad.expect_closed(static_cast<std::uint16_t>(code), false);
    }
    DeflatePeer peer(good.peer, kModes[_i]);
    peer.send_compressed(json(3000));
    peer.expect(json(3000));
}
END_TEST

START_TEST(many_messages_in_one_read_that_become_large_arrive_in_order) {
    Service service;
    Client client = connect(service, kWithoutContext);
    std::string bytes;
    for (int i = 0; i < 40; ++i) {
        bytes += compressed_frame(Opcode::text,
                                  ZlibDeflate().message(std::string(200'000, char('a' + i % 26))));
    }
    client.peer.send(bytes);
    const auto messages = client.await_messages(40);
    for (int i = 0; i < 40; ++i) {
        ck_assert(messages[static_cast<std::size_t>(i)] ==
                  std::string(200'000, char('a' + i % 26)));
    }
}
END_TEST

START_TEST(a_read_that_becomes_large_lets_others_have_their_turn) {
    Awaited<std::vector<char>> order;
    bool first = true;
    Service service;
    const auto note = [&](char who) {
        const ForTheTest memory;
        order.update([=](std::vector<char>& list) { list.push_back(who); });
    };
    Client modest = service.connect({.on_message = [&](ConnectionId, websocket::engine::Message) {
        note('m');
        return Flow::more;
    }});
    Client greedy = connect(service, kWithoutContext,
                            {.on_message = [&](ConnectionId, websocket::engine::Message) {
                                note('g');
                                if (std::exchange(first, false)) modest.peer.send_text("me, too");
                                return Flow::more;
                            }});
    std::string bytes;
    const std::string payload = ZlibDeflate().message(std::string(300'000, 'x'));
    for (int i = 0; i < 60; ++i) bytes += compressed_frame(Opcode::binary, payload);
    ck_assert_uint_lt(bytes.size(), 60'000);  // one read
    greedy.peer.send(bytes);
    const auto list =
        order.await([](const std::vector<char>& got) { return got.size() == 61; }, "all messages");
    // Four of them are more than a MiB, which is a turn.
    ck_assert_int_le(std::find(list.begin(), list.end(), 'm') - list.begin(), 12);
}
END_TEST

// --- what goes out -------------------------------------------------------------------------------

START_TEST(echoes_are_compressed_from_the_minimum_size_on) {
    Service service;
    Client client = connect(service, kModes[_i], service.echo());
    DeflatePeer peer(client.peer, kModes[_i]);
    for (const std::size_t size : {0U, 1U, 99U, 100U, 1000U, 60'000U}) {
        peer.send_compressed(json(size));
        const Received echo = peer.expect(json(size));
        ck_assert_int_eq(echo.compressed, size >= 100);
        ck_assert_uint_eq(echo.frames, 1);
        ck_assert(!echo.compressed || echo.bytes < size);
    }
}
END_TEST

START_TEST(a_connection_without_an_agreement_sends_nothing_compressed) {
    Service service;
    Client client = service.connect(service.echo());
    client.peer.send_text(json(1000));
    const Frame echo = client.peer.receive();
    ck_assert_int_eq(echo.bits, websocket::protocol::kFin);
    ck_assert(echo.payload == json(1000));
}
END_TEST

START_TEST(noise_goes_out_as_it_is_and_does_not_disturb_the_stream) {
    Service service;
    Client client = connect(service, kModes[_i], service.echo());
    DeflatePeer peer(client.peer, kModes[_i]);
    for (std::uint32_t i = 0; i < 6; ++i) {
        const std::string noisy = noise(2000 + i);
        client.peer.send(masked(Opcode::binary, noisy));
        ck_assert(!peer.expect(noisy).compressed);
        peer.send_compressed(json(900, i));
        ck_assert(peer.expect(json(900, i)).compressed);
    }
}
END_TEST

START_TEST(messages_refer_to_earlier_ones_where_that_was_agreed) {
    Service service;
    Client client = connect(service, kModes[_i], service.echo());
    DeflatePeer peer(client.peer, kModes[_i]);
    peer.send_compressed(json(2000));
    const std::size_t first = peer.expect(json(2000)).bytes;
    peer.send_compressed(json(2000));
    const std::size_t second = peer.expect(json(2000)).bytes;
    if (kModes[_i].server_takeover) {
        ck_assert_uint_lt(second, first / 4);
    } else {
        ck_assert_uint_eq(second, first);
    }
}
END_TEST

START_TEST(what_a_sender_asks_not_to_compress_is_not) {
    Service service;
    Client client = connect(
        service, kModes[_i], {.on_message = [&](ConnectionId id, websocket::engine::Message) {
            static_cast<void>(service.engine().send(id, Opcode::text, bytes(json(500)),
                                                    service.options.send_buffer,
                                                    Compression::none));
            return Flow::more;
        }});
    DeflatePeer peer(client.peer, kModes[_i]);
    peer.send_compressed("go");
    ck_assert(!peer.expect(json(500)).compressed);
    ck_assert(service.engine().send(client.id, Opcode::text, bytes(json(600)), 1 << 20,
                                    Compression::none) == SendResult::ok);
    ck_assert(!peer.expect(json(600)).compressed);
    const SharedFrame frame = SharedFrame::build(Opcode::text, bytes(json(650)));
    ck_assert(service.engine().send(client.id, frame, 1 << 20, Compression::none) ==
              SendResult::ok);
    ck_assert(!peer.expect(json(650)).compressed);
    ck_assert(service.send(client.id, json(700)) == SendResult::ok);
    ck_assert(peer.expect(json(700)).compressed);
}
END_TEST

START_TEST(several_threads_and_the_loop_send_at_once_and_every_message_is_whole) {
    constexpr std::size_t kThreads = 4;
    constexpr std::uint32_t kEach = 150;
    Service service;
    service.options.send_buffer = 64U << 20;
    Client client = connect(service, kModes[_i], service.echo());
    DeflatePeer peer(client.peer, kModes[_i]);
    client.await_open();
    std::vector<std::thread> senders;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
        senders.emplace_back([&, thread] {
            for (std::uint32_t i = 0; i < kEach; ++i) {
                const std::string text = std::to_string(thread) + ' ' + std::to_string(i) + ' ' +
                                         json(50 + 37 * i % 5000, i);
                if (service.send(client.id, text) != SendResult::ok) std::abort();
            }
        });
    }
    for (std::uint32_t i = 0; i < kEach; ++i) {
        client.peer.send(masked(Opcode::text, "9 " + std::to_string(i) + ' ' + json(300, i)));
    }
    std::map<char, std::uint32_t> next;
    for (std::size_t n = 0; n < (kThreads + 1) * kEach; ++n) {
        const Received message = peer.receive();
        const char sender = message.payload[0];
        const std::uint32_t i = next[sender]++;  // in the order of each sender
        const std::size_t size = sender == '9' ? 300 : 50 + 37 * i % 5000;
        ck_assert(message.payload ==
                  std::string(1, sender) + ' ' + std::to_string(i) + ' ' + json(size, i));
    }
    for (std::thread& sender : senders) sender.join();
    await_nothing_queued(service, client.id);
}
END_TEST

// --- long messages -------------------------------------------------------------------------------

START_TEST(a_long_message_from_another_thread_or_from_the_loop_arrives_whole) {
    const std::string text = json(kThreadSanitizer ? 500'000 : 3'000'000);
    Service service;
    service.options.send_buffer = 64U << 20;
    Client client = connect(service, kModes[_i], service.echo());
    DeflatePeer peer(client.peer, kModes[_i]);
    client.await_open();
    for (int round = 0; round < 2; ++round) {
        ck_assert(service.send(client.id, text) == SendResult::ok);
        ck_assert(service.send(client.id, json(400)) == SendResult::ok);
        const Received from_thread = peer.expect(text);
        ck_assert(from_thread.compressed);
        // Part by part where only the loop can compress it.
        ck_assert_int_eq(from_thread.frames > 1, kModes[_i].server_takeover);
        ck_assert(peer.expect(json(400)).compressed);

        client.peer.send(masked(Opcode::text, text) + masked(Opcode::text, json(500)));
        const Received from_loop = peer.expect(text);
        ck_assert(from_loop.compressed);
        ck_assert_uint_eq(from_loop.frames, (text.size() + 65535) / 65536);
        ck_assert_uint_lt(from_loop.bytes, text.size() / 2);
        ck_assert(peer.expect(json(500)).compressed);
    }
    await_nothing_queued(service, client.id);
}
END_TEST

START_TEST(messages_of_every_size_around_the_parts_arrive_whole) {
    Service service;
    service.options.send_buffer = 64U << 20;
    Client client = connect(service, kModes[_i], service.echo());
    DeflatePeer peer(client.peer, kModes[_i]);
    constexpr std::size_t kPart = websocket::engine::kDeflatePart;
    for (const std::size_t size :
         {kPart - 1, kPart, kPart + 1, 2 * kPart - 1, 2 * kPart, 2 * kPart + 1, 3 * kPart}) {
        const std::string text = json(size);
        client.peer.send(masked(Opcode::text, text));
        const Received echo = peer.expect(text);
        ck_assert(echo.compressed);
        ck_assert_uint_eq(echo.frames, (size + kPart - 1) / kPart);
    }
    await_nothing_queued(service, client.id);
}
END_TEST

START_TEST(long_noise_goes_out_in_one_frame_and_noise_behind_text_with_it) {
    Service service;
    service.options.send_buffer = 64U << 20;
    Client client = connect(service, kModes[_i], service.echo());
    DeflatePeer peer(client.peer, kModes[_i]);
    const std::string pure = noise(500'000);
    client.peer.send(masked(Opcode::binary, pure));
    const Received as_it_was = peer.expect(pure);
    ck_assert(!as_it_was.compressed);
    ck_assert_uint_eq(as_it_was.frames, 1);
    const std::string mixed = json(70'000) + pure;
    client.peer.send(masked(Opcode::binary, mixed));
    ck_assert(peer.expect(mixed).compressed);
    client.peer.send(masked(Opcode::text, json(300)));
    ck_assert(peer.expect(json(300)).compressed);
    await_nothing_queued(service, client.id);
}
END_TEST

START_TEST(a_long_message_leaves_the_loop_to_others_between_its_parts) {
    // When the first part leaves, the other client speaks; what is written when is noted, until the
    // service has ended.
    std::mutex mutex;
    std::vector<char> order;
    const auto note = [&](char who) {
        const ForTheTest memory;
        const std::lock_guard lock(mutex);
        order.push_back(who);
        return order.size();
    };
    Service service;
    service.options.send_buffer = 64U << 20;
    Client other = service.connect(service.echo());
    Wiring wiring;
    wiring.script->on_write([&](std::size_t) {
        if (note('l') == 1) other.peer.send_text("quick");
        return Script::kNormally;
    });
    other.script->on_write([&](std::size_t) {
        note('o');
        return Script::kNormally;
    });
    Client client = connect(service, kModes[_i], service.echo(), wiring);
    DeflatePeer peer(client.peer, kModes[_i]);
    const std::string text = json(kThreadSanitizer ? 3'000'000 : 8'000'000);
    std::thread writer([&] { client.peer.send(masked(Opcode::text, text)); });
    ck_assert(peer.expect(text).compressed);
    writer.join();
    other.peer.expect_text("quick");
    const std::lock_guard lock(mutex);
    const auto at = std::find(order.begin(), order.end(), 'o') - order.begin();
    ck_assert_int_lt(at, 8);  // of many more parts
    ck_assert_uint_gt(order.size(), kThreadSanitizer ? 40 : 100);
}
END_TEST

START_TEST(control_frames_and_a_close_keep_their_places_around_long_messages) {
    Service service;
    service.options.send_buffer = 64U << 20;
    Client client = connect(service, kModes[_i],
                            {.on_message = [&](ConnectionId id, websocket::engine::Message) {
                                for (std::uint32_t i = 0; i < 3; ++i) {
                                    if (service.send(id, json(400'000, i)) != SendResult::ok)
                                        std::abort();
                                }
                                if (service.send(id, "ping", Opcode::ping) != SendResult::ok)
                                    std::abort();
                                if (!service.close(id, 4000)) std::abort();
                                return Flow::more;
                            }});
    DeflatePeer peer(client.peer, kModes[_i]);
    client.peer.send_text("go");
    for (std::uint32_t i = 0; i < 3; ++i) peer.expect(json(400'000, i));
    client.peer.expect(Opcode::ping, "ping");
    client.peer.expect_close(4000);
    client.peer.send_close(4000);
    client.peer.expect_end();
}
END_TEST

START_TEST(what_is_queued_when_a_connection_fails_still_goes_out) {
    Service service;
    service.options.send_buffer = 64U << 20;
    Client client = connect(service, kModes[_i], service.echo());
    DeflatePeer peer(client.peer, kModes[_i]);
    const std::string text = json(1'500'000);
    client.peer.send(masked(Opcode::text, text) + compressed_frame(Opcode::ping, "bad"));
    peer.expect(text);
    client.peer.expect_close(1002);
}
END_TEST

START_TEST(a_peer_that_vanishes_inside_of_a_long_message_costs_nothing) {
    Service service;
    service.options.send_buffer = 64U << 20;
    const std::string message = masked(Opcode::text, json(2'000'000));
    for (int i = 0; i < 5; ++i) {
        Client client = connect(service, kModes[_i], service.echo(), {.socket_buffer = 8000});
        client.peer.send(message);
        static_cast<void>(client.peer.receive());
        client.peer.reset();
        client.await_close();
    }
    service.await_empty();
}
END_TEST

// --- backpressure and memory ---------------------------------------------------------------------

START_TEST(refused_messages_leave_the_stream_sound) {
    Service service;
    service.options.send_buffer = 30'000;
    Client client = connect(service, kModes[_i], {}, {.socket_buffer = 8000});
    client.await_open();
    std::vector<std::string> accepted;
    std::size_t refused = 0;
    for (std::uint32_t i = 0; refused < 20 && i < 100'000; ++i) {
        const std::string text = json(i % 7 == 0 ? 70'000 : 3000, i);
        const SendResult result = service.send(client.id, text);
        ck_assert(result == SendResult::ok || result == SendResult::full);
        if (result == SendResult::ok) {
            accepted.push_back(text);
        } else {
            ++refused;
        }
    }
    ck_assert_uint_eq(refused, 20);
    DeflatePeer peer(client.peer, kModes[_i]);
    for (const std::string& text : accepted) peer.expect(text);
    await_nothing_queued(service, client.id);
}
END_TEST

START_TEST(refusals_on_the_loop_leave_the_stream_sound) {
    constexpr std::uint32_t kMessages = kSanitizer ? 600 : 3000;
    Door all_sent;
    Service service;
    service.options.send_buffer = 30'000;
    std::vector<std::string> accepted;
    Client client = connect(service, kModes[_i],
                            {.on_message =
                                 [&](ConnectionId id, websocket::engine::Message) {
                                     for (std::uint32_t i = 0; i < kMessages; ++i) {
                                         const std::string text =
                                             json(i % 7 == 3 ? 70'000 : 12'000, i);
                                         if (service.send(id, text) == SendResult::ok) {
                                             accepted.push_back(text);
                                         }
                                     }
                                     all_sent.open();
                                     return Flow::more;
                                 }},
                            {.socket_buffer = 8000});
    client.peer.send_text("go");
    all_sent.await("the end of the callback");
    DeflatePeer peer(client.peer, kModes[_i]);
    for (const std::string& text : accepted) peer.expect(text);
    ck_assert_uint_gt(accepted.size(), 1);
    ck_assert_uint_lt(accepted.size(), kMessages);
    await_nothing_queued(service, client.id);
}
END_TEST

START_TEST(missing_memory_costs_a_message_or_a_connection_and_never_the_stream) {
    // Whatever allocation fails: what arrives is right, and something does unless there is a Close.
    std::size_t closed = 0;
    std::size_t failed = 0;
    const std::array texts{json(3000), json(200'000)};
    const std::string kept = json(2500);
    for (std::size_t index = 0; index < 60; ++index) {
        Service service;
        service.options.send_buffer = 64U << 20;
        Client client = connect(service, kModes[_i], service.echo());
        DeflatePeer peer(client.peer, kModes[_i]);
        client.peer.send_text("one");
        peer.expect("one");
        const std::string& lost = texts[index % 2];
        const std::string frame = masked(Opcode::text, lost);
        {
            const FailingAllocator allocator(index / 2, Threads::all);
            const ForTheTest memory;
            client.peer.send(frame);
            client.peer.send_text("mark");
            static_cast<void>(client.record->holds([](const Story& story) {
                return !story.closes.empty() || story.messages.size() == 3;
            }));
            failed += FailingAllocator::failed() ? 1U : 0U;
        }
        const std::string more = masked(Opcode::text, kept);  // the server may be gone, of course
        static_cast<void>(
            !::send(client.peer.descriptor(), more.data(), more.size(), MSG_NOSIGNAL));
        bool arrived = false;
        while (!arrived) {
            const std::optional<Received> message = peer.receive_unless_closed();
            if (!message) break;
            ck_assert(message->payload == lost || message->payload == "mark" ||
                      message->payload == kept);
            arrived = message->payload == kept;
        }
        closed += arrived ? 0U : 1U;
        ck_assert(arrived || client.await_close().code != 1000);
    }
    ck_assert_uint_gt(failed, 4);
    ck_assert_uint_le(closed, failed);
}
END_TEST

START_TEST(nothing_is_left_of_a_context_but_the_history_after_some_silence) {
    Service service;
    service.options.ping_interval = 64ms;
    service.options.pong_timeout = 60s;
    Client client = connect(service, kWithContext, service.echo());
    DeflatePeer peer(client.peer, kWithContext);
    peer.send_compressed(json(2000));
    const std::size_t first = peer.expect(json(2000)).bytes;
    // Two Pings: between them the connection was idle for the interval.
    for (int i = 0; i < 3; ++i) {
        client.peer.expect(Opcode::ping, "ping");
        client.peer.send(Opcode::pong, "ping");
    }
    peer.send_compressed(json(2000));  // refers to the first one
    Received echo;
    do {
        echo = peer.receive();
    } while (echo.payload.empty());
    ck_assert(echo.payload == json(2000));
    ck_assert_uint_eq(echo.bytes, first);  // and the answer no longer does
}
END_TEST

WEBSOCKET_TEST_SUITE(connection_deflate) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_loop_test(tests, compressed_messages_reach_the_session_inflated, 0, 2);
    tcase_add_test(tests, nothing_compressed_is_taken_where_nothing_was_agreed);
    tcase_add_loop_test(tests, what_is_wrong_with_a_compressed_message_ends_its_connection_only, 0,
                        2);
    tcase_add_test(tests, many_messages_in_one_read_that_become_large_arrive_in_order);
    tcase_add_test(tests, a_read_that_becomes_large_lets_others_have_their_turn);
    tcase_add_loop_test(tests, echoes_are_compressed_from_the_minimum_size_on, 0, 2);
    tcase_add_test(tests, a_connection_without_an_agreement_sends_nothing_compressed);
    tcase_add_loop_test(tests, noise_goes_out_as_it_is_and_does_not_disturb_the_stream, 0, 2);
    tcase_add_loop_test(tests, messages_refer_to_earlier_ones_where_that_was_agreed, 0, 2);
    tcase_add_loop_test(tests, what_a_sender_asks_not_to_compress_is_not, 0, 2);
    tcase_add_loop_test(tests, several_threads_and_the_loop_send_at_once_and_every_message_is_whole,
                        0, 2);
    tcase_add_loop_test(tests, a_long_message_from_another_thread_or_from_the_loop_arrives_whole, 0,
                        2);
    tcase_add_loop_test(tests, messages_of_every_size_around_the_parts_arrive_whole, 0, 2);
    tcase_add_loop_test(tests, long_noise_goes_out_in_one_frame_and_noise_behind_text_with_it, 0,
                        2);
    tcase_add_loop_test(tests, a_long_message_leaves_the_loop_to_others_between_its_parts, 0, 2);
    tcase_add_loop_test(tests, control_frames_and_a_close_keep_their_places_around_long_messages, 0,
                        2);
    tcase_add_loop_test(tests, what_is_queued_when_a_connection_fails_still_goes_out, 0, 2);
    tcase_add_loop_test(tests, a_peer_that_vanishes_inside_of_a_long_message_costs_nothing, 0, 2);
    tcase_add_loop_test(tests, refused_messages_leave_the_stream_sound, 0, 2);
    tcase_add_loop_test(tests, refusals_on_the_loop_leave_the_stream_sound, 0, 2);
    tcase_add_loop_test(tests, missing_memory_costs_a_message_or_a_connection_and_never_the_stream,
                        0, 2);
    tcase_add_test(tests, nothing_is_left_of_a_context_but_the_history_after_some_silence);
}
