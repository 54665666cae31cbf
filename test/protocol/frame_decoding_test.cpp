// SPDX-License-Identifier: Apache-2.0
#include "protocol/frame_decoding.hpp"

#include <string>
#include <string_view>

#include "protocol/client_frame.hpp"
#include "protocol/random.hpp"
#include "protocol/require.hpp"
#include "unit.hpp"

namespace {

using namespace websocket::protocol;
using websocket::test::bytes;
using websocket::test::client_header;
using websocket::test::ClientFrame;
using websocket::test::require;

constexpr MessageProgress kNoMessage{};
constexpr MessageProgress kOpenMessage{true, MessageType::text, 10, 1, 0};
constexpr ReaderLimits kUnlimited{INT64_MAX, UINT32_MAX, UINT32_MAX, false};

HeaderResult decode(std::string_view header, const MessageProgress& message = kNoMessage,
                    const ReaderLimits& limits = kUnlimited) {
    return decode_frame_header(bytes(header), message, limits);
}

/// That the header is refused with its first `needed` bytes, and not earlier.
void assert_refused(const std::string& bytes, std::size_t needed, CloseCode code,
                    const MessageProgress& message = kNoMessage,
                    const ReaderLimits& limits = kUnlimited) {
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
        const HeaderResult result = decode(bytes.substr(0, size), message, limits);
        const auto expected = size < needed ? HeaderStatus::incomplete : HeaderStatus::violated;
        ck_assert_msg(result.status == expected, "%zu bytes: %d", size,
                      static_cast<int>(result.status));
        if (size < needed) continue;
        ck_assert_int_eq(static_cast<int>(result.violation.code), static_cast<int>(code));
        ck_assert_uint_gt(std::string_view(result.violation.reason).size(), 0);
    }
}

/// That the header is accepted with its last byte, and read right.
void assert_accepted(const ClientFrame& frame, std::uint64_t length,
                     const MessageProgress& message = kNoMessage,
                     const ReaderLimits& limits = kUnlimited) {
    const std::string bytes = client_header(frame, length);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        ck_assert(decode(bytes.substr(0, size), message, limits).status ==
                  HeaderStatus::incomplete);
    }
    for (const std::string& more : {std::string{}, std::string("x"), std::string(100, '\xFF')}) {
        const HeaderResult result = decode(bytes + more, message, limits);
        ck_assert(result.status == HeaderStatus::complete);
        ck_assert(result.header.opcode == frame.opcode);
        ck_assert(result.header.fin == frame.fin);
        ck_assert(result.header.mask == frame.mask);
        ck_assert_uint_eq(result.header.payload_length, length);
        ck_assert_uint_eq(result.header.size, bytes.size());
    }
}

MessageProgress progress(std::uint64_t length, std::uint32_t fragments, std::uint32_t empty) {
    return {true, MessageType::binary, length, fragments, empty};
}

}  // namespace

START_TEST(every_first_byte_is_judged_by_the_rules_of_the_rfc) {
    for (unsigned byte = 0; byte < 256; ++byte) {
        for (const bool open : {false, true}) {
            const unsigned opcode = byte & 0x0F;
            const bool control = opcode >= 8;
            const bool known = opcode <= 2 || (opcode >= 8 && opcode <= 10);
            const bool in_place = control ? (byte & 0x80) != 0 : (opcode == 0) == open;
            const bool legal = (byte & 0x70) == 0 && known && in_place;
            const std::string bytes(1, static_cast<char>(byte));
            const HeaderResult result = decode(bytes, open ? kOpenMessage : kNoMessage);
            ck_assert_msg((result.status == HeaderStatus::incomplete) == legal, "%02x %d", byte,
                          open);
            if (!legal) ck_assert(result.violation.code == CloseCode::protocol_error);
        }
    }
}
END_TEST

