// SPDX-License-Identifier: Apache-2.0
//
// Compressed messages: RFC 7692 sections 6 and 7.2.
#include <string>

#include "failing_allocator.hpp"
#include "protocol/deflate_receiver.hpp"
#include "protocol/message_text.hpp"
#include "protocol/random_stream.hpp"
#include "protocol/zlib_client.hpp"
#include "unit.hpp"

using namespace websocket::test;
using namespace websocket::protocol;
using websocket::base::ByteBuffer;

namespace {

constexpr const char* kReserved = "a reserved bit is set";
constexpr const char* kCorrupt = "compressed data is corrupt";
constexpr const char* kNotUtf8 = "text is not UTF-8";

Events violation(unsigned code, const char* reason) { return {{"violation", reason, code}}; }

std::string deflated(std::string_view plain) { return ZlibDeflate().message(plain); }

/// `payload` in compressed frames of `size` bytes, with a Ping behind each but the last.
std::string fragments(Opcode opcode, std::string_view payload, std::size_t size) {
    std::string bytes;
    bool first = true;
    do {
        const std::string_view part = payload.substr(0, size);
        payload.remove_prefix(part.size());
        const bool last = payload.empty();
        bytes += client_frame({.opcode = first ? opcode : Opcode::continuation,
                               .payload = part,
                               .fin = last,
                               .rsv = static_cast<std::uint8_t>(first ? 4 : 0)});
        if (!last) bytes += client_frame({.opcode = Opcode::ping, .payload = "p"});
        first = false;
    } while (!payload.empty());
    return bytes;
}

}  // namespace

// --- marks ---------------------------------------------------------------------------------------

START_TEST(a_compressed_message_arrives_inflated) {
    const std::string plain = json(300);
    assert_inflated(compressed_frame(Opcode::text, deflated(plain)), {{"text", plain}});
    assert_inflated(compressed_frame(Opcode::binary, deflated(plain)), {{"binary", plain}}, false);
}
END_TEST

START_TEST(uncompressed_messages_may_come_at_any_time) {
    ZlibDeflate client;
    std::string bytes;
    Events expected;
    for (std::uint32_t i = 0; i < 4; ++i) {
        const std::string plain = json(60, i / 2);
        bytes += i % 2 == 0 ? compressed_frame(Opcode::text, client.message(plain))
                            : client_frame({.opcode = Opcode::text, .payload = plain});
        expected.push_back({"text", plain});
    }
    assert_inflated(bytes, expected);
}
END_TEST

START_TEST(the_mark_has_no_meaning_where_nothing_was_agreed) {
    const std::string bytes = compressed_frame(Opcode::text, deflated("Hello"));
    assert_same_however_split(bytes, violation(1002, kReserved));
}
END_TEST

START_TEST(the_mark_belongs_to_the_first_frame_of_a_data_message_only) {
    for (const Opcode opcode : {Opcode::ping, Opcode::pong, Opcode::close}) {
        assert_inflated(compressed_frame(opcode, {}), violation(1002, kReserved));
    }
    const std::string payload = deflated("Hello");
    const std::string first = compressed_frame(Opcode::text, payload.substr(0, 3), false);
    assert_inflated(first + compressed_frame(Opcode::continuation, payload.substr(3)),
                    violation(1002, kReserved));
    assert_inflated(client_frame({.payload = "He", .fin = false}) +
                        compressed_frame(Opcode::continuation, "llo"),
                    violation(1002, kReserved));
    assert_inflated(first + compressed_frame(Opcode::ping, "p"), violation(1002, kReserved));
}
END_TEST

START_TEST(the_other_reserved_bits_stay_reserved) {
    for (std::uint8_t rsv = 1; rsv < 8; ++rsv) {
        if (rsv == 4) continue;
        assert_inflated(client_frame({.payload = "x", .rsv = rsv}), violation(1002, kReserved));
    }
}
END_TEST

START_TEST(a_compressed_message_may_not_begin_inside_of_another) {
    assert_inflated(compressed_frame(Opcode::text, "x", false) +
                        compressed_frame(Opcode::text, "x"),
                    violation(1002, "new message inside a fragmented one"));
}
END_TEST

// --- content -------------------------------------------------------------------------------------

