// SPDX-License-Identifier: Apache-2.0
#include "protocol/inflater.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "failing_allocator.hpp"
#include "protocol/message_text.hpp"
#include "protocol/random.hpp"
#include "protocol/zlib_client.hpp"
#include "unit.hpp"

using namespace websocket::test;
using namespace websocket::protocol;

namespace {

using Status = Inflater::Status;
using websocket::base::ByteBuffer;

/// Inflates bytes that belong to a message, `step` of them at a time and with `room` for output at
/// a time; nothing when they are corrupt.
std::optional<std::string> inflate(Inflater& inflater, std::string_view compressed,
                                   std::size_t step = SIZE_MAX, std::size_t room = 4096) {
    std::string plain;
    while (!compressed.empty()) {
        std::span<const std::uint8_t> in = bytes(compressed.substr(0, step));
        compressed.remove_prefix(std::min(step, compressed.size()));
        for (Status status = Status::full; status == Status::full;) {
            std::string some(room, '\0');
            std::span<std::uint8_t> out(reinterpret_cast<std::uint8_t*>(some.data()), room);
            status = inflater.inflate(in, out);
            plain.append(some, 0, room - out.size());
            if (status == Status::corrupt) return {};
        }
        ck_assert(in.empty());
    }
    return plain;
}

std::optional<std::string> message(Inflater& inflater, std::string_view payload,
                                   std::size_t step = SIZE_MAX, std::size_t room = 4096) {
    std::optional<std::string> plain = inflate(inflater, payload, step, room);
    return plain && inflater.end_message() ? plain : std::nullopt;
}

void assert_message(Inflater& inflater, std::string_view payload, std::string_view expected) {
    const auto plain = message(inflater, payload);
    ck_assert_msg(plain.has_value(), "it is corrupt");
    ck_assert(*plain == expected);
}

std::string bytes(std::initializer_list<int> values) {
    std::string text;
    for (const int value : values) text += static_cast<char>(value);
    return text;
}

}  // namespace

START_TEST(the_examples_of_the_rfc_say_hello) {
    Inflater inflater(15);
    // Section 7.2.3.1, 7.2.3.2: another message with the window of the first.
    assert_message(inflater, bytes({0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00}), "Hello");
    assert_message(inflater, bytes({0xF2, 0x00, 0x11, 0x00, 0x00}), "Hello");
    // 7.2.3.3: a block without compression; 7.2.3.4: a final block; 7.2.3.5: two blocks.
    assert_message(inflater,
                   bytes({0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00}),
                   "Hello");
    assert_message(inflater, bytes({0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00}), "Hello");
    assert_message(
        inflater,
        bytes({0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00}),
        "Hello");
    // 7.2.3.6: an empty message.
    assert_message(inflater, bytes({0x00}), "");
    assert_message(inflater, bytes({0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00}), "Hello");
}
END_TEST

START_TEST(a_final_block_without_the_empty_one_behind_it_ends_a_message_as_well) {
    Inflater inflater(15);
    ZlibDeflate client;
    for (int i = 0; i < 3; ++i) {
        assert_message(inflater, client.feed("Hello", Z_FINISH), "Hello");
        client.reset();
    }
    assert_message(inflater, client.message("Hello"), "Hello");
}
END_TEST