START_TEST(reads_every_length_in_its_own_encoding) {
    for (const std::uint64_t length :
         {0UL, 1UL, 124UL, 125UL, 126UL, 127UL, 255UL, 256UL, 65534UL, 65535UL, 65536UL, 65537UL,
          0xFFFFFFFFUL, 0x100000000UL, 0x0123456789ABCDEFUL, 0x7FFFFFFFFFFFFFFFUL}) {
        assert_accepted({.opcode = Opcode::binary}, length);
        assert_accepted({.opcode = Opcode::text, .fin = false}, length);
    }
}
END_TEST

START_TEST(reads_the_mask_behind_every_length) {
    websocket::test::Random random(10);
    for (const std::uint64_t length : {3UL, 300UL, 70000UL}) {
        assert_accepted({.mask = random.mask()}, length);
        assert_accepted({.mask = {0, 0, 0, 0}}, length);
    }
}
END_TEST

START_TEST(accepts_control_frames_between_fragments) {
    for (const Opcode opcode : {Opcode::ping, Opcode::pong, Opcode::close}) {
        for (const std::uint64_t length : {0UL, 1UL, 125UL}) {
            assert_accepted({.opcode = opcode}, length);
            assert_accepted({.opcode = opcode}, length, kOpenMessage);
        }
    }
    assert_accepted({.opcode = Opcode::continuation, .fin = false}, 7, kOpenMessage);
    assert_accepted({.opcode = Opcode::continuation}, 7, kOpenMessage);
}
END_TEST

START_TEST(refuses_a_reserved_bit_at_once) {
    for (std::uint8_t rsv = 1; rsv <= 7; ++rsv) {
        assert_refused(client_header({.rsv = rsv}, 1), 1, CloseCode::protocol_error);
        assert_refused(client_header({.opcode = Opcode::ping, .rsv = rsv}, 1), 1,
                       CloseCode::protocol_error);
    }
}
END_TEST

START_TEST(refuses_a_continuation_without_a_start) {
    assert_refused(client_header({.opcode = Opcode::continuation}, 1), 1,
                   CloseCode::protocol_error);
}
END_TEST

START_TEST(refuses_a_new_message_inside_of_a_fragmented_one) {
    for (const Opcode opcode : {Opcode::text, Opcode::binary}) {
        assert_refused(client_header({.opcode = opcode}, 1), 1, CloseCode::protocol_error,
                       kOpenMessage);
    }
}
END_TEST

START_TEST(refuses_a_frame_without_a_mask) {
    for (const Opcode opcode : {Opcode::text, Opcode::binary, Opcode::ping, Opcode::close}) {
        assert_refused(client_header({.opcode = opcode, .masked = false}, 5), 2,
                       CloseCode::protocol_error);
    }
    assert_refused(client_header({.masked = false}, 70000), 2, CloseCode::protocol_error);
}
END_TEST

START_TEST(refuses_a_long_or_fragmented_control_frame) {
    for (const Opcode opcode : {Opcode::ping, Opcode::pong, Opcode::close}) {
        assert_refused(client_header({.opcode = opcode}, 126), 2, CloseCode::protocol_error);
        assert_refused(client_header({.opcode = opcode}, 70000), 2, CloseCode::protocol_error);
        assert_refused(client_header({.opcode = opcode, .fin = false}, 5), 1,
                       CloseCode::protocol_error);
        assert_refused(client_header({.opcode = opcode, .length_bytes = 2}, 5), 2,
                       CloseCode::protocol_error);
    }
}
END_TEST

START_TEST(refuses_a_length_in_more_bytes_than_it_needs) {
    for (const std::uint64_t length : {0UL, 1UL, 125UL}) {
        assert_refused(client_header({.length_bytes = 2}, length), 4, CloseCode::protocol_error);
        assert_refused(client_header({.length_bytes = 8}, length), 10, CloseCode::protocol_error);
    }
    for (const std::uint64_t length : {126UL, 65535UL}) {
        assert_refused(client_header({.length_bytes = 8}, length), 10, CloseCode::protocol_error);
    }
}
END_TEST

