// SPDX-License-Identifier: Apache-2.0
#include "protocol/masking.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "protocol/random.hpp"
#include "protocol/require.hpp"
#include "unit.hpp"

namespace {

using websocket::protocol::MaskKey;
using websocket::protocol::rotate;
using websocket::protocol::unmask;
using websocket::protocol::unmask_anywhere;
using websocket::test::Random;
using websocket::test::require;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kLongest = 300;
constexpr std::size_t kAlignments = 64;
constexpr std::size_t kBlock = 128;  ///< no bound lies further before the byte that it is for

Bytes random_bytes(Random& random, std::size_t size) {
    const std::string bytes = random.bytes(size);
    return {bytes.begin(), bytes.end()};
}

void naive_unmask(std::span<std::uint8_t> bytes, const MaskKey& key) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::uint8_t>(bytes[i] ^ key.at(i % 4));
    }
}

std::size_t first_not_ascii(std::span<const std::uint8_t> bytes) {
    return static_cast<std::size_t>(
        std::ranges::find_if(bytes, [](std::uint8_t byte) { return byte >= 0x80; }) -
        bytes.begin());
}

/// unmask(), by all ways that there are here, which have to agree but for the bound.
std::size_t unmask_both(std::span<std::uint8_t> bytes, const MaskKey& key) {
    Bytes other(bytes.begin(), bytes.end());
    const std::size_t bound = unmask(bytes, key);
    const std::size_t other_bound = unmask_anywhere(other, key);
    require(std::ranges::equal(bytes, other), std::to_string(bytes.size()));
    const std::size_t first = first_not_ascii(bytes);
    require(other_bound <= first && first - other_bound < kBlock, std::to_string(other_bound));
    require((other_bound == bytes.size()) == (bound == bytes.size()), std::to_string(other_bound));
    return bound;
}

void assert_bound(std::size_t bound, std::span<const std::uint8_t> plain) {
    const std::size_t first = first_not_ascii(plain);
    const std::string input(plain.begin(), plain.end());
    require(bound <= first, input);
    require(first - bound < kBlock, input);
    require(bound == first || first < plain.size(), input);
}

}  // namespace

START_TEST(equals_the_byte_loop_at_every_alignment_and_length) {
    Random random(2);
    for (std::size_t offset = 0; offset < kAlignments; ++offset) {
        for (std::size_t length = 0; length <= kLongest; ++length) {
            Bytes actual = random_bytes(random, offset + length + 16);
            Bytes expected = actual;
            const MaskKey key = random.mask();
            const std::span<std::uint8_t> part{actual.data() + offset, length};
            const std::size_t bound = unmask_both(part, key);
            naive_unmask({expected.data() + offset, length}, key);
            require(actual == expected, std::to_string(offset) + ' ' + std::to_string(length));
            assert_bound(bound, part);
        }
    }
}
END_TEST

START_TEST(finds_the_only_byte_that_is_not_ascii_wherever_it_is) {
    Random random(3);
    for (std::size_t length = 1; length <= kLongest; ++length) {
        for (std::size_t at = 0; at < length; ++at) {
            Bytes bytes(length, 'a');
            bytes[at] = 0x80;
            const MaskKey key = random.mask();
            naive_unmask(bytes, key);
            assert_bound(unmask_both(bytes, key), bytes);
            require(first_not_ascii(bytes) == at, std::to_string(at));
        }
    }
}
END_TEST

