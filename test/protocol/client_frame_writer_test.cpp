// SPDX-License-Identifier: Apache-2.0
#include "protocol/client_frame_writer.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "failing_allocator.hpp"
#include "protocol/random.hpp"
#include "unit.hpp"

namespace {

using namespace websocket::protocol;
using websocket::base::ByteBuffer;
using websocket::test::bytes;

/// The bytes that `key` has changed, changed back one by one.
std::string unmasked(std::string_view bytes, std::string_view key) {
    std::string plain;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        plain += static_cast<char>(bytes[i] ^ key[i % 4]);
    return plain;
}

std::string written(ClientFrameWriter& writer, Opcode opcode, std::string_view payload,
                    bool fin = true, bool compressed = false) {
    ByteBuffer out;
    writer.append(out, opcode, bytes(payload), fin, compressed);
    return {out.bytes().begin(), out.bytes().end()};
}

}  // namespace

START_TEST(writes_a_masked_frame_in_the_fewest_bytes) {
    using namespace std::string_literals;
    ClientFrameWriter writer;
    websocket::test::Random random(77);
    for (const auto& [size, head] : std::map<std::size_t, std::string>{
             {0, "\x82\x80"s},
             {5, "\x82\x85"s},
             {125, "\x82\xFD"s},
             {126, "\x82\xFE\x00\x7E"s},
             {0xFFFF, "\x82\xFE\xFF\xFF"s},
             {0x10000, "\x82\xFF\x00\x00\x00\x00\x00\x01\x00\x00"s}}) {
        const std::string payload = random.bytes(size);
        const std::string frame = written(writer, Opcode::binary, payload);
        ck_assert_uint_eq(frame.size(), head.size() + 4 + size);
        ck_assert(frame.starts_with(head));
        ck_assert(unmasked(frame.substr(head.size() + 4), frame.substr(head.size(), 4)) == payload);
    }
}
END_TEST

START_TEST(marks_fragments_and_compressed_messages) {
    ClientFrameWriter writer;
    ck_assert_uint_eq(static_cast<unsigned char>(written(writer, Opcode::text, "a", false)[0]),
                      0x01);
    ck_assert_uint_eq(
        static_cast<unsigned char>(written(writer, Opcode::continuation, "b", true)[0]), 0x80);
    ck_assert_uint_eq(static_cast<unsigned char>(written(writer, Opcode::text, "c", true, true)[0]),
                      0xC1);
}
END_TEST

START_TEST(appends_behind_what_is_there) {
    ClientFrameWriter writer;
    ByteBuffer out;
    out.append(bytes("before"));
    writer.append(out, Opcode::text, bytes("Hello"));
    writer.append(out, Opcode::close, {});
    const std::string bytes(out.bytes().begin(), out.bytes().end());
    ck_assert_uint_eq(bytes.size(), 6 + 11 + 6);
    ck_assert(bytes.starts_with("before\x81\x85"));
    ck_assert(unmasked(bytes.substr(12, 5), bytes.substr(8, 4)) == "Hello");
    ck_assert(bytes.substr(17, 2) == "\x88\x80");
}
END_TEST

START_TEST(each_frame_has_a_key_of_its_own) {
    ClientFrameWriter writer;
    std::set<std::string> keys;
    std::array<std::set<char>, 4> values;
    constexpr std::size_t kFrames = 1000;  // several batches of keys
    for (std::size_t i = 0; i < kFrames; ++i) {
        const std::string key = written(writer, Opcode::ping, "").substr(2);
        ck_assert_uint_eq(key.size(), 4);
        keys.insert(key);
        for (std::size_t at = 0; at < 4; ++at) values.at(at).insert(key[at]);
    }
    // By chance two in 10,000 runs have one pair alike; none has three.
    ck_assert_uint_ge(keys.size(), kFrames - 2);
    for (const std::set<char>& seen : values) ck_assert_uint_gt(seen.size(), 150);

    MaskKeys one;
    MaskKeys other;
    ck_assert(one.next() != other.next() || one.next() != other.next());
}
END_TEST

START_TEST(running_out_of_memory_leaves_the_buffer_as_it_was) {
    ClientFrameWriter writer;
    const std::string payload(1000, 'x');
    ByteBuffer out;
    writer.append(out, Opcode::ping, {});  // OpenSSL has what it allocates once
    ck_assert_uint_ge(websocket::test::fail_each_allocation(
                          [&] {
                              out.reset();
                              writer.append(out, Opcode::text, bytes(payload));
                          },
                          [&](bool failed) { ck_assert(out.empty() == failed); }),
                      1);
}
END_TEST

WEBSOCKET_TEST_SUITE(client_frame_writer) {
    tcase_add_test(tests, writes_a_masked_frame_in_the_fewest_bytes);
    tcase_add_test(tests, marks_fragments_and_compressed_messages);
    tcase_add_test(tests, appends_behind_what_is_there);
    tcase_add_test(tests, each_frame_has_a_key_of_its_own);
    tcase_add_test(tests, running_out_of_memory_leaves_the_buffer_as_it_was);
}
