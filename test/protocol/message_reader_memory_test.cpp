// SPDX-License-Identifier: Apache-2.0
//
// What a peer can make the reader allocate, and what happens when there is nothing to allocate.
#include <string>

#include "failing_allocator.hpp"
#include "protocol/message_reader.hpp"
#include "protocol/random_stream.hpp"
#include "unit.hpp"

namespace {

using namespace websocket::test;
using websocket::base::ByteBuffer;
using websocket::protocol::MessageReader;
using websocket::protocol::MessageType;
using websocket::protocol::Next;
using websocket::protocol::ReaderLimits;

constexpr ReaderLimits kNoLimits{INT64_MAX, UINT32_MAX, UINT32_MAX, false};

/// Allocates nothing: counts, and remembers a checksum of everything.
struct CountingSink {
    std::size_t events = 0;
    std::uint64_t checksum = 0;

    Next on_message(MessageType type, std::span<std::uint8_t> payload, ByteBuffer*) {
        return count(type == MessageType::text ? 1 : 2, payload);
    }
    Next on_ping(std::span<std::uint8_t> payload) { return count(3, payload); }
    Next on_pong(std::span<std::uint8_t> payload) { return count(4, payload); }
    void on_close(std::uint16_t, std::string_view) { static_cast<void>(count(5, {})); }
    void on_violation(websocket::protocol::Violation) { static_cast<void>(count(6, {})); }

private:
    Next count(std::uint8_t kind, std::span<const std::uint8_t> payload) {
        ++events;
        checksum = checksum * 31 + kind;
        for (const std::uint8_t byte : payload) checksum = checksum * 31 + byte;
        return Next::more;
    }
};

/// A copy, because reading unmasks in place.
std::vector<std::uint8_t> copy_of(std::string_view bytes) { return {bytes.begin(), bytes.end()}; }

void read_in_steps(MessageReader& reader, CountingSink& sink, std::span<std::uint8_t> bytes,
                   std::size_t step) {
    for (std::size_t i = 0; i < bytes.size(); i += step) {
        const auto piece = bytes.subspan(i, std::min(step, bytes.size() - i));
        static_cast<void>(reader.consume(piece, kNoLimits, sink));
    }
}

}  // namespace

