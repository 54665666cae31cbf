// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "engine/inbound.hpp"

#include <string>
#include <vector>

#include "engine/peer.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::base::ByteBuffer;
using websocket::engine::Inbound;
using websocket::protocol::MessageType;
using websocket::protocol::Next;
using websocket::protocol::ReaderLimits;

namespace {

/// Takes so many messages, then wants no more.
struct Taker {
    std::size_t most = SIZE_MAX;
    std::vector<std::string> messages = {};

    Next on_message(MessageType /*type*/, std::span<std::uint8_t> payload, ByteBuffer* /*owner*/) {
        messages.push_back(text_of(payload));
        return messages.size() < most ? Next::more : Next::stop;
    }
    static Next on_ping(std::span<const std::uint8_t> /*payload*/) { return Next::more; }
    static Next on_pong(std::span<const std::uint8_t> /*payload*/) { return Next::more; }
    static Next on_fragment() { return Next::more; }
    static void on_close(std::uint16_t /*code*/, std::string_view /*reason*/) {}
    static void on_violation(const websocket::protocol::Violation& violation) {
        ck_abort_msg("%s", violation.reason);
    }
};

std::span<std::uint8_t> writable(std::string& text) {
    return {reinterpret_cast<std::uint8_t*>(text.data()), text.size()};
}

constexpr ReaderLimits kLimits{.max_message_size = 1U << 24};

}  // namespace

START_TEST(what_is_not_wanted_now_is_handed_back_and_kept) {
    Inbound inbound;
    Taker taker{.most = 1};
    std::string input = masked(Opcode::text, "one") + masked(Opcode::text, "two");
    const auto rest = inbound.consume(writable(input), kLimits, taker);
    ck_assert_uint_eq(rest.size(), masked(Opcode::text, "two").size());
    ck_assert(!inbound.has_unread());
    inbound.keep(rest);
    ck_assert_uint_eq(inbound.unread(), rest.size());

    ByteBuffer kept = inbound.take_unread();
    ck_assert(!inbound.has_unread());
    taker.most = SIZE_MAX;
    ck_assert(inbound.consume(kept.bytes(), kLimits, taker).empty());
    ck_assert_uint_eq(taker.messages.size(), 2);
    ck_assert(taker.messages.back() == "two");
}
END_TEST

START_TEST(early_bytes_wait_until_somebody_reads) {
    Inbound inbound;
    ByteBuffer early;
    early.append(bytes(masked(Opcode::text, "early")));
    inbound.begin_with(std::move(early));
    ck_assert(inbound.has_unread());
    Taker taker;
    ByteBuffer kept = inbound.take_unread();
    ck_assert(inbound.consume(kept.bytes(), kLimits, taker).empty());
    ck_assert(taker.messages.front() == "early");
}
END_TEST

START_TEST(what_waits_may_be_dropped) {
    Inbound inbound;
    inbound.keep(bytes("anything"));
    inbound.drop_unread();
    ck_assert(!inbound.has_unread());
    ck_assert_uint_eq(inbound.unread(), 0);
}
END_TEST

START_TEST(a_long_frame_is_received_where_it_stays) {
    Inbound inbound;
    Taker taker;
    const std::string payload = Random(1).bytes(100'000);
    std::string input = masked(Opcode::binary, payload);
    ck_assert(inbound.window().empty());
    ck_assert(inbound.at_boundary());
    const std::size_t begun = 1000;
    ck_assert(inbound.consume(writable(input).first(begun), kLimits, taker).empty());
    ck_assert(!inbound.at_boundary());
    for (std::size_t done = begun; done < input.size();) {
        const auto window = inbound.window();
        if (window.empty()) {
            ck_assert(inbound.consume(writable(input).subspan(done), kLimits, taker).empty());
            break;
        }
        const std::size_t count = std::min(window.size(), input.size() - done);
        std::copy_n(input.begin() + static_cast<std::ptrdiff_t>(done), count, window.begin());
        inbound.consume_received(count, taker);
        done += count;
    }
    ck_assert_uint_eq(taker.messages.size(), 1);
    ck_assert(taker.messages.front() == payload);
    ck_assert(inbound.at_boundary());
}
END_TEST

WEBSOCKET_TEST_SUITE(inbound) {
    tcase_add_test(tests, what_is_not_wanted_now_is_handed_back_and_kept);
    tcase_add_test(tests, early_bytes_wait_until_somebody_reads);
    tcase_add_test(tests, what_waits_may_be_dropped);
    tcase_add_test(tests, a_long_frame_is_received_where_it_stays);
}
