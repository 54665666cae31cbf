// SPDX-License-Identifier: Apache-2.0
//
// However a stream reaches the reader, the events are the same: random legal streams, and the same
// ones damaged.
#include <string>

#include "protocol/message_reader.hpp"
#include "protocol/random_stream.hpp"
#include "unit.hpp"

namespace {

using namespace websocket::test;

/// Feeds pieces of random sizes.
Events events_of_pieces(const std::string& bytes, Random& random, std::size_t longest) {
    Receiver receiver;
    for (std::size_t i = 0; i < bytes.size();) {
        const std::size_t size = 1 + random.below(longest);
        receiver.feed(std::string_view(bytes).substr(i, size));
        i += size;
    }
    return receiver.sink.events;
}

/// A few bytes changed, removed or added.
void damage(std::string& bytes, Random& random) {
    for (std::size_t faults = 1 + random.below(3); faults > 0 && !bytes.empty(); --faults) {
        const std::size_t at = random.below(bytes.size());
        switch (random.below(4)) {
            case 0: bytes[at] = static_cast<char>(random.below(256)); break;
            case 1: bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8))); break;
            case 2: bytes.erase(at, 1 + random.below(3)); break;
            default: bytes.insert(at, random.bytes(1 + random.below(3))); break;
        }
    }
}

}  // namespace

START_TEST(short_streams_give_the_same_events_at_every_split) {
    Random random(20);
    StreamMaker maker(random, 40, 130);
    for (int round = 0; round < 150; ++round) {
        const Stream stream = maker.make(1 + random.below(4));
        assert_same_however_split(stream.bytes, stream.events);
    }
}
END_TEST

START_TEST(long_streams_give_the_same_events_in_pieces_of_any_size) {
    Random random(21);
    StreamMaker maker(random, 5000, 70000);
    for (int round = 0; round < 40; ++round) {
        const Stream stream = maker.make(1 + random.below(6));
        assert_events(events_of(stream.bytes), stream.events, "at once");
        for (const std::size_t longest : {2U, 30U, 1000U, 100000U}) {
            assert_events(events_of_pieces(stream.bytes, random, longest), stream.events,
                          "in pieces of up to " + std::to_string(longest));
        }
        Receiver receiver;
        receiver.feed_in_steps(stream.bytes, 1);
        assert_events(receiver.sink.events, stream.events, "byte by byte");
    }
}
END_TEST

START_TEST(damaged_streams_give_the_same_events_at_every_split) {
    Random random(22);
    StreamMaker maker(random, 30, 130);
    std::size_t refused = 0;
    for (int round = 0; round < 400; ++round) {
        std::string bytes = maker.make(1 + random.below(3)).bytes;
        damage(bytes, random);
        const Events events = events_of(bytes);
        refused += !events.empty() && events.back().kind == "violation" ? 1U : 0U;
        assert_same_however_split(bytes, events);
    }
    ck_assert_uint_gt(refused, 100);
}
END_TEST

START_TEST(noise_is_refused_with_the_same_words_at_every_split) {
    Random random(23);
    for (int round = 0; round < 3000; ++round) {
        std::string bytes = random.bytes(1 + random.below(40));
        if (round % 2 == 0) bytes[0] = static_cast<char>(0x80U | random.pick({0, 1, 2, 8, 9, 10}));
        if (bytes.size() > 1 && round % 4 < 3) bytes[1] = static_cast<char>(bytes[1] | 0x80);
        assert_same_however_split(bytes, events_of(bytes));
    }
}
END_TEST

START_TEST(every_event_comes_with_its_last_byte_and_not_earlier) {
    Random random(24);
    StreamMaker maker(random, 50, 200);
    for (int round = 0; round < 100; ++round) {
        const Stream stream = maker.make(1 + random.below(4));
        Receiver receiver;
        std::size_t complete = 0;
        for (std::size_t i = 0; i < stream.bytes.size() && !receiver.sink.ended; ++i) {
            receiver.feed(std::string_view(stream.bytes).substr(i, 1));
            if (complete < stream.ends.size() && stream.ends[complete] == i + 1) ++complete;
            require(receiver.sink.events.size() == complete, stream.bytes.substr(0, i + 1));
        }
    }
}
END_TEST

