// SPDX-License-Identifier: Apache-2.0
#include "../../plugins/chat_kept_lines.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "sdk/remembering_host.hpp"
#include "unit.hpp"

using chat::KeptLines;
using websocket::Result;
using websocket::test::RememberingHost;

namespace {

/// A host on which so many lines were said in a room.
struct KeptRoom : RememberingHost {
    explicit KeptRoom(int lines) {
        for (int i = 1; i <= lines; ++i) say(i);
    }
    void say(int number) { messages.push_back(chat::line(std::to_string(number), "a", "\"x\"")); }
};

/// Takes `most` lines, of which the last one is queued, whenever it has read.
struct SlowReader {
    std::size_t most = 1000;
    std::vector<std::string> got = {};
    KeptLines::Reader reader = {};

    bool go_on(const KeptLines& lines, Result at_last = Result::queued) {
        std::size_t left = most;
        return lines.read("room", reader, [&](std::string_view text) {
            if (left == 0) return Result::full;
            got.push_back(chat::Line(text).id);
            return --left == 0 ? at_last : Result::ok;
        });
    }
    void assert_got(int first, int last) const {
        ck_assert_uint_eq(got.size(), static_cast<std::size_t>(last - first + 1));
        for (const std::string& id : got) ck_assert_int_eq(std::stoi(id), first++);
    }
};

}  // namespace

START_TEST(the_last_lines_come_in_order_and_what_is_none_does_not) {
    KeptRoom room(98);
    room.messages.emplace_back("from another program");
    room.say(100);
    const KeptLines lines(room.server, 50);
    SlowReader client;
    ck_assert(client.go_on(lines));
    client.got.insert(std::ranges::find(client.got, "100"), "99");
    client.assert_got(51, 100);
    ck_assert(client.go_on(lines));
    client.assert_got(51, 100);
}
END_TEST

START_TEST(who_reads_slowly_gets_each_line_once_and_those_alone_that_were_said_before_it_came) {
    for (const Result at_last : {Result::queued, Result::ok}) {
        KeptRoom room(100);
        const KeptLines lines(room.server, 50);
        SlowReader client{.most = 7};
        while (!client.go_on(lines, at_last)) room.say(1000);
        client.assert_got(51, 100);
    }
}
END_TEST

START_TEST(lines_are_read_in_pieces_from_where_the_client_is) {
    KeptRoom room(1000);
    const KeptLines lines(room.server, 1000);
    SlowReader client{.most = 1};
    for (int turn = 1; turn <= 20; ++turn) {
        const std::size_t before = room.messages_read();
        ck_assert(!client.go_on(lines));
        ck_assert_uint_le(room.messages_read() - before, 100);
    }
    client.assert_got(1, 20);
    client.most = 1000;
    room.reads.clear();
    ck_assert(client.go_on(lines));
    client.assert_got(1, 1000);
    ck_assert_uint_eq(room.messages_read(), 980);
    ck_assert_uint_le(std::ranges::max(room.reads), 100);
}
END_TEST

START_TEST(a_room_without_lines_has_none) {
    KeptRoom room(0);
    SlowReader client;
    ck_assert(client.go_on(KeptLines(room.server, 50)));
    ck_assert(client.got.empty());
}
END_TEST

WEBSOCKET_TEST_SUITE(chat_kept_lines) {
    tcase_add_test(tests, the_last_lines_come_in_order_and_what_is_none_does_not);
    tcase_add_test(
        tests, who_reads_slowly_gets_each_line_once_and_those_alone_that_were_said_before_it_came);
    tcase_add_test(tests, lines_are_read_in_pieces_from_where_the_client_is);
    tcase_add_test(tests, a_room_without_lines_has_none);
}