START_TEST(refuses_a_length_of_64_bits_with_its_first_byte) {
    for (const std::uint64_t length : {std::uint64_t{1} << 63, UINT64_MAX}) {
        assert_refused(client_header({}, length), 3, CloseCode::too_big);
    }
}
END_TEST

START_TEST(the_size_limit_is_inclusive_and_does_not_wait_for_the_mask) {
    for (const std::uint64_t limit : {1UL, 4UL, 125UL, 126UL, 65535UL, 65536UL, 1UL << 40}) {
        const ReaderLimits limits{limit, UINT32_MAX, UINT32_MAX, false};
        assert_accepted({}, limit, kNoMessage, limits);
        assert_accepted({.fin = false}, limit, kNoMessage, limits);
        const std::string header = client_header({}, limit + 1);
        assert_refused(header, header.size() - 4, CloseCode::too_big, kNoMessage, limits);
    }
}
END_TEST

START_TEST(the_size_limit_holds_for_all_fragments_together) {
    const ReaderLimits limits{100, UINT32_MAX, UINT32_MAX, false};
    const ClientFrame frame{.opcode = Opcode::continuation};
    assert_accepted(frame, 40, progress(60, 1, 0), limits);
    assert_accepted(frame, 0, progress(100, 1, 0), limits);
    assert_refused(client_header(frame, 41), 2, CloseCode::too_big, progress(60, 1, 0), limits);
    assert_refused(client_header(frame, 1), 2, CloseCode::too_big, progress(100, 1, 0), limits);
    assert_refused(client_header(frame, 101), 2, CloseCode::too_big, progress(0, 1, 1), limits);
}
END_TEST

START_TEST(fragments_cannot_overflow_the_size_limit) {
    const ClientFrame frame{.opcode = Opcode::continuation};
    assert_accepted(frame, INT64_MAX - 1, progress(1, 1, 0));
    assert_refused(client_header(frame, INT64_MAX), 10, CloseCode::too_big, progress(1, 1, 0));
    assert_refused(client_header(frame, 1), 2, CloseCode::too_big, progress(INT64_MAX, 1, 0));
    assert_refused(client_header(frame, INT64_MAX), 10, CloseCode::too_big,
                   progress(INT64_MAX, 1, 0));
    const ReaderLimits huge{UINT64_MAX, UINT32_MAX, UINT32_MAX, false};
    assert_refused(client_header(frame, INT64_MAX), 10, CloseCode::too_big,
                   progress(UINT64_MAX - 1, 1, 0), huge);
}
END_TEST

START_TEST(a_control_frame_is_measured_alone) {
    const ReaderLimits limits{4, UINT32_MAX, UINT32_MAX, false};
    const ClientFrame close{.opcode = Opcode::close};
    assert_accepted(close, 4, progress(4, 1, 0), limits);
    assert_refused(client_header(close, 5), 2, CloseCode::too_big, kNoMessage, limits);
    for (const Opcode opcode : {Opcode::ping, Opcode::pong}) {
        assert_accepted({.opcode = opcode}, 125, progress(4, 1, 0), limits);
        assert_refused(client_header({.opcode = opcode}, 126), 2, CloseCode::protocol_error,
                       kNoMessage, limits);
    }
}
END_TEST

START_TEST(refuses_one_fragment_too_many) {
    const ReaderLimits limits{1000, 3, UINT32_MAX, false};
    const ClientFrame next{.opcode = Opcode::continuation, .fin = false};
    const ClientFrame last{.opcode = Opcode::continuation};
    assert_accepted({.fin = false}, 1, kNoMessage, limits);
    assert_accepted(next, 1, progress(2, 2, 0), limits);
    assert_accepted(last, 1, progress(2, 2, 0), limits);
    assert_refused(client_header(next, 1), 2, CloseCode::policy_violation, progress(3, 3, 0),
                   limits);
    assert_refused(client_header(last, 1), 2, CloseCode::policy_violation, progress(3, 3, 0),
                   limits);
    assert_accepted({.opcode = Opcode::ping}, 1, progress(3, 3, 0), limits);
}
END_TEST