START_TEST(whole_frames_need_no_memory) {
    std::vector<std::uint8_t> bytes =
        copy_of(client_frame({.payload = "text"}) +
                client_frame({.opcode = Opcode::binary, .payload = std::string(70000, 'b')}) +
                client_frame({.opcode = Opcode::ping, .payload = "ping"}) +
                client_frame({.opcode = Opcode::close, .payload = close_payload(1000)}));
    MessageReader reader;
    CountingSink sink;
    std::size_t count = 0;
    {
        const FailingAllocator allocator;
        static_cast<void>(reader.consume(bytes, kNoLimits, sink));
        count = FailingAllocator::count();
    }
    ck_assert_uint_eq(sink.events, 4);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(running_out_of_memory_anywhere_costs_the_events_that_follow_and_no_more) {
    // The validator's very first use is looked at in utf8_test.cpp.
    static_cast<void>(events_of(client_frame({.payload = "\xC3\xA9" + std::string(100, 'a')})));
    Random random(40);
    StreamMaker maker(random, 3000, 70000);
    std::size_t failures = 0;
    for (int round = 0; round < 30; ++round) {
        const Stream stream = maker.make(3);
        const std::size_t step = random.pick({1, 3, 100, 5000});
        std::vector<std::uint64_t> checksums;  // behind each event
        {
            std::vector<std::uint8_t> bytes = copy_of(stream.bytes);
            MessageReader reader;
            CountingSink sink;
            checksums.push_back(sink.checksum);
            for (std::size_t i = 0; i < bytes.size() && sink.events < stream.events.size(); ++i) {
                static_cast<void>(reader.consume(std::span(bytes).subspan(i, 1), kNoLimits, sink));
                if (sink.events == checksums.size()) checksums.push_back(sink.checksum);
            }
        }
        std::vector<std::uint8_t> bytes = copy_of(stream.bytes);
        CountingSink sink;
        failures += fail_each_allocation(
            [&] {
                MessageReader reader;  // its destructor runs with whatever it has got
                read_in_steps(reader, sink, bytes, step);
            },
            [&](bool failed) {
                require(failed == (sink.events < stream.events.size()), stream.bytes);
                require(sink.checksum == checksums.at(sink.events), stream.bytes);
                bytes = copy_of(stream.bytes);
                sink = {};
            });
    }
    ck_assert_uint_gt(failures, 100);
}
END_TEST

START_TEST(running_out_of_memory_for_a_window_throws_and_leaks_nothing) {
    const std::string header = client_header({.opcode = Opcode::binary}, 100000);
    const std::string payload(100000, 'p');
    std::vector<std::uint8_t> bytes = copy_of(header);
    CountingSink sink;
    const std::size_t failures = fail_each_allocation(
        [&] {
            MessageReader reader;
            static_cast<void>(reader.consume(bytes, kNoLimits, sink));
            std::size_t done = 0;
            while (done < payload.size()) {
                const auto window = reader.receive_window(1, 5000);
                std::copy_n(payload.begin(), window.size(), window.begin());
                reader.received(window.size(), sink);
                done += window.size();
            }
        },
        [&](bool failed) {
            ck_assert_uint_eq(sink.events, failed ? 0 : 1);
            bytes = copy_of(header);
        });
    ck_assert_uint_ge(failures, 3);
}
END_TEST

START_TEST(announcing_a_huge_message_makes_nobody_allocate_it) {
    std::vector<std::uint8_t> bytes =
        copy_of(client_header({.opcode = Opcode::binary}, INT64_MAX) + std::string(1000, 'p'));
    MessageReader reader;
    CountingSink sink;
    std::size_t largest = 0;
    {
        const FailingAllocator allocator;
        static_cast<void>(reader.consume(bytes, kNoLimits, sink));
        largest = FailingAllocator::largest();
    }
    ck_assert_uint_le(largest, 40000);
}
END_TEST

START_TEST(memory_follows_what_was_really_received) {
    constexpr std::size_t kStep = 4096;
    std::vector<std::uint8_t> header = copy_of(client_header({.opcode = Opcode::binary}, 1U << 30));
    MessageReader reader;
    CountingSink sink;
    static_cast<void>(reader.consume(header, kNoLimits, sink));
    std::vector<std::uint8_t> piece(kStep, 'p');
    std::size_t received = 0;
    std::size_t count = 0;
    while (received < (4U << 20)) {
        std::size_t largest = 0;
        {
            const FailingAllocator allocator;
            static_cast<void>(reader.consume(piece, kNoLimits, sink));
            largest = FailingAllocator::largest();
            count += FailingAllocator::count();
        }
        received += kStep;
        require(largest <= 40000 + 4 * received, std::to_string(received));
    }
    ck_assert_uint_le(count, 12);
}
END_TEST

START_TEST(a_window_costs_no_more_than_a_few_times_itself_and_what_has_come) {
    constexpr std::size_t kMax = 65536;
    std::vector<std::uint8_t> header = copy_of(client_header({.opcode = Opcode::binary}, 1U << 30));
    MessageReader reader;
    CountingSink sink;
    static_cast<void>(reader.consume(header, kNoLimits, sink));
    for (std::size_t received = 0; received < (4U << 20); received += kMax) {
        std::size_t largest = 0;
        {
            const FailingAllocator allocator;
            const auto window = reader.receive_window(1, kMax);
            std::fill(window.begin(), window.end(), std::uint8_t{'p'});
            reader.received(window.size(), sink);
            largest = FailingAllocator::largest();
        }
        require(largest <= 40000 + 4 * (received + kMax), std::to_string(received));
    }
    ck_assert_uint_eq(sink.events, 0);
}
END_TEST

START_TEST(what_was_read_at_once_vouches_for_a_message_of_four_times_as_much) {
    constexpr std::size_t kRead = 65536;
    std::vector<std::uint8_t> bytes =
        copy_of(client_header({.opcode = Opcode::binary}, 4 * kRead) + std::string(4 * kRead, 'p'));
    MessageReader reader;
    CountingSink sink;
    static_cast<void>(reader.consume(std::span(bytes).first(kRead), kNoLimits, sink));
    std::size_t allocations = 0;
    {
        const FailingAllocator allocator;
        while (!reader.at_boundary()) {
            const auto window = reader.receive_window(1, kRead);
            std::fill(window.begin(), window.end(), std::uint8_t{'p'});
            reader.received(window.size(), sink);
        }
        allocations = FailingAllocator::count();
    }
    ck_assert_uint_eq(allocations, 0);
    ck_assert_uint_eq(sink.events, 1);
}
END_TEST

START_TEST(many_tiny_fragments_make_one_buffer) {
    std::string stream = client_frame({.payload = "a", .fin = false});
    for (int i = 0; i < 5000; ++i) {
        stream += client_frame({.opcode = Opcode::continuation, .payload = "b", .fin = false});
    }
    stream += client_frame({.opcode = Opcode::continuation, .payload = "c"});
    std::vector<std::uint8_t> bytes = copy_of(stream);
    MessageReader reader;
    CountingSink sink;
    std::size_t count = 0;
    std::size_t largest = 0;
    {
        const FailingAllocator allocator;
        read_in_steps(reader, sink, bytes, bytes.size());
        count = FailingAllocator::count();
        largest = FailingAllocator::largest();
    }
    ck_assert_uint_eq(sink.events, 1);
    ck_assert_uint_le(count, 16);
    ck_assert_uint_le(largest, 40000);
}
END_TEST

WEBSOCKET_TEST_SUITE(message_reader_memory) {
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, whole_frames_need_no_memory);
    tcase_add_test(tests, running_out_of_memory_anywhere_costs_the_events_that_follow_and_no_more);
    tcase_add_test(tests, running_out_of_memory_for_a_window_throws_and_leaks_nothing);
    tcase_add_test(tests, announcing_a_huge_message_makes_nobody_allocate_it);
    tcase_add_test(tests, memory_follows_what_was_really_received);
    tcase_add_test(tests, a_window_costs_no_more_than_a_few_times_itself_and_what_has_come);
    tcase_add_test(tests, what_was_read_at_once_vouches_for_a_message_of_four_times_as_much);
    tcase_add_test(tests, many_tiny_fragments_make_one_buffer);
}
