// SPDX-License-Identifier: Apache-2.0
#include "protocol/deflater.hpp"

#include <algorithm>
#include <string>

#include "failing_allocator.hpp"
#include "protocol/message_text.hpp"
#include "protocol/random.hpp"
#include "protocol/zlib_client.hpp"
#include "unit.hpp"

using namespace websocket::test;
using namespace websocket::protocol;
using websocket::base::ByteBuffer;

namespace {

constexpr DeflaterShape kShape{15, 6, 8};

std::string text_of(ByteBuffer& buffer) { return {buffer.bytes().begin(), buffer.bytes().end()}; }

/// Compresses a whole message; empty when it was refused.
std::string compress(Deflater& deflater, std::string_view plain,
                     std::size_t limit = Deflater::kNoLimit) {
    ByteBuffer out;
    return deflater.deflate(bytes(plain), true, out, limit) ? text_of(out) : "";
}

}  // namespace

START_TEST(a_message_can_be_inflated_by_zlib_and_lacks_the_tail) {
    Deflater deflater(kShape);
    ZlibInflate client;
    const std::string plain = json(1000);
    const std::string payload = compress(deflater, plain);
    ck_assert_uint_lt(payload.size(), plain.size() / 2);
    ck_assert(!payload.ends_with(ZlibDeflate::kTail));
    ck_assert(client.message(payload) == plain);
}
END_TEST

START_TEST(the_examples_of_the_rfc_come_out_as_they_stand_there) {
    Deflater deflater(kShape);
    // Section 7.2.3.1 and 7.2.3.2.
    ck_assert(compress(deflater, "Hello") == "\xF2\x48\xCD\xC9\xC9\x07" + std::string(1, '\0'));
    ck_assert(compress(deflater, "Hello") == std::string("\xF2\x00\x11\x00\x00", 5));
}
END_TEST