START_TEST(refuses_one_empty_fragment_too_many) {
    const ReaderLimits limits{1000, 1000, 2, false};
    const ClientFrame next{.opcode = Opcode::continuation, .fin = false};
    const ClientFrame last{.opcode = Opcode::continuation};
    assert_accepted(next, 0, progress(5, 4, 1), limits);
    assert_accepted(next, 1, progress(5, 5, 2), limits);
    assert_refused(client_header(next, 0), 2, CloseCode::policy_violation, progress(5, 5, 2),
                   limits);
    assert_refused(client_header(last, 0), 2, CloseCode::policy_violation, progress(5, 5, 2),
                   limits);
    const ReaderLimits none{1000, 1000, 0, false};
    assert_refused(client_header({.fin = false}, 0), 2, CloseCode::policy_violation, kNoMessage,
                   none);
}
END_TEST

START_TEST(an_unfragmented_message_is_no_fragment) {
    const ReaderLimits limits{1000, 0, 0, false};
    assert_accepted({}, 0, kNoMessage, limits);
    assert_accepted({}, 1, kNoMessage, limits);
    assert_accepted({.opcode = Opcode::ping}, 0, kNoMessage, limits);
}
END_TEST

START_TEST(any_bytes_are_judged_the_same_early_and_late) {
    websocket::test::Random random(11);
    for (int round = 0; round < 200000; ++round) {
        std::string bytes = random.bytes(14);
        if (!random.one_in(4)) bytes[0] = static_cast<char>(bytes[0] & 0x8F);
        if (!random.one_in(4)) bytes[1] = static_cast<char>(bytes[1] | 0x80);
        const MessageProgress& message = random.one_in(2) ? kNoMessage : kOpenMessage;
        const HeaderResult whole = decode(bytes, message);
        require(whole.status != HeaderStatus::incomplete, bytes);
        bool decided = false;
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            const HeaderResult part = decode(std::string_view(bytes).substr(0, size), message);
            require(!decided || part.status != HeaderStatus::incomplete, bytes);
            decided = part.status != HeaderStatus::incomplete;
            if (!decided) continue;
            require(part.status == whole.status, bytes);
            require(part.violation.code == whole.violation.code, bytes);
            require(part.violation.reason == whole.violation.reason, bytes);
            require(part.header.size == whole.header.size, bytes);
        }
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(frame_decoding) {
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, every_first_byte_is_judged_by_the_rules_of_the_rfc);
    tcase_add_test(tests, reads_every_length_in_its_own_encoding);
    tcase_add_test(tests, reads_the_mask_behind_every_length);
    tcase_add_test(tests, accepts_control_frames_between_fragments);
    tcase_add_test(tests, refuses_a_reserved_bit_at_once);
    tcase_add_test(tests, refuses_a_continuation_without_a_start);
    tcase_add_test(tests, refuses_a_new_message_inside_of_a_fragmented_one);
    tcase_add_test(tests, refuses_a_frame_without_a_mask);
    tcase_add_test(tests, refuses_a_long_or_fragmented_control_frame);
    tcase_add_test(tests, refuses_a_length_in_more_bytes_than_it_needs);
    tcase_add_test(tests, refuses_a_length_of_64_bits_with_its_first_byte);
    tcase_add_test(tests, the_size_limit_is_inclusive_and_does_not_wait_for_the_mask);
    tcase_add_test(tests, the_size_limit_holds_for_all_fragments_together);
    tcase_add_test(tests, fragments_cannot_overflow_the_size_limit);
    tcase_add_test(tests, a_control_frame_is_measured_alone);
    tcase_add_test(tests, refuses_one_fragment_too_many);
    tcase_add_test(tests, refuses_one_empty_fragment_too_many);
    tcase_add_test(tests, an_unfragmented_message_is_no_fragment);
    tcase_add_test(tests, any_bytes_are_judged_the_same_early_and_late);
}