START_TEST(empty_messages_come_in_three_ways) {
    assert_inflated(compressed_frame(Opcode::text, std::string(1, '\0')) +
                        compressed_frame(Opcode::binary, {}) + client_frame({.payload = {}}) +
                        compressed_frame(Opcode::text, deflated("Hello")),
                    {{"text", ""}, {"binary", ""}, {"text", ""}, {"text", "Hello"}});
}
END_TEST

START_TEST(fragments_and_the_control_frames_between_them_arrive) {
    const std::string plain = json(400);
    const std::string payload = deflated(plain);
    for (std::size_t size = 1; size <= payload.size(); ++size) {
        DeflateReceiver receiver;
        receiver.feed(fragments(Opcode::text, payload, size));
        const std::size_t pings = (payload.size() - 1) / size;
        ck_assert_uint_eq(receiver.sink.events.size(), pings + 1);
        ck_assert(receiver.sink.events.back() == (Event{"text", plain}));
        ck_assert(!receiver.source.taken());
    }
    Events expected(2, Event{"ping", "p"});
    expected.push_back({"text", plain});
    assert_inflated(fragments(Opcode::text, payload, payload.size() / 3 + 1), expected);
}
END_TEST

START_TEST(empty_fragments_of_a_compressed_message_are_legal) {
    const std::string payload = deflated("Hello");
    std::string bytes = compressed_frame(Opcode::text, {}, false);
    bytes += client_frame({.opcode = Opcode::continuation, .payload = payload, .fin = false});
    bytes += client_frame({.opcode = Opcode::continuation, .payload = {}});
    assert_inflated(bytes, {{"text", "Hello"}});
    assert_inflated(compressed_frame(Opcode::text, {}, false) +
                        client_frame({.opcode = Opcode::continuation, .payload = {}}),
                    {{"text", ""}});
}
END_TEST

START_TEST(messages_may_refer_to_earlier_ones_only_where_that_was_agreed) {
    ZlibDeflate client;
    const std::string plain = json(200);
    const std::string first = compressed_frame(Opcode::text, client.message(plain));
    const std::string second = compressed_frame(Opcode::text, client.message(plain));
    assert_inflated(first + second, {{"text", plain}, {"text", plain}});
    assert_inflated(first + second, {{"text", plain}, {"violation", kCorrupt, 1007}}, false);
}
END_TEST

START_TEST(corrupt_data_is_a_violation) {
    for (const std::string& payload :
         {std::string("\x07"), std::string(5, '\xFF'), deflated(json(300)).substr(0, 60)}) {
        assert_inflated(compressed_frame(Opcode::binary, payload), violation(1007, kCorrupt));
    }
}
END_TEST

START_TEST(text_is_checked_behind_the_compression) {
    const std::string text = "ä€😀";
    assert_inflated(compressed_frame(Opcode::text, deflated(text)), {{"text", text}});
    assert_inflated(compressed_frame(Opcode::text, deflated("abc\xC3\x28")),
                    violation(1007, kNotUtf8));
    assert_inflated(compressed_frame(Opcode::text, deflated(text.substr(0, text.size() - 1))),
                    violation(1007, kNotUtf8));
    assert_inflated(compressed_frame(Opcode::binary, deflated("abc\xC3\x28")),
                    {{"binary", "abc\xC3\x28"}});
}
END_TEST

START_TEST(wrong_text_is_found_while_it_is_inflated) {
    ZlibDeflate client;
    const std::string begin = client.feed("\xFF and", Z_SYNC_FLUSH);
    DeflateReceiver receiver;
    receiver.feed(compressed_frame(Opcode::text, begin, false));
    assert_events(receiver.sink.events, violation(1007, kNotUtf8), "in an unfinished message");
}
END_TEST

// --- limits --------------------------------------------------------------------------------------