START_TEST(blocks_may_follow_a_final_one_and_refer_across_it) {
    const std::string plain = json(800);
    ZlibDeflate client;
    const std::string first = client.feed(plain, Z_FINISH);
    client.reset();
    const std::string second = client.feed("and more", Z_FINISH);
    Inflater inflater(15);
    assert_message(inflater, first + second + std::string(2, '\0').substr(1), plain + "and more");

    // A compressor that was given the window by hand may refer to it in a stream of its own.
    z_stream primed{};
    ck_assert_int_eq(deflateInit2(&primed, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    const std::string window = plain + "and more";
    ck_assert_int_eq(
        deflateSetDictionary(&primed, bytes(window).data(), static_cast<uInt>(window.size())),
        Z_OK);
    std::string out(2000, '\0');
    primed.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
    primed.avail_in = static_cast<uInt>(plain.size());
    primed.next_out = reinterpret_cast<Bytef*>(out.data());
    primed.avail_out = static_cast<uInt>(out.size());
    ck_assert_int_eq(::deflate(&primed, Z_FINISH), Z_STREAM_END);
    out.resize(primed.total_out);
    deflateEnd(&primed);
    ck_assert_uint_lt(out.size(), 40);
    assert_message(inflater, out + '\0', plain);
}
END_TEST

START_TEST(every_split_of_input_and_output_gives_the_same) {
    const std::string plain = json(700);
    for (const bool final_block : {false, true}) {
        ZlibDeflate client;
        const std::string payload =
            final_block ? client.final_message(plain) : client.message(plain);
        for (std::size_t step = 1; step <= payload.size(); ++step) {
            for (const std::size_t room : {1U, 2U, 7U, 699U, 700U, 701U}) {
                Inflater inflater(15);
                ck_assert(message(inflater, payload, step, room) == plain);
            }
        }
    }
}
END_TEST

START_TEST(a_message_that_ends_inside_of_a_block_is_corrupt) {
    const std::string plain = json(700);
    ZlibDeflate client;
    const std::string payload = client.message(plain);
    std::size_t accepted = 0;
    for (std::size_t size = 1; size < payload.size(); ++size) {
        Inflater inflater(15);
        accepted += message(inflater, payload.substr(0, size)).has_value() ? 1U : 0U;
    }
    ck_assert_uint_eq(accepted, 0);
}
END_TEST

START_TEST(what_is_no_deflate_stream_is_corrupt) {
    for (const std::string& payload : {
             bytes({0x07}),                                 // block type 3
             bytes({0xFF, 0xFF, 0xFF, 0xFF}),               //
             bytes({0x00, 0x05, 0x00, 0x00, 0x00}),         // length and its complement differ
             bytes({0x02, 0xFF, 0xFF}),                     // distance beyond the beginning
             bytes({0xF2, 0x00, 0x11, 0x00, 0x00}),         // refers to a message that was not sent
             std::string("plain text and no compression"),  //
             bytes({0x04, 0x00, 0xFE, 0xFF}),               // invalid code lengths
         }) {
        Inflater inflater(15);
        ck_assert_msg(!message(inflater, payload).has_value(), "%zu bytes", payload.size());
    }
}
END_TEST

START_TEST(references_beyond_the_window_are_corrupt) {
    // 3000 bytes without a repetition, then the same again: the distance is 3000.
    Random random(1);
    const std::string noise = random.bytes(3000);
    ZlibDeflate client(15);
    const std::string payload = client.message(noise + noise);
    Inflater large(12);
    ck_assert(message(large, payload) == noise + noise);
    Inflater small(11);
    ck_assert(!message(small, payload).has_value());
}
END_TEST

START_TEST(eight_bits_are_understood_as_zlib_means_them) {
    Inflater inflater(8);
    ZlibDeflate client(9);
    for (int i = 0; i < 20; ++i) {
        const std::string plain = json(3000, static_cast<std::uint32_t>(i));
        assert_message(inflater, client.message(plain), plain);
    }
}
END_TEST

START_TEST(the_history_carries_over_to_another_inflater) {
    Random random(2);
    for (const int bits : {9, 12, 15}) {
        ZlibDeflate client(bits);
        auto inflater = std::make_unique<Inflater>(static_cast<unsigned>(bits));
        for (std::uint32_t i = 0; i < 40; ++i) {
            const std::string plain = json(1 + random.below(5000), i);
            assert_message(*inflater,
                           random.one_in(5) ? client.final_message(plain) : client.message(plain),
                           plain);
            if (random.one_in(3)) {
                ByteBuffer history = inflater->history();
                ck_assert_uint_le(history.size(), std::size_t{1} << bits);
                inflater = std::make_unique<Inflater>(static_cast<unsigned>(bits));
                inflater->set_history(history.bytes());
            }
        }
    }
    Inflater fresh(15);
    ck_assert_uint_eq(fresh.history().size(), 0);
    fresh.set_history({});
    assert_message(fresh, bytes({0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00}), "Hello");
}
END_TEST

START_TEST(a_reset_forgets_the_window_and_whatever_was_wrong) {
    Inflater inflater(15);
    assert_message(inflater, bytes({0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00}), "Hello");
    inflater.reset();
    ck_assert(!message(inflater, bytes({0xF2, 0x00, 0x11, 0x00, 0x00})).has_value());
    inflater.reset();
    assert_message(inflater, bytes({0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00}), "Hello");
    inflater.reset();
    ck_assert(inflate(inflater, bytes({0xF2, 0x48})).has_value());
    inflater.reset();
    assert_message(inflater, bytes({0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00}), "Hello");
}
END_TEST

START_TEST(random_streams_of_zlib_are_understood) {
    Random random(3);
    for (int round = 0; round < 100; ++round) {
        const int bits = static_cast<int>(9 + random.below(7));
        ZlibDeflate client(bits, static_cast<int>(random.below(10)),
                           static_cast<int>(1 + random.below(9)),
                           static_cast<int>(random.below(5)));
        Inflater inflater(static_cast<unsigned>(bits));
        for (std::uint32_t i = 0; i < 20; ++i) {
            const std::string plain =
                random.one_in(3) ? random.bytes(random.below(3000)) : json(random.below(3000), i);
            std::string payload;
            std::string_view rest = plain;
            while (random.one_in(2)) {  // flushes of every kind inside the message
                const std::size_t size = random.below(rest.size() + 1);
                const int flush = static_cast<int>(random.pick(
                    {Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK}));
                payload += client.feed(rest.substr(0, size), flush);
                rest.remove_prefix(size);
            }
            if (random.one_in(4)) {
                payload += client.final_message(rest);
            } else {
                payload += client.feed(rest, Z_SYNC_FLUSH);
                // Nothing new behind a flush: zlib says nothing.
                if (payload.ends_with(ZlibDeflate::kTail)) {
                    payload.resize(payload.size() - ZlibDeflate::kTail.size());
                }
                if (payload.empty()) payload += '\0';
            }
            ck_assert(message(inflater, payload, 1 + random.below(400), 1 + random.below(600)) ==
                      plain);
        }
    }
}
END_TEST

START_TEST(random_bytes_do_no_harm) {
    Random random(4);
    for (int i = 0; i < 20'000; ++i) {
        Inflater inflater(static_cast<unsigned>(8 + random.below(8)));
        static_cast<void>(message(inflater, random.bytes(random.below(60)), 1 + random.below(9)));
    }
}
END_TEST

START_TEST(missing_memory_is_reported_and_not_mistaken_for_corruption) {
    ZlibDeflate client;
    const std::string payload = client.message(json(3000));
    std::string room(4096, '\0');
    const std::size_t failures = fail_each_allocation(
        [&] {
            Inflater inflater(15);
            std::span<const std::uint8_t> in = bytes(payload);
            std::span<std::uint8_t> out(reinterpret_cast<std::uint8_t*>(room.data()), room.size());
            if (inflater.inflate(in, out) != Status::done || !inflater.end_message()) std::abort();
        },
        [](bool) {});
    ck_assert_uint_ge(failures, 1);
}
END_TEST

WEBSOCKET_TEST_SUITE(inflater) {
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, the_examples_of_the_rfc_say_hello);
    tcase_add_test(tests, a_final_block_without_the_empty_one_behind_it_ends_a_message_as_well);
    tcase_add_test(tests, blocks_may_follow_a_final_one_and_refer_across_it);
    tcase_add_test(tests, every_split_of_input_and_output_gives_the_same);
    tcase_add_test(tests, a_message_that_ends_inside_of_a_block_is_corrupt);
    tcase_add_test(tests, what_is_no_deflate_stream_is_corrupt);
    tcase_add_test(tests, references_beyond_the_window_are_corrupt);
    tcase_add_test(tests, eight_bits_are_understood_as_zlib_means_them);
    tcase_add_test(tests, the_history_carries_over_to_another_inflater);
    tcase_add_test(tests, a_reset_forgets_the_window_and_whatever_was_wrong);
    tcase_add_test(tests, random_streams_of_zlib_are_understood);
    tcase_add_test(tests, random_bytes_do_no_harm);
    tcase_add_test(tests, missing_memory_is_reported_and_not_mistaken_for_corruption);
}