START_TEST(every_shape_gives_what_a_window_of_that_size_can_inflate) {
    const std::string plain = json(100'000);
    for (unsigned bits = kMinWindowBits; bits <= kMaxWindowBits; ++bits) {
        for (unsigned level = 1; level <= 9; ++level) {
            for (const unsigned memory : {1U, 5U, 9U}) {
                Deflater deflater({static_cast<std::uint8_t>(bits),
                                   static_cast<std::uint8_t>(level),
                                   static_cast<std::uint8_t>(memory)});
                ZlibInflate client(static_cast<int>(bits));
                const std::string payload = compress(deflater, plain);
                ck_assert(client.message(payload) == plain);
                ck_assert_uint_lt(payload.size(), plain.size());
            }
        }
    }
}
END_TEST

START_TEST(later_messages_refer_to_earlier_ones_until_a_reset) {
    Deflater deflater(kShape);
    const std::string plain = json(500);
    const std::string first = compress(deflater, plain);
    const std::string second = compress(deflater, plain);
    ck_assert_uint_lt(second.size(), first.size() / 4);
    deflater.reset();
    ck_assert(compress(deflater, plain) == first);
}
END_TEST

START_TEST(what_would_not_become_smaller_is_refused) {
    Random random(1);
    Deflater deflater(kShape);
    for (const std::size_t size : {1U, 2U, 10U, 100U, 1000U, 70'000U}) {
        const std::string noise = random.bytes(size);
        ck_assert(compress(deflater, noise, noise.size()).empty());
        deflater.reset();
    }
    // The limit is exclusive.
    const std::string plain = json(300);
    const std::size_t size = compress(deflater, plain).size();
    deflater.reset();
    ck_assert(compress(deflater, plain, size).empty());
    deflater.reset();
    ck_assert_uint_eq(compress(deflater, plain, size + 1).size(), size);
}
END_TEST

START_TEST(after_a_refusal_and_a_reset_the_stream_is_sound) {
    Random random(2);
    Deflater deflater(kShape);
    ZlibInflate client;
    for (int i = 0; i < 50; ++i) {
        const std::string plain = json(200 + random.below(2000));
        ck_assert(client.message(compress(deflater, plain)) == plain);
        const std::string noise = random.bytes(1 + random.below(3000));
        if (compress(deflater, noise, noise.size()).empty()) deflater.reset();
    }
}
END_TEST

START_TEST(noise_without_a_limit_grows_by_little) {
    Random random(3);
    for (const unsigned memory : {1U, 8U}) {
        Deflater deflater({9, 1, static_cast<std::uint8_t>(memory)});
        ZlibInflate client(9);
        const std::string noise = random.bytes(300'000);
        const std::string payload = compress(deflater, noise);
        ck_assert_uint_lt(payload.size(), noise.size() + noise.size() / 8 + 64);
        ck_assert(client.message(payload) == noise);
    }
}
END_TEST

START_TEST(parts_make_one_message_and_each_can_be_inflated_when_it_is_there) {
    Random random(4);
    for (int round = 0; round < 200; ++round) {
        Deflater deflater(kShape);
        ZlibInflate client;
        for (int message = 0; message < 3; ++message) {
            const std::string plain = random.one_in(3) ? random.bytes(1 + random.below(5000))
                                                       : json(1 + random.below(9000));
            std::string payload;
            std::string_view rest = plain;
            while (!rest.empty()) {
                const std::size_t size = 1 + random.below(rest.size());
                ByteBuffer out;
                ck_assert(deflater.deflate(bytes(rest.substr(0, size)), size == rest.size(), out));
                payload += text_of(out);
                rest.remove_prefix(size);
            }
            ck_assert(client.message(payload) == plain);
        }
    }
}
END_TEST

START_TEST(random_streams_are_understood_by_zlib) {
    Random random(5);
    for (int round = 0; round < 60; ++round) {
        const DeflaterShape shape{static_cast<std::uint8_t>(9 + random.below(7)),
                                  static_cast<std::uint8_t>(1 + random.below(9)),
                                  static_cast<std::uint8_t>(1 + random.below(9))};
        const bool takeover = random.one_in(2);
        Deflater deflater(shape);
        ZlibInflate client(shape.window_bits);
        for (int message = 0; message < 30; ++message) {
            const std::string plain = random.one_in(4) ? random.bytes(1 + random.below(2000))
                                                       : json(1 + random.below(4000));
            const std::string payload = compress(deflater, plain, plain.size());
            if (payload.empty() || !takeover) deflater.reset();
            if (!payload.empty()) {
                ck_assert_uint_lt(payload.size(), plain.size());
                ck_assert(client.message(payload) == plain);
            }
        }
    }
}
END_TEST

START_TEST(nothing_is_allocated_for_a_message_once_the_buffer_is_large_enough) {
    Deflater deflater(kShape);
    ByteBuffer out;
    const std::string plain = json(4000);
    const auto run = [&] {
        out.clear();
        ck_assert(deflater.deflate(bytes(plain), true, out, plain.size()));
        deflater.reset();
    };
    run();
    std::size_t allocations = 0;
    {
        const FailingAllocator counting;
        for (int i = 0; i < 10; ++i) {
            out.clear();
            static_cast<void>(deflater.deflate(bytes(plain), true, out, plain.size()));
            deflater.reset();
        }
        allocations = FailingAllocator::count();
    }
    ck_assert_uint_eq(allocations, 0);
}
END_TEST

START_TEST(a_compressor_without_memory_is_not_made) {
    const std::size_t failures =
        fail_each_allocation([] { const Deflater deflater(kShape); }, [](bool) {});
    ck_assert_uint_ge(failures, 1);
}
END_TEST

START_TEST(its_memory_is_what_the_header_says) {
    for (const DeflaterShape shape : {DeflaterShape{15, 6, 8}, DeflaterShape{12, 1, 5}}) {
        std::size_t count = 0;
        std::size_t largest = 0;
        {
            const FailingAllocator counting;
            const Deflater deflater(shape);
            count = FailingAllocator::count();
            largest = FailingAllocator::largest();
        }
        ck_assert_uint_eq(count, 1);
        ck_assert_uint_le(largest, (std::size_t{4} << shape.window_bits) +
                                       (std::size_t{512} << shape.memory_level) + (6U << 10));
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(deflater) {
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_message_can_be_inflated_by_zlib_and_lacks_the_tail);
    tcase_add_test(tests, the_examples_of_the_rfc_come_out_as_they_stand_there);
    tcase_add_test(tests, every_shape_gives_what_a_window_of_that_size_can_inflate);
    tcase_add_test(tests, later_messages_refer_to_earlier_ones_until_a_reset);
    tcase_add_test(tests, what_would_not_become_smaller_is_refused);
    tcase_add_test(tests, after_a_refusal_and_a_reset_the_stream_is_sound);
    tcase_add_test(tests, noise_without_a_limit_grows_by_little);
    tcase_add_test(tests, parts_make_one_message_and_each_can_be_inflated_when_it_is_there);
    tcase_add_test(tests, random_streams_are_understood_by_zlib);
    tcase_add_test(tests, nothing_is_allocated_for_a_message_once_the_buffer_is_large_enough);
    tcase_add_test(tests, a_compressor_without_memory_is_not_made);
    tcase_add_test(tests, its_memory_is_what_the_header_says);
}
