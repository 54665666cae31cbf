// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "engine/groups.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "engine/loop.hpp"
#include "engine/service.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::Channel;
using websocket::engine::Connection;
using websocket::engine::GroupId;
using websocket::engine::Groups;
using websocket::engine::Loop;

namespace {

/// Connections that nobody serves; a group does not look inside.
class Crowd {
public:
    explicit Crowd(std::size_t size) {
        for (std::size_t i = 0; i < size; ++i) members_.push_back(loop_.reserve<Connection>());
    }
    ~Crowd() {
        for (auto& member : members_) loop_.discard(std::move(member));
    }
    Crowd(const Crowd&) = delete;
    Crowd& operator=(const Crowd&) = delete;

    [[nodiscard]] Connection& operator[](std::size_t index) { return *members_.at(index); }

private:
    RecordingLog log_;
    Loop loop_{0, log_, [] {}};
    std::vector<std::unique_ptr<Connection>> members_;
};

std::multiset<std::uint32_t> visited(Groups& groups, GroupId id) {
    std::multiset<std::uint32_t> slots;
    groups.for_each(id, [&](const Channel& member) { slots.insert(member.id().slot()); });
    return slots;
}

std::multiset<std::uint32_t> slots_of(Crowd& crowd, std::initializer_list<std::size_t> indices) {
    std::multiset<std::uint32_t> slots;
    for (const std::size_t index : indices) slots.insert(crowd[index].id().slot());
    return slots;
}

}  // namespace

START_TEST(visits_each_member_of_that_group_once) {
    Crowd crowd(4);
    Groups groups;
    groups.join(7, crowd[0]);
    groups.join(7, crowd[1]);
    groups.join(7, crowd[1]);
    groups.join(8, crowd[1]);
    groups.join(8, crowd[2]);
    ck_assert(visited(groups, 7) == slots_of(crowd, {0, 1}));
    ck_assert(visited(groups, 8) == slots_of(crowd, {1, 2}));
    ck_assert(visited(groups, 9).empty());
}
END_TEST

START_TEST(who_has_left_is_not_visited) {
    Crowd crowd(3);
    Groups groups;
    for (std::size_t i = 0; i < 3; ++i) {
        groups.join(1, crowd[i]);
        groups.join(2, crowd[i]);
    }
    groups.leave(1, crowd[0].id());
    groups.leave(1, crowd[0].id());
    groups.leave(3, crowd[0].id());
    groups.leave_all(crowd[1].id());
    groups.leave_all(crowd[1].id());
    ck_assert(visited(groups, 1) == slots_of(crowd, {2}));
    ck_assert(visited(groups, 2) == slots_of(crowd, {0, 2}));
    groups.leave(1, crowd[2].id());
    ck_assert(visited(groups, 1).empty());
    groups.join(1, crowd[1]);
    ck_assert(visited(groups, 1) == slots_of(crowd, {1}));
}
END_TEST

START_TEST(a_member_may_leave_during_its_own_visit) {
    Crowd crowd(5);
    Groups groups;
    for (std::size_t i = 0; i < 5; ++i) groups.join(1, crowd[i]);
    std::multiset<std::uint32_t> seen;
    groups.for_each(1, [&](const Channel& member) {
        seen.insert(member.id().slot());
        groups.leave_all(member.id());
    });
    ck_assert(seen == slots_of(crowd, {0, 1, 2, 3, 4}));
    ck_assert(visited(groups, 1).empty());
}
END_TEST

START_TEST(any_order_of_joining_and_leaving_gives_what_a_set_gives) {
    constexpr std::size_t kCrowd = 20;
    constexpr GroupId kGroups = 6;
    Crowd crowd(kCrowd);
    Groups groups;
    std::vector<std::multiset<std::uint32_t>> expected(kGroups);
    std::mt19937 random(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same each time
    for (int round = 0; round < 20'000; ++round) {
        Connection& member = crowd[random() % kCrowd];
        const std::uint32_t slot = member.id().slot();
        const GroupId id = random() % kGroups;
        switch (random() % 8) {
            case 0:
                groups.leave_all(member.id());
                for (auto& group : expected) group.erase(slot);
                break;
            case 1:
            case 2:
            case 3:
                groups.leave(id, member.id());
                expected[id].erase(slot);
                break;
            default:
                groups.join(id, member);
                if (!expected[id].contains(slot)) expected[id].insert(slot);
                break;
        }
        ck_assert(visited(groups, id) == expected[id]);
    }
    for (GroupId id = 0; id < kGroups; ++id) ck_assert(visited(groups, id) == expected[id]);
}
END_TEST

START_TEST(joining_without_memory_changes_nothing) {
    Crowd crowd(2);
    std::size_t members = 0;
    std::unique_ptr<Groups> groups;
    const std::size_t failures = fail_each_allocation(
        [&] {
            {
                const FailingAllocator::Nested memory;
                groups = std::make_unique<Groups>();
                groups->join(1, crowd[0]);
            }
            groups->join(1, crowd[1]);
            groups->join(2, crowd[1]);
        },
        [&](bool failed) {
            members = visited(*groups, 1).size() + visited(*groups, 2).size();
            ck_assert_uint_le(members, 3);
            ck_assert(failed || members == 3);
            groups->leave_all(crowd[1].id());
            ck_assert(visited(*groups, 1) == slots_of(crowd, {0}));
            groups->leave_all(crowd[0].id());
            ck_assert(visited(*groups, 1).empty());
        });
    ck_assert_uint_gt(failures, 0);
}
END_TEST

WEBSOCKET_TEST_SUITE(groups) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, visits_each_member_of_that_group_once);
    tcase_add_test(tests, who_has_left_is_not_visited);
    tcase_add_test(tests, a_member_may_leave_during_its_own_visit);
    tcase_add_test(tests, any_order_of_joining_and_leaving_gives_what_a_set_gives);
    tcase_add_test(tests, joining_without_memory_changes_nothing);
}
