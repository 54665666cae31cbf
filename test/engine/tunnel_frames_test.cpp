// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "engine/tunnel_frames.hpp"

#include <string>
#include <string_view>

#include "protocol/client_frame.hpp"
#include "protocol/frame_decoding.hpp"
#include "protocol/random.hpp"
#include "unit.hpp"

namespace {

using namespace websocket::engine;
using websocket::protocol::ClosePayload;
using websocket::protocol::decode_frame_header;
using websocket::protocol::Opcode;
using websocket::protocol::ReaderLimits;
using websocket::protocol::Role;
using websocket::test::bytes;
using websocket::test::client_frame;
using ToBackend = FrameStream<Role::server>;
using ToClient = FrameStream<Role::client>;

constexpr ReaderLimits kUnlimited{UINT64_MAX, UINT32_MAX, UINT32_MAX};

std::string text_of(std::span<const iovec> pieces) {
    std::string text;
    for (const iovec& piece : pieces) {
        text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    }
    return text;
}

/// What goes on when `more` comes.
template <class Stream>
std::string pass(Stream& stream, std::string_view more, const ReaderLimits& limits = kUnlimited) {
    std::string all(stream.held().begin(), stream.held().end());
    all += more;
    return text_of(stream.pass(bytes(all), limits).pieces);
}

std::string up(Opcode opcode, std::string_view payload, bool fin = true) {
    return client_frame({.opcode = opcode, .payload = payload, .fin = fin});
}
std::string down(Opcode opcode, std::string_view payload, bool fin = true) {
    return client_frame({.opcode = opcode, .payload = payload, .fin = fin, .masked = false});
}

const std::string kClose1001 = down(Opcode::close, std::string("\x03\xE9", 2) + "bye");

}  // namespace

START_TEST(what_is_passed_on_is_what_came) {
    const std::string all = up(Opcode::text, std::string(300, 'x')) + up(Opcode::ping, "p") +
                            up(Opcode::binary, "1", false) + up(Opcode::continuation, "2");
    for (std::size_t portion = 1; portion <= all.size(); ++portion) {
        ToBackend stream(false);
        std::string passed;
        for (std::string_view rest = all; !rest.empty();) {
            passed += pass(stream, rest.substr(0, portion));
            rest.remove_prefix(std::min(portion, rest.size()));
        }
        ck_assert(passed == all);
        ck_assert_uint_eq(stream.held().size(), 0);
    }
}
END_TEST

START_TEST(messages_and_control_frames_are_counted) {
    ToBackend stream(false);
    const std::string all = up(Opcode::text, "a") + up(Opcode::text, "b", false) +
                            up(Opcode::pong, "") + up(Opcode::continuation, "c", false) +
                            up(Opcode::continuation, "d") + up(Opcode::ping, "e");
    const PassedFrames passed = stream.pass(bytes(all), kUnlimited);
    ck_assert_uint_eq(passed.messages, 2);
    ck_assert_uint_eq(passed.fragments, 2);
    ck_assert_uint_eq(passed.controls, 2);
    ck_assert(!passed.violation);
}
END_TEST

START_TEST(nothing_follows_a_close) {
    ToBackend stream(false);
    const std::string close = up(Opcode::close, std::string("\x03\xE8", 2));
    ck_assert(pass(stream, close + up(Opcode::text, "late")) == close);
    ck_assert(stream.closed());
    ck_assert(stream.ended());
    ck_assert_uint_eq(stream.close_code().value_or(0), 1000);
    ck_assert(pass(stream, "anything").empty());
    ck_assert(stream.close(ClosePayload(1001, "bye")).empty());
}
END_TEST

START_TEST(a_close_without_a_code_says_so) {
    ToClient stream(false);
    ck_assert(pass(stream, down(Opcode::close, "")) == down(Opcode::close, ""));
    ck_assert_uint_eq(stream.close_code().value_or(0), 1005);
}
END_TEST

START_TEST(a_close_of_ours_goes_out_at_once_between_frames) {
    ToClient stream(false);
    ck_assert(pass(stream, down(Opcode::text, "whole")) == down(Opcode::text, "whole"));
    const auto frame = stream.close(ClosePayload(1001, "bye"));
    ck_assert(std::string(frame.begin(), frame.end()) == kClose1001);
    ck_assert(stream.closed());
    ck_assert(!stream.close_code());  // it came from nobody
    ck_assert(pass(stream, down(Opcode::text, "late")).empty());
}
END_TEST

START_TEST(a_close_of_ours_waits_for_the_end_of_a_frame) {
    const std::string frame = down(Opcode::text, "a longer one", false);
    for (std::size_t before = 2; before < frame.size(); ++before) {
        ToClient stream(false);
        std::string all = pass(stream, frame.substr(0, before));
        ck_assert(stream.close(ClosePayload(1001, "bye")).empty());
        ck_assert(!stream.ended());
        all += pass(stream, frame.substr(before) + down(Opcode::continuation, "late"));
        ck_assert(all == frame + kClose1001);
        ck_assert(stream.ended());
    }
}
END_TEST

START_TEST(a_close_to_a_backend_is_masked) {
    ToBackend stream(false);
    const auto frame = stream.close(ClosePayload(1009, "too big"));
    const auto header = decode_frame_header<Role::server>(frame, {}, kUnlimited);
    ck_assert(header.status == websocket::protocol::HeaderStatus::complete);
    std::string payload(frame.begin() + static_cast<std::ptrdiff_t>(header.header.size),
                        frame.end());
    websocket::protocol::mask({reinterpret_cast<std::uint8_t*>(payload.data()), payload.size()},
                              header.header.mask);
    ck_assert(payload == std::string("\x03\xF1", 2) + "too big");
}
END_TEST

START_TEST(one_pong_that_was_asked_for_is_not_passed_on) {
    ToBackend stream(false);
    stream.expect_pong(bytes("ping"));
    const std::string before = up(Opcode::text, "a");
    const std::string behind = up(Opcode::pong, "other") + up(Opcode::text, "b");
    ck_assert(pass(stream, before + up(Opcode::pong, "ping") + behind) == before + behind);
    ck_assert(pass(stream, up(Opcode::pong, "ping")) == up(Opcode::pong, "ping"));
}
END_TEST

START_TEST(what_comes_before_a_violation_is_passed_on_and_nothing_behind_it) {
    ToBackend stream(false);
    const std::string good = up(Opcode::text, "good");
    const std::string all = good + up(static_cast<Opcode>(5), "bad");
    const PassedFrames passed = stream.pass(bytes(all), kUnlimited);
    ck_assert(text_of(passed.pieces) == good);
    ck_assert(passed.violation.has_value());
    ck_assert_uint_eq(stream.held().size(), 0);
    ck_assert(!stream.close(ClosePayload(1002, "bad")).empty());
}
END_TEST

WEBSOCKET_TEST_SUITE(tunnel_frames) {
    tcase_add_test(tests, what_is_passed_on_is_what_came);
    tcase_add_test(tests, messages_and_control_frames_are_counted);
    tcase_add_test(tests, nothing_follows_a_close);
    tcase_add_test(tests, a_close_without_a_code_says_so);
    tcase_add_test(tests, a_close_of_ours_goes_out_at_once_between_frames);
    tcase_add_test(tests, a_close_of_ours_waits_for_the_end_of_a_frame);
    tcase_add_test(tests, a_close_to_a_backend_is_masked);
    tcase_add_test(tests, one_pong_that_was_asked_for_is_not_passed_on);
    tcase_add_test(tests, what_comes_before_a_violation_is_passed_on_and_nothing_behind_it);
}