START_TEST(long_ones_are_unmasked_in_the_same_way) {
    Random random(7);
    for (const std::size_t length : {511U, 512U, 513U, 639U, 640U, 767U, 4096U, 16384U}) {
        for (std::size_t offset = 0; offset < kAlignments; ++offset) {
            Bytes actual = random_bytes(random, offset + length);
            for (std::uint8_t& byte : actual) byte &= 0x7F;
            actual[offset + random.below(length)] |= 0x80;
            if (offset % 8 == 0) actual[offset + length - 1 - offset % length] |= 0x80;
            const Bytes expected = actual;
            const MaskKey key = random.mask();
            const std::span<std::uint8_t> part{actual.data() + offset, length};
            naive_unmask(part, key);
            assert_bound(unmask_both(part, key), part);
            require(actual == expected, std::to_string(offset) + ' ' + std::to_string(length));
        }
    }
    for (std::size_t at = 0; at < 700; ++at) {
        Bytes bytes(700, 'a');
        bytes[at] = 0x80;
        const MaskKey key = random.mask();
        naive_unmask(bytes, key);
        assert_bound(unmask_both(bytes, key), bytes);
    }
}
END_TEST

START_TEST(all_ascii_is_recognised_as_such_whatever_the_key) {
    Random random(4);
    for (std::size_t length = 0; length <= 3 * kLongest; ++length) {
        Bytes bytes = random_bytes(random, length);
        for (std::uint8_t& byte : bytes) byte &= 0x7F;
        const MaskKey key = random.mask();
        naive_unmask(bytes, key);
        ck_assert_uint_eq(unmask_both(bytes, key), length);
    }
}
END_TEST

START_TEST(unmasking_twice_gives_the_same_bytes) {
    Random random(5);
    const Bytes before = random_bytes(random, 100000);
    const MaskKey key = random.mask();
    Bytes bytes = before;
    unmask_both(bytes, key);
    ck_assert(bytes != before);
    unmask_both(bytes, key);
    ck_assert(bytes == before);
}
END_TEST

START_TEST(nothing_to_unmask_is_no_error) { ck_assert_uint_eq(unmask_both({}, {1, 2, 3, 4}), 0); }
END_TEST

START_TEST(a_payload_can_be_unmasked_piece_by_piece) {
    Random random(6);
    const Bytes masked = random_bytes(random, 200);
    const MaskKey key = random.mask();
    Bytes expected = masked;
    naive_unmask(expected, key);
    for (std::size_t first = 0; first <= masked.size(); ++first) {
        const std::size_t second = first + random.below(masked.size() - first + 1);
        Bytes bytes = masked;
        const std::span<std::uint8_t> all = bytes;
        unmask_both(all.first(first), key);
        unmask_both(all.subspan(first, second - first), rotate(key, first));
        unmask_both(all.subspan(second), rotate(key, second));
        ck_assert(bytes == expected);
    }
}
END_TEST

START_TEST(the_key_turns_by_the_offset_also_beyond_32_bits) {
    constexpr MaskKey kMask{1, 2, 3, 4};
    static_assert(rotate(kMask, 0) == kMask);
    static_assert(rotate(kMask, 1) == MaskKey{2, 3, 4, 1});
    static_assert(rotate(kMask, 2) == MaskKey{3, 4, 1, 2});
    static_assert(rotate(kMask, 3) == MaskKey{4, 1, 2, 3});
    static_assert(rotate(kMask, 0x100000004) == kMask);
    static_assert(rotate(kMask, UINT64_MAX) == MaskKey{4, 1, 2, 3});
    ck_assert(rotate(kMask, 7) == rotate(kMask, 3));
}
END_TEST

WEBSOCKET_TEST_SUITE(masking) {
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, equals_the_byte_loop_at_every_alignment_and_length);
    tcase_add_test(tests, finds_the_only_byte_that_is_not_ascii_wherever_it_is);
    tcase_add_test(tests, long_ones_are_unmasked_in_the_same_way);
    tcase_add_test(tests, all_ascii_is_recognised_as_such_whatever_the_key);
    tcase_add_test(tests, unmasking_twice_gives_the_same_bytes);
    tcase_add_test(tests, nothing_to_unmask_is_no_error);
    tcase_add_test(tests, a_payload_can_be_unmasked_piece_by_piece);
    tcase_add_test(tests, the_key_turns_by_the_offset_also_beyond_32_bits);
}
