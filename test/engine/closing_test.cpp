// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "engine/closing.hpp"

#include <string_view>

#include "unit.hpp"

using websocket::engine::CloseInfo;
using websocket::engine::Closing;
using websocket::engine::Ender;
using websocket::engine::Ending;
using websocket::protocol::CloseCode;
using State = Closing::State;

namespace {

constexpr std::uint16_t number(CloseCode code) { return static_cast<std::uint16_t>(code); }

constexpr CloseInfo kPeerClosed{1000, true, true};
constexpr CloseInfo kBroken{number(CloseCode::abnormal), false};

/// As the peer's Close with code 1000 ends the input.
void peer_closes(Closing& closing) { closing.end_input(CloseCode::normal, "", kPeerClosed); }

}  // namespace

START_TEST(an_open_connection_reads_and_says_nothing_of_an_end) {
    const Closing closing;
    ck_assert(closing.open());
    ck_assert(closing.reading());
    ck_assert(closing.in_session());
    ck_assert(!closing.close_queued());
    ck_assert(!closing.leaving());
    ck_assert(!closing.awaits_answer());
}
END_TEST

START_TEST(after_our_close_messages_come_in_until_the_peers) {
    Closing closing;
    closing.begin_close();
    ck_assert(closing.state() == State::closing);
    ck_assert(closing.reading());
    ck_assert(closing.close_queued());
    peer_closes(closing);
    const CloseInfo info = closing.finish(closing.info());
    ck_assert_uint_eq(info.code, 1000);
    ck_assert(info.by_peer);
    ck_assert(info.clean);
    ck_assert(!closing.in_session());
    ck_assert(!closing.reading());
    closing.linger();
    ck_assert(closing.state() == State::lingering);
    ck_assert(!closing.in_session());
}
END_TEST

START_TEST(nothing_is_read_while_the_session_handles_what_it_has) {
    Closing closing;
    peer_closes(closing);
    closing.await_session();
    ck_assert(closing.state() == State::ending);
    ck_assert(!closing.reading());
    ck_assert(closing.in_session());
}
END_TEST

START_TEST(leaving_waits_for_the_end_of_a_message_and_then_for_the_answer) {
    Closing closing;
    ck_assert(!closing.begin_leaving());  // nobody has asked for it
    ck_assert(closing.leave(CloseCode::service_restart, "connect again"));
    ck_assert(!closing.leave(CloseCode::going_away, "again"));
    ck_assert(closing.leaving());
    ck_assert(closing.reading());
    ck_assert(closing.begin_leaving());
    ck_assert(closing.awaits_answer());
    closing.await_answer();
    ck_assert(closing.state() == State::parting);
    ck_assert(closing.reading());
    ck_assert(closing.code() == CloseCode::service_restart);
    ck_assert(std::string_view(closing.reason()) == "connect again");
}
END_TEST

START_TEST(who_is_leaving_may_be_closed_by_the_peer_first) {
    Closing closing;
    ck_assert(closing.leave(CloseCode::service_restart, "connect again"));
    peer_closes(closing);
    closing.await_session();
    ck_assert(!closing.begin_leaving());
    ck_assert(closing.code() == CloseCode::normal);
}
END_TEST

START_TEST(what_was_said_in_leaving_is_what_the_session_hears) {
    Closing closing;
    ck_assert(closing.leave(CloseCode::service_restart, "connect again"));
    ck_assert(closing.begin_leaving());
    closing.end_input(closing.code(), closing.reason(),
                      {number(CloseCode::service_restart), false});
    closing.await_answer();
    closing.fail(CloseCode::internal_error, "too late");  // the Close is out: nothing to add
    ck_assert(closing.code() == CloseCode::service_restart);
    closing.answered();
    const CloseInfo info = closing.finish(kBroken);
    ck_assert_uint_eq(info.code, number(CloseCode::service_restart));
    ck_assert(info.clean);
    ck_assert(!info.by_peer);
}
END_TEST

START_TEST(a_failure_takes_the_place_of_every_other_end) {
    Closing closing;
    ck_assert(closing.leave(CloseCode::service_restart, "connect again"));
    ck_assert(closing.begin_leaving());
    closing.fail(CloseCode::internal_error, "plugin failed");
    ck_assert(!closing.awaits_answer());
    ck_assert(closing.code() == CloseCode::internal_error);
    ck_assert_uint_eq(closing.info().code, number(CloseCode::internal_error));
    ck_assert(!closing.info().by_peer);
}
END_TEST

START_TEST(old_versions_know_too_big_by_another_number) {
    Closing closing;
    ck_assert(closing.known_to_peer(CloseCode::too_big) == CloseCode::too_big);
    closing.set_hybi();
    ck_assert(closing.known_to_peer(CloseCode::too_big) == CloseCode::too_big_hybi);
    ck_assert(closing.known_to_peer(CloseCode::normal) == CloseCode::normal);
    closing.fail(CloseCode::too_big, "message too big");
    ck_assert(closing.code() == CloseCode::too_big_hybi);
    ck_assert_uint_eq(closing.info().code, number(CloseCode::too_big_hybi));
}
END_TEST

START_TEST(a_log_says_who_came_first) {
    Closing broken;
    ck_assert(broken.ending(kBroken).by == Ender::network);
    ck_assert_ptr_null(broken.ending(kBroken).reason);

    Closing closed_by_peer;
    peer_closes(closed_by_peer);
    ck_assert(closed_by_peer.ending(kPeerClosed).by == Ender::client);
    closed_by_peer.await_session();
    ck_assert(closed_by_peer.ending(kBroken).by == Ender::client);  // its Close was there before

    Closing closed_by_us;
    closed_by_us.begin_close();
    ck_assert(closed_by_us.ending(kBroken).by == Ender::server);

    Closing failed;
    failed.fail(CloseCode::policy_violation, "too many messages a second");
    const Ending ending = failed.ending(failed.info());
    ck_assert(ending.by == Ender::server);
    ck_assert_uint_eq(ending.code, 1008);
    ck_assert(std::string_view(ending.reason) == "too many messages a second");

    Closing parting;
    ck_assert(parting.leave(CloseCode::going_away, "server is stopping"));
    ck_assert(parting.begin_leaving());
    parting.end_input(parting.code(), parting.reason(), {1001, false});
    parting.await_answer();
    ck_assert_uint_eq(parting.ending(kBroken).code, 1001);  // whatever comes instead of the answer
}
END_TEST

WEBSOCKET_TEST_SUITE(closing) {
    tcase_add_test(tests, an_open_connection_reads_and_says_nothing_of_an_end);
    tcase_add_test(tests, after_our_close_messages_come_in_until_the_peers);
    tcase_add_test(tests, nothing_is_read_while_the_session_handles_what_it_has);
    tcase_add_test(tests, leaving_waits_for_the_end_of_a_message_and_then_for_the_answer);
    tcase_add_test(tests, who_is_leaving_may_be_closed_by_the_peer_first);
    tcase_add_test(tests, what_was_said_in_leaving_is_what_the_session_hears);
    tcase_add_test(tests, a_failure_takes_the_place_of_every_other_end);
    tcase_add_test(tests, old_versions_know_too_big_by_another_number);
    tcase_add_test(tests, a_log_says_who_came_first);
}
