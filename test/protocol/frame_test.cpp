// SPDX-License-Identifier: Apache-2.0
#include "protocol/frame.hpp"

#include <algorithm>
#include <vector>

#include "unit.hpp"

namespace {

using namespace websocket::protocol;

using Bytes = std::vector<std::uint8_t>;

Bytes header(Opcode opcode, std::uint64_t length) {
    const EncodedHeader encoded(opcode, length);
    return {encoded.bytes().begin(), encoded.bytes().end()};
}

}  // namespace

START_TEST(lengths_are_written_in_the_fewest_bytes) {
    ck_assert(header(Opcode::text, 0) == (Bytes{0x81, 0}));
    ck_assert(header(Opcode::text, 1) == (Bytes{0x81, 1}));
    ck_assert(header(Opcode::text, 125) == (Bytes{0x81, 125}));
    ck_assert(header(Opcode::text, 126) == (Bytes{0x81, 126, 0, 126}));
    ck_assert(header(Opcode::text, 127) == (Bytes{0x81, 126, 0, 127}));
    ck_assert(header(Opcode::text, 0x1234) == (Bytes{0x81, 126, 0x12, 0x34}));
    ck_assert(header(Opcode::text, 0xFFFF) == (Bytes{0x81, 126, 0xFF, 0xFF}));
    ck_assert(header(Opcode::text, 0x10000) == (Bytes{0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}));
    ck_assert(header(Opcode::text, 0x123456789ABCDEF0) ==
              (Bytes{0x81, 127, 0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC, 0xDE, 0xF0}));
    ck_assert(header(Opcode::text, INT64_MAX) ==
              (Bytes{0x81, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}));
}
END_TEST

START_TEST(every_frame_is_final_unmasked_and_without_reserved_bits) {
    for (const Opcode opcode : {Opcode::continuation, Opcode::text, Opcode::binary, Opcode::close,
                                Opcode::ping, Opcode::pong}) {
        for (const std::uint64_t length : {0U, 125U, 126U, 0xFFFFU, 0x10000U}) {
            const Bytes bytes = header(opcode, length);
            ck_assert_uint_eq(bytes[0], 0x80U | static_cast<unsigned>(opcode));
            ck_assert_uint_eq(bytes[1] & kMaskBit, 0);
            ck_assert_uint_le(bytes.size(), kMaxUnmaskedHeader);
        }
    }
}
END_TEST

START_TEST(only_the_six_opcodes_of_the_rfc_are_known) {
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
        const bool expected =
            opcode == 0 || opcode == 1 || opcode == 2 || opcode == 8 || opcode == 9 || opcode == 10;
        ck_assert_msg(is_known(static_cast<std::uint8_t>(opcode)) == expected, "%u", opcode);
    }
}
END_TEST

START_TEST(close_ping_and_pong_are_the_control_frames) {
    static_assert(is_control(Opcode::close) && is_control(Opcode::ping) &&
                  is_control(Opcode::pong));
    static_assert(!is_control(Opcode::continuation) && !is_control(Opcode::text) &&
                  !is_control(Opcode::binary));
    // Headers of fixed frames can be made by the compiler.
    static_assert(EncodedHeader(Opcode::ping, 4).bytes().size() == 2);
    static_assert(EncodedHeader(Opcode::binary, 300).bytes()[3] == 300 - 256);
    ck_assert(is_control(Opcode::close));
}
END_TEST

START_TEST(a_masked_header_ends_with_its_key) {
    constexpr MaskKey kMask{0x37, 0xFA, 0x21, 0x3D};
    const auto masked = [&](std::uint64_t length, bool fin = true, bool compressed = false) {
        const EncodedHeader encoded(kMask, Opcode::binary, length, fin, compressed);
        return Bytes{encoded.bytes().begin(), encoded.bytes().end()};
    };
    ck_assert(masked(5) == (Bytes{0x82, 0x85, 0x37, 0xFA, 0x21, 0x3D}));
    ck_assert(masked(256) == (Bytes{0x82, 0xFE, 0x01, 0x00, 0x37, 0xFA, 0x21, 0x3D}));
    ck_assert(masked(65536) == (Bytes{0x82, 0xFF, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
                                      0x37, 0xFA, 0x21, 0x3D}));
    ck_assert_uint_eq(masked(65536).size(), kMaxMaskedHeader);
    ck_assert_uint_eq(masked(5, false)[0], 0x02);
    ck_assert_uint_eq(masked(5, true, true)[0], 0xC2);
    static_assert(EncodedHeader(kMask, Opcode::ping, 4).bytes().size() == 6);
}
END_TEST

WEBSOCKET_TEST_SUITE(frame) {
    tcase_add_test(tests, lengths_are_written_in_the_fewest_bytes);
    tcase_add_test(tests, every_frame_is_final_unmasked_and_without_reserved_bits);
    tcase_add_test(tests, only_the_six_opcodes_of_the_rfc_are_known);
    tcase_add_test(tests, close_ping_and_pong_are_the_control_frames);
    tcase_add_test(tests, a_masked_header_ends_with_its_key);
}
