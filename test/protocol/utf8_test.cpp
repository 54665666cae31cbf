// SPDX-License-Identifier: Apache-2.0
#include "protocol/utf8.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "failing_allocator.hpp"
#include "protocol/random.hpp"
#include "protocol/require.hpp"
#include "unit.hpp"

namespace {

using websocket::protocol::is_utf8;
using websocket::protocol::Utf8Validator;
using websocket::test::append_utf8;
using websocket::test::bytes;
using websocket::test::FailingAllocator;
using websocket::test::kSanitizer;
using websocket::test::Random;
using websocket::test::require;

/// Where a text goes wrong, or how it ends.
struct Verdict {
    std::size_t first_impossible = std::string::npos;
    bool complete = true;

    bool operator==(const Verdict&) const = default;
};

/// UTF-8 by its definition: the set of what encoding every scalar value gives, with all beginnings.
/// Shares no rule about ranges of bytes with the validator.
class Reference {
public:
    Reference() : known_(std::size_t{4} << 24), whole_(std::size_t{4} << 24) {
        for (std::uint32_t code_point = 0; code_point <= 0x10FFFF; ++code_point) {
            if (code_point >= 0xD800 && code_point <= 0xDFFF) continue;
            std::string encoded;
            append_utf8(encoded, code_point);
            for (std::size_t length = 1; length <= std::min<std::size_t>(3, encoded.size());
                 ++length)
                known_[index(encoded.substr(0, length))] = true;
            if (encoded.size() < 4) whole_[index(encoded)] = true;
        }
    }

    [[nodiscard]] Verdict judge(std::string_view text) const {
        std::size_t begin = 0;
        for (std::size_t i = 0; i < text.size(); ++i) {
            const std::string_view part = text.substr(begin, i + 1 - begin);
            if (part.size() == 4 ? !is_continuation(part[3]) : !known_[index(part)]) {
                return {i, false};
            }
            if (part.size() == 4 || whole_[index(part)]) begin = i + 1;
        }
        return {std::string::npos, begin == text.size()};
    }

private:
    /// The fourth byte of a known beginning of three may be any of these.
    static bool is_continuation(char byte) { return static_cast<signed char>(byte) < -64; }

    /// 1 to 3 bytes and how many they are, as a number.
    static std::size_t index(std::string_view bytes) {
        std::size_t number = bytes.size();
        for (std::size_t i = 0; i < 3; ++i) {
            number = number << 8 | (i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0U);
        }
        return number;
    }

    std::vector<bool> known_, whole_;
};

/// Fed byte by byte, the validator says no with the byte that it dislikes.
Verdict judge_bytewise(std::string_view text) {
    Utf8Validator validator;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!validator.update(bytes(text.substr(i, 1)))) return {i, validator.complete()};
    }
    return {std::string::npos, validator.complete()};
}

void assert_split(std::string_view text, std::size_t split, const Verdict& expected) {
    Utf8Validator validator;
    const bool head = validator.update(bytes(text.substr(0, split)));
    const bool both = validator.update(bytes(text.substr(split)));
    require(head == (expected.first_impossible >= split), text);
    require(both == (expected.first_impossible == std::string::npos), text);
    require(validator.complete() == expected.complete, text);
}

void assert_every_way(std::string_view text, const Verdict& expected) {
    require(judge_bytewise(text) == expected, text);
    for (std::size_t split = 0; split <= text.size(); ++split) assert_split(text, split, expected);
}

/// The bytes at the edges of every range of Unicode's table 3-7.
constexpr std::array<unsigned char, 25> kEdges{0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                               0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                                               0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};

template <class Visit>
void for_each_of_four_edges(Visit visit) {
    std::string text(4, '\0');
    for (const unsigned char a : kEdges) {
        for (const unsigned char b : kEdges) {
            for (const unsigned char c : kEdges) {
                for (const unsigned char d : kEdges) {
                    text = {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c),
                            static_cast<char>(d)};
                    visit(text);
                }
            }
        }
    }
}

}  // namespace

START_TEST(agrees_with_the_definition_on_all_sequences_of_one_and_two_bytes) {
    const Reference reference;
    for (unsigned value = 0; value < 0x10000; ++value) {
        const std::string text{static_cast<char>(value >> 8), static_cast<char>(value & 0xFF)};
        assert_every_way(text, reference.judge(text));
        if (value < 0x100) assert_every_way(text.substr(1), reference.judge(text.substr(1)));
    }
}
END_TEST

START_TEST(agrees_with_the_definition_on_all_sequences_of_three_bytes) {
    const Reference reference;
    std::string text(3, '\0');
    for (unsigned value = 0; value < 0x1000000; value += kSanitizer ? 11 : 1) {
        text[0] = static_cast<char>(value >> 16);
        text[1] = static_cast<char>(value >> 8 & 0xFF);
        text[2] = static_cast<char>(value & 0xFF);
        const Verdict expected = reference.judge(text);
        const Verdict actual = judge_bytewise(text);
        Utf8Validator whole;
        const bool valid = whole.update(bytes(text));
        require(actual == expected, text);
        require(valid == (expected.first_impossible == std::string::npos), text);
        require(whole.complete() == expected.complete, text);
    }
}
END_TEST