START_TEST(the_limit_of_a_message_is_that_of_what_it_inflates_to) {
    const ReaderLimits limits{.max_message_size = 500};
    assert_inflated(compressed_frame(Opcode::text, deflated(json(500))), {{"text", json(500)}},
                    true, limits);
    assert_inflated(compressed_frame(Opcode::text, deflated(json(501))),
                    violation(1009, "message too big"), true, limits);
    // Noise is longer when compressed, and still no longer than the limit.
    Random random(1);
    const std::string noise = random.bytes(500);
    const std::string payload = deflated(noise);
    ck_assert_uint_gt(payload.size(), 500);
    assert_inflated(compressed_frame(Opcode::binary, payload), {{"binary", noise}}, true, limits);
    assert_inflated(fragments(Opcode::binary, payload, 300), {{"ping", "p"}, {"binary", noise}},
                    true, limits);
    // But there is a limit to that, too, and it does not wait for the payload.
    DeflateReceiver receiver(true, limits);
    receiver.feed(client_header({.opcode = Opcode::binary, .rsv = 4}, 5'000).substr(0, 4));
    assert_events(receiver.sink.events, violation(1009, "message too big"), "by its header");
    DeflateReceiver plain(true, limits);
    plain.feed(client_header({.opcode = Opcode::binary}, 501).substr(0, 4));
    assert_events(plain.sink.events, violation(1009, "message too big"), "uncompressed");
}
END_TEST

/// A client that streams may flush behind each character, with or without a fragment of its own.
START_TEST(a_message_in_small_pieces_is_judged_by_what_it_inflates_to) {
    constexpr std::size_t kSize = 12'000;
    const ReaderLimits limits{.max_message_size = kSize};
    const std::string text = json(kSize);
    ZlibDeflate client;
    std::string bytes;
    std::string payload;
    for (std::size_t i = 0; i < kSize; ++i) {
        std::string piece = client.feed(text.substr(i, 1), Z_FULL_FLUSH);
        payload += piece;
        if (i + 1 == kSize) piece.resize(piece.size() - ZlibDeflate::kTail.size());
        bytes += client_frame({.opcode = i == 0 ? Opcode::text : Opcode::continuation,
                               .payload = piece,
                               .fin = i + 1 == kSize,
                               .rsv = static_cast<std::uint8_t>(i == 0 ? 4 : 0)});
    }
    payload.resize(payload.size() - ZlibDeflate::kTail.size());
    ck_assert_uint_gt(payload.size(), 6 * kSize);
    const auto expect = [](std::string_view stream, const ReaderLimits& most,
                           const Events& events) {
        for (const std::size_t step : {std::size_t{1}, std::size_t{1'000}, stream.size()}) {
            DeflateReceiver receiver(true, most);
            receiver.feed_in_steps(stream, step);
            assert_events(receiver.sink.events, events, std::to_string(step));
        }
    };
    const std::string whole = compressed_frame(Opcode::text, payload);
    expect(bytes, limits, {{"text", text}});
    expect(whole, limits, {{"text", text}});
    expect(bytes, {.max_message_size = kSize - 1}, violation(1009, "message too big"));
    expect(whole, {.max_message_size = kSize - 1}, violation(1009, "message too big"));
}
END_TEST

START_TEST(what_inflates_to_nothing_is_bounded_as_well) {
    constexpr std::string_view kNothing{"\0\0\0\xFF\xFF", 5};  // the empty block of a flush
    const ReaderLimits limits{.max_message_size = 100, .max_fragments = 1'000};
    std::string blocks;
    while (blocks.size() < 1'000) blocks += kNothing;
    DeflateReceiver one(true, limits);
    one.feed(compressed_frame(Opcode::binary, blocks));
    assert_events(one.sink.events, violation(1009, "message too big"), "in one frame");

    DeflateReceiver many(true, limits);
    std::string bytes = compressed_frame(Opcode::binary, kNothing, false);
    for (int i = 0; i < 2'000; ++i) {
        bytes += client_frame({.opcode = Opcode::continuation, .payload = kNothing, .fin = false});
    }
    many.feed(bytes);
    assert_events(many.sink.events, {{"violation", "too many fragments", 1008}}, "in many");
}
END_TEST

START_TEST(the_smallest_and_the_largest_limit_are_limits) {
    assert_inflated(compressed_frame(Opcode::binary, deflated("x")), {{"binary", "x"}}, true,
                    {.max_message_size = 1});
    assert_inflated(compressed_frame(Opcode::binary, deflated("xy")),
                    violation(1009, "message too big"), true, {.max_message_size = 1});
    assert_inflated(compressed_frame(Opcode::binary, deflated("xy")), {{"binary", "xy"}}, true,
                    {.max_message_size = UINT64_MAX});
}
END_TEST

START_TEST(an_inflated_message_never_takes_much_more_memory_than_the_limit) {
    const std::string bomb = deflated(std::string(64U << 20, 'x'));
    const std::string bytes = compressed_frame(Opcode::text, bomb);
    for (const std::size_t step : {std::size_t{1000}, std::size_t{65536}, bytes.size()}) {
        DeflateReceiver receiver(true, {.max_message_size = 3U << 20, .max_inflate_ratio = 2000});
        std::size_t largest = 0;
        {
            const FailingAllocator counting;
            receiver.feed_in_steps(bytes, step);
            largest = FailingAllocator::largest();
        }
        assert_events(receiver.sink.events, violation(1009, "message too big"), "a bomb");
        ck_assert_uint_le(largest, 7U << 20);
    }
}
END_TEST

START_TEST(a_message_that_is_compressed_too_well_ends_early) {
    const std::string bytes =
        compressed_frame(Opcode::binary, deflated(std::string(8U << 20, 'x')));
    for (const std::size_t step : {std::size_t{100}, bytes.size()}) {
        DeflateReceiver receiver(true, {.max_inflate_ratio = 100});
        std::size_t largest = 0;
        {
            const FailingAllocator counting;
            receiver.feed_in_steps(bytes, step);
            largest = FailingAllocator::largest();
        }
        assert_events(receiver.sink.events, violation(1009, "message is compressed too well"),
                      "a bomb");
        ck_assert_uint_le(largest, 4U << 20);
    }
    // As long as it is small nobody minds.
    const std::string small(kInflatedUnchecked, 'x');
    DeflateReceiver receiver(true, {.max_inflate_ratio = 2});
    receiver.feed(compressed_frame(Opcode::binary, deflated(small)));
    assert_events(receiver.sink.events, {{"binary", small}}, "a small one");
}
END_TEST

START_TEST(a_gigabyte_in_a_message_costs_a_moment) {
    // A mebibyte that needs nothing before it, and so can follow itself.
    ZlibDeflate client;
    const std::string piece = client.feed(std::string(1U << 20, '\0'), Z_FULL_FLUSH);
    std::string bomb;
    for (int i = 0; i < 1024; ++i) bomb += piece;
    ck_assert_uint_lt(bomb.size(), 2U << 20);
    for (const std::uint32_t ratio : {200U, 5000U}) {
        DeflateReceiver receiver(true, {.max_inflate_ratio = ratio});
        receiver.feed_in_steps(compressed_frame(Opcode::binary, bomb), 65536);
        ck_assert_uint_eq(receiver.sink.events.size(), 1);
        ck_assert_uint_eq(receiver.sink.events[0].code, 1009);
    }
}
END_TEST

START_TEST(other_limits_count_for_compressed_messages_as_well) {
    const std::string payload = deflated(json(300));
    assert_inflated(fragments(Opcode::text, payload, payload.size() / 4 + 1),
                    {{"ping", "p"}, {"ping", "p"}, {"violation", "too many fragments", 1008}}, true,
                    {.max_fragments = 2});
    assert_inflated(compressed_frame(Opcode::text, {}, false),
                    {{"violation", "too many empty fragments", 1008}}, true,
                    {.max_empty_fragments = 0});
}
END_TEST

// --- memory and turns ----------------------------------------------------------------------------

START_TEST(whole_messages_allocate_nothing_in_the_long_run) {
    ZlibDeflate client;
    DeflateReceiver receiver;
    std::vector<std::uint8_t> bytes;
    struct {
        TestInflaters* source;
        std::size_t bytes = 0;
        Next on_message(MessageType, std::span<std::uint8_t> payload, ByteBuffer*) {
            bytes += payload.size();
            return Next::more;
        }
        Next on_ping(std::span<std::uint8_t>) { return Next::more; }
        Next on_pong(std::span<std::uint8_t>) { return Next::more; }
        void on_close(std::uint16_t, std::string_view) {}
        void on_violation(Violation) { std::abort(); }
        InflaterSource* inflaters() const { return source; }
    } sink{&receiver.source};
    std::size_t allocations = 0;
    for (std::uint32_t i = 0; i < 20; ++i) {
        const std::string frame = compressed_frame(Opcode::text, client.message(json(3000, i)));
        bytes.assign(frame.begin(), frame.end());
        const FailingAllocator counting;
        receiver.reader.consume(bytes, {}, sink);
        allocations = FailingAllocator::count();
    }
    ck_assert_uint_eq(sink.bytes, 60'000);
    ck_assert_uint_eq(allocations, 0);
}
END_TEST

START_TEST(an_unfinished_message_takes_its_inflater_along_when_it_goes) {
    DeflateReceiver receiver;
    receiver.feed(compressed_frame(Opcode::text, deflated(json(300)).substr(0, 50), false));
    ck_assert(receiver.source.taken());
    ck_assert(!receiver.reader.at_boundary());
    ck_assert(receiver.sink.events.empty());
}
END_TEST

START_TEST(there_is_no_window_to_receive_into_inside_of_a_compressed_frame) {
    Random random(2);
    const std::string bytes = compressed_frame(Opcode::binary, deflated(random.bytes(100'000)));
    DeflateReceiver receiver;
    receiver.feed(std::string_view(bytes).substr(0, 1000));
    ck_assert(receiver.reader.receive_window(16, 1000).empty());
    receiver.feed(std::string_view(bytes).substr(1000));
    ck_assert_uint_eq(receiver.sink.events.size(), 1);
    ck_assert(receiver.reader.at_boundary());
}
END_TEST

START_TEST(large_messages_come_with_their_buffer_and_small_ones_without) {
    DeflateReceiver receiver(false);
    receiver.feed(compressed_frame(Opcode::binary, deflated(json(60'000))));
    ck_assert_uint_eq(receiver.sink.owned, 0);
    receiver.feed(compressed_frame(Opcode::binary, deflated(json(70'000))));
    ck_assert_uint_eq(receiver.sink.owned, 1);
}
END_TEST

START_TEST(a_reader_that_has_inflated_much_stops_between_two_messages) {
    const std::string frame = compressed_frame(Opcode::binary, deflated(json(1000)));
    DeflateReceiver receiver(false);
    receiver.source.tired_at = 2500;
    const std::string bytes = frame + frame + frame + frame;
    ck_assert_uint_eq(receiver.feed(bytes), 3 * frame.size());
    ck_assert_uint_eq(receiver.sink.events.size(), 3);
    // Also when the message came in two parts.
    DeflateReceiver parts(false);
    parts.source.tired_at = 500;
    parts.feed(frame.substr(0, 30));
    ck_assert_uint_eq(parts.feed(frame.substr(30) + frame), frame.size() - 30);
}
END_TEST

START_TEST(a_sink_that_stops_is_heard) {
    const std::string frame = compressed_frame(Opcode::binary, deflated(json(1000)));
    DeflateReceiver receiver;
    receiver.sink.stops = true;
    ck_assert_uint_eq(receiver.feed(frame + frame), frame.size());
}
END_TEST

START_TEST(missing_memory_is_an_exception_and_nothing_else) {
    const std::string plain = json(100'000);
    const std::string bytes = compressed_frame(Opcode::text, deflated(plain));
    for (const std::size_t step : {bytes.size(), std::size_t{4000}}) {
        Events events;
        const std::size_t failures = fail_each_allocation(
            [&] {
                struct {
                    TestInflaters* source;
                    std::size_t bytes = 0;
                    Next on_message(MessageType, std::span<std::uint8_t> payload, ByteBuffer*) {
                        bytes += payload.size();
                        return Next::more;
                    }
                    Next on_ping(std::span<std::uint8_t>) { return Next::more; }
                    Next on_pong(std::span<std::uint8_t>) { return Next::more; }
                    void on_close(std::uint16_t, std::string_view) {}
                    void on_violation(Violation) { std::abort(); }
                    InflaterSource* inflaters() const { return source; }
                } sink{nullptr};
                TestInflaters source(true);
                sink.source = &source;
                MessageReader reader;
                std::string copy = bytes;
                for (std::size_t i = 0; i < copy.size(); i += step) {
                    const std::size_t size = std::min(step, copy.size() - i);
                    reader.consume({reinterpret_cast<std::uint8_t*>(copy.data()) + i, size}, {},
                                   sink);
                }
                if (sink.bytes != plain.size()) std::abort();
            },
            [](bool) {});
        ck_assert_uint_gt(failures, 3);
    }
}
END_TEST

// --- properties ----------------------------------------------------------------------------------

START_TEST(random_streams_give_the_same_events_however_they_come) {
    Random random(3);
    for (int round = 0; round < 60; ++round) {
        const bool takeover = random.one_in(2);
        StreamMaker maker(random, 60, 130, takeover ? Compress::with_takeover : Compress::alone);
        const Stream stream = maker.make(1 + random.below(4));
        assert_inflated(stream.bytes, stream.events, takeover);
    }
}
END_TEST

START_TEST(long_random_streams_give_the_same_events_in_pieces_of_any_size) {
    Random random(4);
    for (int round = 0; round < 40; ++round) {
        const bool takeover = random.one_in(2);
        StreamMaker maker(random, 5000, 70'000,
                          takeover ? Compress::with_takeover : Compress::alone);
        const Stream stream = maker.make(1 + random.below(8));
        for (const std::size_t longest : {2U, 30U, 1000U, 100'000U}) {
            DeflateReceiver receiver(takeover);
            for (std::size_t i = 0; i < stream.bytes.size();) {
                const std::size_t size = 1 + random.below(longest);
                receiver.feed(std::string_view(stream.bytes).substr(i, size));
                i += size;
            }
            assert_events(receiver.sink.events, stream.events,
                          "in pieces of up to " + std::to_string(longest));
        }
    }
}
END_TEST

START_TEST(damaged_streams_do_no_harm) {
    Random random(5);
    for (int round = 0; round < 3000; ++round) {
        StreamMaker maker(random, 100, 400, Compress::with_takeover);
        std::string bytes = maker.make(1 + random.below(4)).bytes;
        for (std::size_t faults = 1 + random.below(3); faults > 0; --faults) {
            bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
        }
        DeflateReceiver receiver(random.one_in(2), {.max_message_size = 2000});
        receiver.feed_in_steps(bytes, 1 + random.below(200));
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(message_reader_deflate) {
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, a_compressed_message_arrives_inflated);
    tcase_add_test(tests, uncompressed_messages_may_come_at_any_time);
    tcase_add_test(tests, the_mark_has_no_meaning_where_nothing_was_agreed);
    tcase_add_test(tests, the_mark_belongs_to_the_first_frame_of_a_data_message_only);
    tcase_add_test(tests, the_other_reserved_bits_stay_reserved);
    tcase_add_test(tests, a_compressed_message_may_not_begin_inside_of_another);
    tcase_add_test(tests, empty_messages_come_in_three_ways);
    tcase_add_test(tests, fragments_and_the_control_frames_between_them_arrive);
    tcase_add_test(tests, empty_fragments_of_a_compressed_message_are_legal);
    tcase_add_test(tests, messages_may_refer_to_earlier_ones_only_where_that_was_agreed);
    tcase_add_test(tests, corrupt_data_is_a_violation);
    tcase_add_test(tests, text_is_checked_behind_the_compression);
    tcase_add_test(tests, wrong_text_is_found_while_it_is_inflated);
    tcase_add_test(tests, the_limit_of_a_message_is_that_of_what_it_inflates_to);
    tcase_add_test(tests, a_message_in_small_pieces_is_judged_by_what_it_inflates_to);
    tcase_add_test(tests, what_inflates_to_nothing_is_bounded_as_well);
    tcase_add_test(tests, the_smallest_and_the_largest_limit_are_limits);
    tcase_add_test(tests, an_inflated_message_never_takes_much_more_memory_than_the_limit);
    tcase_add_test(tests, a_message_that_is_compressed_too_well_ends_early);
    tcase_add_test(tests, a_gigabyte_in_a_message_costs_a_moment);
    tcase_add_test(tests, other_limits_count_for_compressed_messages_as_well);
    tcase_add_test(tests, whole_messages_allocate_nothing_in_the_long_run);
    tcase_add_test(tests, an_unfinished_message_takes_its_inflater_along_when_it_goes);
    tcase_add_test(tests, there_is_no_window_to_receive_into_inside_of_a_compressed_frame);
    tcase_add_test(tests, large_messages_come_with_their_buffer_and_small_ones_without);
    tcase_add_test(tests, a_reader_that_has_inflated_much_stops_between_two_messages);
    tcase_add_test(tests, a_sink_that_stops_is_heard);
    tcase_add_test(tests, missing_memory_is_an_exception_and_nothing_else);
    tcase_add_test(tests, random_streams_give_the_same_events_however_they_come);
    tcase_add_test(tests, long_random_streams_give_the_same_events_in_pieces_of_any_size);
    tcase_add_test(tests, damaged_streams_do_no_harm);
}
