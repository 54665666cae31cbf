// SPDX-License-Identifier: Apache-2.0
// Compressed messages for a sink that wants messages in parts.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "protocol/deflate_receiver.hpp"
#include "protocol/message_text.hpp"
#include "protocol/zlib_client.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::protocol::CloseCode;
using websocket::protocol::MessageReader;
using websocket::protocol::MessageType;
using websocket::protocol::Next;
using websocket::protocol::ReaderLimits;
using websocket::protocol::Violation;

namespace {

/// Puts messages together again and insists on the order of their parts.
struct PartsSink {
    TestInflaters* source = nullptr;
    bool stops = false;  ///< after each part
    std::string open = {};
    bool inside = false;
    std::vector<std::string> messages = {};
    std::size_t largest = 0;
    std::uint16_t violated = 0;

    [[nodiscard]] websocket::protocol::InflaterSource* inflaters() const noexcept { return source; }
    [[nodiscard]] bool wants_parts() const noexcept { return true; }
    Next on_part(MessageType, std::span<std::uint8_t> payload, bool first, bool last) {
        require(first != inside, "a part out of order");
        inside = !last;
        open.append(payload.begin(), payload.end());
        largest = std::max(largest, payload.size());
        if (last) messages.push_back(std::exchange(open, {}));
        return stops ? Next::stop : Next::more;
    }
    Next on_message(MessageType type, std::span<std::uint8_t> payload,
                    websocket::base::ByteBuffer* /*owner*/) {
        return on_part(type, payload, true, true);
    }
    Next on_ping(std::span<const std::uint8_t>) { return Next::more; }
    Next on_pong(std::span<const std::uint8_t>) { return Next::more; }
    void on_close(std::uint16_t, std::string_view) {}
    void on_violation(const Violation& why) { violated = static_cast<std::uint16_t>(why.code); }
};

/// Feeds `bytes` in pieces of `step`, as a connection does with a sink that stops.
PartsSink read(std::string_view bytes, std::size_t step, const ReaderLimits& limits = {},
               bool stops = false) {
    TestInflaters source(true);
    PartsSink sink{.source = &source, .stops = stops};
    MessageReader reader;
    for (std::size_t at = 0; at < bytes.size() && sink.violated == 0; at += step) {
        const std::string_view piece = bytes.substr(at, step);
        std::vector<std::uint8_t> copy(piece.begin(), piece.end());
        std::size_t used = 0;
        while (used < copy.size() && sink.violated == 0) {
            used += reader.consume(std::span(copy).subspan(used), limits, sink);
        }
    }
    sink.source = nullptr;
    return sink;
}

}  // namespace

START_TEST(the_parts_are_those_of_the_inflated_message) {
    ZlibDeflate client;
    const std::vector<std::string> texts{json(20), json(60'000), "", json(400'000, 2), json(500)};
    std::string wire;
    for (const std::string& text : texts) {
        const std::string payload = client.message(text);
        const std::size_t half = payload.size() / 2;
        wire += compressed_frame(Opcode::text, payload.substr(0, half), false);
        wire += client_frame({.opcode = Opcode::ping, .payload = "p"});
        wire += client_frame({.opcode = Opcode::continuation, .payload = payload.substr(half)});
        wire += client_frame({.opcode = Opcode::text, .payload = "plain"});
    }
    for (const std::size_t step : {std::size_t{1}, std::size_t{1000}, wire.size()}) {
        for (const bool stops : {false, true}) {
            const PartsSink sink = read(wire, step, {}, stops);
            ck_assert_uint_eq(sink.violated, 0);
            ck_assert_uint_eq(sink.messages.size(), 2 * texts.size());
            for (std::size_t i = 0; i < texts.size(); ++i) {
                ck_assert(sink.messages[2 * i] == texts[i]);
                ck_assert(sink.messages[2 * i + 1] == "plain");
            }
        }
    }
}
END_TEST

START_TEST(a_part_never_is_much_larger_than_a_mebibyte) {
    ZlibDeflate client;
    const std::string zeroes(20U << 20, '\0');
    const std::string wire = compressed_frame(Opcode::binary, client.message(zeroes));
    const PartsSink sink = read(wire, wire.size(), {.max_inflate_ratio = 2000});
    ck_assert(sink.messages.size() == 1 && sink.messages[0] == zeroes);
    ck_assert_uint_le(sink.largest, (1U << 20) + (64U << 10));
}
END_TEST

START_TEST(the_limits_count_all_parts_together) {
    ZlibDeflate client;
    const std::string text = json(100'000);
    const std::string wire = compressed_frame(Opcode::text, client.message(text));
    ck_assert_uint_eq(read(wire, 1000, {.max_message_size = text.size()}).messages.size(), 1);
    const PartsSink above = read(wire, 1000, {.max_message_size = text.size() - 1});
    ck_assert(above.messages.empty());
    ck_assert_uint_eq(above.violated, static_cast<std::uint16_t>(CloseCode::too_big));
    const std::string zeroes(20U << 20, '\0');
    const std::string bomb = compressed_frame(Opcode::binary, ZlibDeflate().message(zeroes));
    const PartsSink squeezed = read(bomb, 1000);
    ck_assert(squeezed.messages.empty());
    ck_assert_uint_eq(squeezed.violated, static_cast<std::uint16_t>(CloseCode::too_big));
}
END_TEST

WEBSOCKET_TEST_SUITE(message_reader_deflate_parts) {
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, the_parts_are_those_of_the_inflated_message);
    tcase_add_test(tests, a_part_never_is_much_larger_than_a_mebibyte);
    tcase_add_test(tests, the_limits_count_all_parts_together);
}