START_TEST(agrees_with_the_definition_at_the_edges_of_four_bytes) {
    const Reference reference;
    for_each_of_four_edges(
        [&](const std::string& text) { assert_every_way(text, reference.judge(text)); });
}
END_TEST

START_TEST(agrees_with_the_definition_inside_of_long_texts) {
    const Reference reference;
    Random random(7);
    for_each_of_four_edges([&](const std::string& edges) {
        if (kSanitizer && random.below(4) != 0) return;
        const std::string before(random.below(70), 'a');
        const std::string after(random.below(70), 'z');
        const std::string text = before + edges + after;
        const Verdict expected = reference.judge(text);
        assert_split(text, 0, expected);
        assert_split(text, before.size() + random.below(5), expected);
        assert_split(text, random.below(text.size() + 1), expected);
    });
}
END_TEST

START_TEST(a_fault_is_seen_with_the_byte_that_proves_it) {
    const Reference reference;
    Random random(8);
    for (int round = 0; round < 3000; ++round) {
        std::string text = random.text(random.below(150));
        for (std::size_t faults = random.below(3); faults > 0 && !text.empty(); --faults) {
            text[random.below(text.size())] = static_cast<char>(random.below(256));
        }
        const Verdict expected = reference.judge(text);
        require(judge_bytewise(text) == expected, text);
        for (std::size_t size = 0; size <= text.size(); ++size) {
            Utf8Validator validator;
            const bool valid = validator.update(bytes(std::string_view(text).substr(0, size)));
            require(valid == (size <= expected.first_impossible), text);
        }
    }
}
END_TEST

START_TEST(long_texts_may_be_cut_into_any_pieces) {
    Random random(9);
    for (int round = 0; round < 300; ++round) {
        const std::string text = random.text(1 + random.below(3000));
        Utf8Validator validator;
        for (std::size_t i = 0; i < text.size();) {
            const std::size_t size = std::min(text.size() - i, random.below(200));
            ck_assert(validator.update(bytes(std::string_view(text).substr(i, size))));
            i += size;
        }
        ck_assert(validator.complete() && validator.at_boundary());
    }
}
END_TEST

START_TEST(a_failed_text_stays_failed) {
    for (const std::string bad : {"\x80", "\xC0", "\xE2\x28", "\xF5", "\xED\xA0"}) {
        Utf8Validator validator;
        ck_assert(!validator.update(bytes(bad)));
        ck_assert(!validator.complete());
        ck_assert(!validator.update(bytes("fine")));
        ck_assert(!validator.update({}));
        ck_assert(!validator.complete());
    }
}
END_TEST

START_TEST(knows_when_it_stands_between_two_characters) {
    Utf8Validator validator;
    ck_assert(validator.at_boundary() && validator.complete());
    const std::string_view smile = "\xF0\x9F\x98\x80";
    for (std::size_t i = 0; i < smile.size(); ++i) {
        ck_assert(validator.update(bytes(smile.substr(i, 1))));
        ck_assert(validator.update({}));
        ck_assert(validator.at_boundary() == (i == 3));
        ck_assert(validator.complete() == (i == 3));
    }
}
END_TEST

// update() is noexcept: an allocation in it, even if only once in a process, could end the process.
START_TEST(not_even_the_first_long_text_needs_memory) {
    const std::string text = Random(14).text(100000);
    Utf8Validator validator;
    bool valid = false;
    std::size_t count = 0;
    {
        const FailingAllocator allocator;
        valid = validator.update(bytes(text));
        count = FailingAllocator::count();
    }
    ck_assert(valid);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(whole_texts_of_every_length_are_judged_like_their_bytes) {
    for (std::size_t size = 0; size < 300; ++size) {
        std::string text(size, 'a');
        ck_assert(is_utf8(bytes(text)));
        for (std::size_t i = 0; i < size; ++i) {
            text[i] = '\xC3';
            ck_assert_msg(!is_utf8(bytes(text)), "%zu of %zu", i, size);
            if (i + 1 < size) {
                text[i + 1] = '\xA9';
                ck_assert_msg(is_utf8(bytes(text)), "%zu of %zu", i, size);
                text[i + 1] = 'a';
            }
            text[i] = 'a';
        }
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(utf8) {
    tcase_add_test(tests, whole_texts_of_every_length_are_judged_like_their_bytes);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, agrees_with_the_definition_on_all_sequences_of_one_and_two_bytes);
    tcase_add_test(tests, agrees_with_the_definition_on_all_sequences_of_three_bytes);
    tcase_add_test(tests, agrees_with_the_definition_at_the_edges_of_four_bytes);
    tcase_add_test(tests, agrees_with_the_definition_inside_of_long_texts);
    tcase_add_test(tests, a_fault_is_seen_with_the_byte_that_proves_it);
    tcase_add_test(tests, long_texts_may_be_cut_into_any_pieces);
    tcase_add_test(tests, a_failed_text_stays_failed);
    tcase_add_test(tests, not_even_the_first_long_text_needs_memory);
    tcase_add_test(tests, knows_when_it_stands_between_two_characters);
}
