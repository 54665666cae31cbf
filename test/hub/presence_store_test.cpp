// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "hub/presence_store.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "shm/killed_processes.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::hub::Member;
using websocket::hub::PresenceStore;
using websocket::hub::TopicKey;
using Entered = websocket::hub::PresenceStore::Result;

namespace {

TopicKey room(std::string_view name) { return TopicKey::make("s", name, {}).value(); }

class People {
public:
    PresenceStore store = PresenceStore::create(PresenceStore::kLeast, 8);

    std::string in(std::string_view name) {
        std::string all;
        const std::vector<Member> members = store.members(room(name)).value();
        for (const Member& one : members) {
            all += (all.empty() ? "" : " ") + one.id + '=' + one.info;
        }
        return all;
    }
};

void expect_members(const std::string& is, const std::string& wanted) {
    ck_assert_str_eq(is.c_str(), wanted.c_str());
}

}  // namespace

START_TEST(members_come_change_and_go) {
    People people;
    const auto self = people.store.claim().value();
    const std::uint64_t changes = people.store.changes();
    ck_assert(people.store.enter(room("tea"), self, "bob", "1") == Entered::ok);
    ck_assert(people.store.enter(room("tea"), self, "alice", std::string(4096, 'x')) ==
              Entered::ok);
    ck_assert(people.store.enter(room("tea"), self, "alice", "2") == Entered::ok);
    expect_members(people.in("tea"), "alice=2 bob=1");
    expect_members(people.in("coffee"), "");
    ck_assert(people.store.changes() != changes);
    people.store.leave(room("tea"), self, "alice");
    people.store.leave(room("tea"), self, "nobody");
    people.store.leave(room("coffee"), self, "bob");
    expect_members(people.in("tea"), "bob=1");
}
END_TEST

START_TEST(how_many_are_present_is_known) {
    People people;
    ck_assert_uint_eq(people.store.usage().value().bytes, 0);
    const auto one = people.store.claim().value();
    const auto other = people.store.claim().value();
    for (const auto& self : {one, other}) {
        ck_assert(people.store.enter(room("tea"), self, "bob", "") == Entered::ok);
    }
    ck_assert(people.store.enter(room("milk"), one, "alice", "") == Entered::ok);
    const PresenceStore::Usage usage = people.store.usage().value();
    ck_assert(usage.topics == 2 && usage.members == 3 && usage.bytes > 0);
    people.store.leave(room("milk"), one, "alice");
    ck_assert_uint_eq(people.store.usage().value().members, 2);
}
END_TEST

START_TEST(who_is_there_by_two_processes_leaves_with_the_last_one) {
    People people;
    const auto one = people.store.claim().value();
    const auto other = people.store.claim().value();
    ck_assert(people.store.enter(room("tea"), one, "bob", "1") == Entered::ok);
    ck_assert(people.store.enter(room("tea"), other, "bob", "2") == Entered::ok);
    expect_members(people.in("tea"), "bob=2");
    people.store.leave(room("tea"), other, "bob");
    expect_members(people.in("tea"), "bob=1");
}
END_TEST

START_TEST(members_of_a_killed_process_are_gone_when_it_is_reaped_and_so_is_their_memory) {
    People people;
    const auto self = people.store.claim().value();
    for (int round = 0; round < 20; ++round) {
        const pid_t child = killed_child([&] {
            const auto claim = people.store.claim().value();
            for (int i = 0; i < 12; ++i) {
                if (people.store.enter(room("tea"), claim, std::to_string(i),
                                       std::string(4000, 'x')) != Entered::ok) {
                    ::_exit(1);
                }
            }
        });
        people.store.reap(child);
        expect_members(people.in("tea"), "");
        ck_assert(people.store.enter(room("coffee"), self, "alice", "here") == Entered::ok);
    }
    expect_members(people.in("coffee"), "alice=here");
}
END_TEST

START_TEST(a_full_memory_takes_nobody_until_somebody_has_left) {
    People people;
    const auto self = people.store.claim().value();
    int count = 0;
    while (people.store.enter(room("tea"), self, std::to_string(count), std::string(1000, 'x')) ==
           Entered::ok)
        ++count;
    ck_assert_int_gt(count, 10);
    people.store.leave(room("tea"), self, "0");
    ck_assert(people.store.enter(room("tea"), self, "new", std::string(700, 'x')) == Entered::ok);
}
END_TEST

START_TEST(members_of_other_hosts_leave_room_for_the_own_ones) {
    People people;
    const auto self = people.store.claim().value();
    const PresenceStore::Time later = PresenceStore::Time::clock::now() + std::chrono::hours(1);
    const auto host = people.store.take_host(1, later).value();
    int others = 0;
    while (people.store.add(room("tea"), host, std::to_string(others), std::string(1000, 'x')) ==
           Entered::ok)
        ++others;
    ck_assert_int_gt(others, 10);
    ck_assert(people.store.enter(room("tea"), self, "own", std::string(4096, 'x')) == Entered::ok);
    ck_assert(people.store.add(room("tea"), host, "another", "") == Entered::full);
    people.store.end_host(host);
    for (int count = 0; count < others; ++count) {
        ck_assert(people.store.enter(room("coffee"), self, std::to_string(count),
                                     std::string(1000, 'x')) == Entered::ok);
    }
}
END_TEST

START_TEST(a_process_that_is_killed_at_any_instruction_leaves_members_that_are_whole) {
    int killed = 0;
    for (std::uint64_t instruction = 1;; instruction += 1 + instruction / 4) {
        People people;
        const auto self = people.store.claim().value();
        ck_assert(people.store.enter(room("tea"), self, "alice", "1") == Entered::ok);
        bool done = false;
        pid_t child = 0;
        {
            SteppedProcess process([&] {
                const auto claim = people.store.claim().value();
                static_cast<void>(
                    people.store.enter(room("tea"), claim, "bob", std::string(600, 'x')));
                static_cast<void>(people.store.enter(room("new"), claim, "bob", "2"));
                people.store.leave(room("tea"), claim, "bob");
            });
            child = process.pid();
            for (std::uint64_t i = 0; i < instruction && !done; ++i) done = !process.step();
        }
        people.store.reap(child);
        expect_members(people.in("tea"), "alice=1");
        expect_members(people.in("new"), "");
        people.store.leave(room("tea"), self, "alice");
        expect_members(people.in("tea"), "");
        int room_for = 0;
        while (people.store.enter(room("tea"), self, std::to_string(room_for), "") == Entered::ok)
            ++room_for;
        ck_assert_int_gt(room_for, 250);  // nothing has leaked
        ::munmap(people.store.memory(), people.store.bytes());
        if (done) break;
        ++killed;
    }
    ck_assert_int_gt(killed, 15);
}
END_TEST

WEBSOCKET_TEST_SUITE(presence_store) {
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, members_come_change_and_go);
    tcase_add_test(tests, how_many_are_present_is_known);
    tcase_add_test(tests, who_is_there_by_two_processes_leaves_with_the_last_one);
    tcase_add_test(tests,
                   members_of_a_killed_process_are_gone_when_it_is_reaped_and_so_is_their_memory);
    tcase_add_test(tests, a_full_memory_takes_nobody_until_somebody_has_left);
    tcase_add_test(tests, members_of_other_hosts_leave_room_for_the_own_ones);
    if (kStepsInstructions) {
        tcase_add_test(tests,
                       a_process_that_is_killed_at_any_instruction_leaves_members_that_are_whole);
    }
}
