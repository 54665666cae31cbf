// SPDX-License-Identifier: Apache-2.0
#include "protocol/frame_follower.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "protocol/client_frame.hpp"
#include "protocol/random.hpp"
#include "unit.hpp"

namespace {

using namespace websocket::protocol;
using websocket::test::bytes;
using websocket::test::client_frame;
using websocket::test::client_header;
using FromClient = FrameFollower<Role::server>;
using FromServer = FrameFollower<Role::client>;

constexpr ReaderLimits kUnlimited{UINT64_MAX, UINT32_MAX, UINT32_MAX};

/// What was found, in order: H for a header, p for payload, C for a control frame, ! for a violation.
template <class Follower>
std::string follow(Follower& follower, std::string_view stream, std::size_t portion,
                   const ReaderLimits& limits = kUnlimited) {
    std::string found;
    std::string rest;
    while (!stream.empty()) {
        rest += stream.substr(0, portion);
        stream.remove_prefix(std::min(portion, stream.size()));
        for (;;) {
            const FollowedPiece piece = follower.next(bytes(rest), limits);
            if (piece.kind == Piece::incomplete) {
                ck_assert_uint_le(rest.size(), Follower::kMaxIncomplete);
                break;
            }
            const char kind = piece.kind == Piece::header    ? 'H'
                              : piece.kind == Piece::payload ? 'p'
                              : piece.kind == Piece::control ? 'C'
                                                             : '!';
            if (kind != 'p' || !found.ends_with('p')) found += kind;
            if (kind == '!') return found;
            rest.erase(0, piece.size);
        }
    }
    ck_assert_uint_eq(rest.size(), 0);
    return found;
}

std::string masked(Opcode opcode, std::string_view payload, bool fin = true, std::uint8_t rsv = 0) {
    return client_frame({.opcode = opcode, .payload = payload, .fin = fin, .rsv = rsv});
}

std::string plain(Opcode opcode, std::string_view payload, bool fin = true) {
    return client_frame({.opcode = opcode, .payload = payload, .fin = fin, .masked = false});
}

}  // namespace

START_TEST(frames_are_found_in_any_portions) {
    const std::string stream = masked(Opcode::text, "hello") + masked(Opcode::ping, "p") +
                               masked(Opcode::binary, std::string(200, 'b'), false) +
                               masked(Opcode::pong, std::string(125, 'q')) +
                               masked(Opcode::continuation, std::string(70'000, 'c')) +
                               masked(Opcode::text, "") + masked(Opcode::close, "");
    for (const std::size_t portion : {std::size_t{1}, std::size_t{2}, std::size_t{7},
                                      std::size_t{131}, std::size_t{4096}, stream.size()}) {
        FromClient follower(false);
        ck_assert(follow(follower, stream, portion) == "HpCHpCHpHC");
        ck_assert(follower.at_boundary());
    }
}
END_TEST

START_TEST(a_boundary_is_between_frames_only) {
    FromServer follower(false);
    ck_assert(follower.at_boundary());
    const std::string frame = plain(Opcode::text, "hello");
    ck_assert(follower.next(bytes(frame.substr(0, 1)), kUnlimited).kind == Piece::incomplete);
    ck_assert(follower.at_boundary());
    ck_assert_uint_eq(follower.next(bytes(frame), kUnlimited).size, 2);
    ck_assert(!follower.at_boundary());
    ck_assert_uint_eq(follower.next(bytes("hel"), kUnlimited).size, 3);
    ck_assert(!follower.at_boundary());
    ck_assert_uint_eq(follower.next(bytes("lo and more"), kUnlimited).size, 2);
    ck_assert(follower.at_boundary());
}
END_TEST

START_TEST(a_control_frame_is_told_when_it_is_whole) {
    FromServer follower(false);
    const std::string ping = plain(Opcode::ping, std::string(125, 'x'));
    for (std::size_t size = 0; size < ping.size(); ++size) {
        ck_assert(follower.next(bytes(ping.substr(0, size)), kUnlimited).kind == Piece::incomplete);
    }
    const FollowedPiece piece = follower.next(bytes(ping + "more"), kUnlimited);
    ck_assert(piece.kind == Piece::control);
    ck_assert(piece.frame.opcode == Opcode::ping);
    ck_assert_uint_eq(piece.size, ping.size());
}
END_TEST

START_TEST(what_breaks_the_protocol_is_found) {
    const std::vector<std::string> wrong{
        plain(Opcode::text, "not masked"),
        masked(static_cast<Opcode>(3), "no such frame"),
        masked(Opcode::continuation, "of nothing"),
        masked(Opcode::text, "one", false) + masked(Opcode::text, "two"),
        masked(Opcode::ping, "in parts", false),
        masked(Opcode::text, "compressed", true, 4),
        client_header({.opcode = Opcode::ping}, 126),
    };
    for (const std::string& stream : wrong) {
        FromClient follower(false);
        ck_assert(follow(follower, stream, stream.size()).ends_with('!'));
    }
    FromServer follower(false);
    ck_assert(follow(follower, masked(Opcode::text, "masked"), 100) == "!");
}
END_TEST

START_TEST(limits_are_those_of_whole_messages) {
    const ReaderLimits limits{10, 3, 1};
    const auto code_of = [&](std::string_view stream, bool compressible = false) {
        FromClient follower(compressible);
        for (;;) {
            const FollowedPiece piece = follower.next(bytes(stream), limits);
            if (piece.kind == Piece::violation) return static_cast<int>(piece.violation.code);
            if (piece.kind == Piece::incomplete) return 0;
            stream.remove_prefix(piece.size);
        }
    };
    const std::string ten(10, 'x');
    ck_assert_int_eq(code_of(masked(Opcode::text, ten) + masked(Opcode::text, ten)), 0);
    ck_assert_int_eq(code_of(masked(Opcode::text, ten + "x")), 1009);
    ck_assert_int_eq(code_of(client_header({}, INT64_MAX)), 1009);
    ck_assert_int_eq(code_of(masked(Opcode::text, ten, false) + masked(Opcode::continuation, "x")),
                     1009);
    const std::string part = masked(Opcode::continuation, "x", false);
    ck_assert_int_eq(code_of(masked(Opcode::text, "x", false) + part + part), 0);
    ck_assert_int_eq(code_of(masked(Opcode::text, "x", false) + part + part + part), 1008);
    const std::string empty = masked(Opcode::continuation, "", false);
    ck_assert_int_eq(code_of(masked(Opcode::text, "", false) + empty), 1008);
    // A compressed message is as large as it is on the wire.
    ck_assert_int_eq(code_of(masked(Opcode::text, ten, true, 4), true), 0);
    ck_assert_int_eq(code_of(masked(Opcode::text, ten + "x", true, 4), true), 1009);
    ck_assert_int_eq(
        code_of(masked(Opcode::text, ten, false, 4) + masked(Opcode::continuation, "x"), true),
        1009);
}
END_TEST

WEBSOCKET_TEST_SUITE(frame_follower) {
    tcase_add_test(tests, frames_are_found_in_any_portions);
    tcase_add_test(tests, a_boundary_is_between_frames_only);
    tcase_add_test(tests, a_control_frame_is_told_when_it_is_whole);
    tcase_add_test(tests, what_breaks_the_protocol_is_found);
    tcase_add_test(tests, limits_are_those_of_whole_messages);
}