START_TEST(between_messages_nothing_is_kept) {
    Random random(25);
    for (int round = 0; round < 50; ++round) {
        const std::string payload = random.text(random.below(60));
        const std::string_view view = payload;
        const std::string whole = client_frame({.payload = view});
        const std::string parts = client_frame({.payload = view, .fin = false}) +
                                  client_frame({.opcode = Opcode::ping, .payload = "p"}) +
                                  client_frame({.opcode = Opcode::continuation, .payload = view});
        const std::string ping = client_frame({.opcode = Opcode::ping, .payload = "p"});
        for (const std::string& bytes : {whole, parts, ping}) {
            Receiver receiver;
            require(receiver.reader.at_boundary(), bytes);
            for (std::size_t i = 0; i < bytes.size(); ++i) {
                receiver.feed(std::string_view(bytes).substr(i, 1));
                require(receiver.reader.at_boundary() == (i + 1 == bytes.size()), bytes);
            }
        }
    }
    static_assert(sizeof(websocket::protocol::MessageReader) == sizeof(void*));
}
END_TEST

START_TEST(a_sink_that_stops_is_given_the_rest_later_and_nothing_twice) {
    Random random(26);
    StreamMaker maker(random, 60, 300);
    for (int round = 0; round < 200; ++round) {
        const Stream stream = maker.make(1 + random.below(5));
        Receiver receiver;
        receiver.sink.stops = true;
        const std::size_t step = random.pick({1, 2, 7, 100, 100000});
        std::size_t used = 0;
        std::size_t have = 0;
        while (used < stream.bytes.size() && !receiver.sink.ended) {
            if (have == used) have = std::min(stream.bytes.size(), used + step);
            const std::size_t before = receiver.sink.events.size();
            used += receiver.feed(std::string_view(stream.bytes).substr(used, have - used));
            const std::size_t after = receiver.sink.events.size();
            require(after <= before + 1, stream.bytes);
            // Stopped: exactly behind the event. Not stopped: behind all that there was.
            require(used == (after > before ? stream.ends[before] : have), stream.bytes);
        }
        assert_events(receiver.sink.events, stream.events, "stopping");
    }
}
END_TEST

START_TEST(bytes_behind_a_stop_are_not_touched) {
    const std::string frame = client_frame({.payload = "masked with something"});
    std::string both = frame + frame;
    Receiver receiver;
    receiver.sink.stops = true;
    std::vector<std::uint8_t> bytes(both.begin(), both.end());
    ck_assert_uint_eq(receiver.reader.consume(bytes, {}, receiver.sink), frame.size());
    ck_assert(std::string(bytes.begin(), bytes.end()).ends_with(frame));
}
END_TEST

START_TEST(consuming_nothing_does_nothing) {
    Receiver receiver;
    ck_assert_uint_eq(receiver.reader.consume({}, {}, receiver.sink), 0);
    ck_assert(receiver.reader.at_boundary());
    receiver.feed(client_frame({.payload = "abc"}).substr(0, 7));
    ck_assert_uint_eq(receiver.reader.consume({}, {}, receiver.sink), 0);
    ck_assert(receiver.sink.events.empty());
}
END_TEST

WEBSOCKET_TEST_SUITE(message_reader_split) {
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, short_streams_give_the_same_events_at_every_split);
    tcase_add_test(tests, long_streams_give_the_same_events_in_pieces_of_any_size);
    tcase_add_test(tests, damaged_streams_give_the_same_events_at_every_split);
    tcase_add_test(tests, noise_is_refused_with_the_same_words_at_every_split);
    tcase_add_test(tests, every_event_comes_with_its_last_byte_and_not_earlier);
    tcase_add_test(tests, between_messages_nothing_is_kept);
    tcase_add_test(tests, a_sink_that_stops_is_given_the_rest_later_and_nothing_twice);
    tcase_add_test(tests, bytes_behind_a_stop_are_not_touched);
    tcase_add_test(tests, consuming_nothing_does_nothing);
}
