// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "hub/host_leases.hpp"

#include <unistd.h>

#include <chrono>

#include "shm/killed_processes.hpp"
#include "shm/mapping.hpp"
#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::hub::HostLeases;
using websocket::test::killed_child;

namespace {

constexpr HostLeases::Time kLeaseNow{1000s};
constexpr HostLeases::Time kLeaseEnd{1015s};

struct LeaseTable {
    websocket::shm::Mapping memory{HostLeases::bytes()};
    HostLeases leases{static_cast<char*>(memory.data())};

    [[nodiscard]] bool lasts(const HostLeases::Claim& claim) const {
        return leases.lasts(claim.slot, claim.owner.word());
    }
};

}  // namespace

START_TEST(a_lease_lasts_until_its_time_and_is_then_another_one) {
    LeaseTable table;
    const auto claim = table.leases.take(7, kLeaseEnd).value();
    ck_assert(!table.leases.end_overdue(kLeaseNow));
    ck_assert(table.lasts(claim));
    ck_assert(table.leases.renew(claim, kLeaseEnd + 1s));
    ck_assert(!table.leases.end_overdue(kLeaseEnd + 1s));
    ck_assert(table.leases.end_overdue(kLeaseEnd + 2s));
    ck_assert(!table.lasts(claim));
    ck_assert(!table.leases.renew(claim, kLeaseEnd + 20s));
    const auto next = table.leases.take(7, kLeaseEnd + 20s).value();
    ck_assert(table.lasts(next) && !table.lasts(claim));
    ck_assert(!table.leases.end_overdue(kLeaseEnd + 2s));
}
END_TEST

START_TEST(another_bridge_goes_on_with_the_leases_of_one_that_was_killed) {
    LeaseTable table;
    killed_child([&] {
        if (!table.leases.take(7, kLeaseEnd) || !table.leases.take(8, kLeaseEnd)) ::_exit(1);
    });
    const auto seven = table.leases.take(7, kLeaseEnd).value();
    const auto eight = table.leases.take(8, kLeaseEnd).value();
    ck_assert_uint_ne(seven.slot, eight.slot);
    ck_assert_uint_lt(seven.slot + eight.slot, 2);  // no others
    table.leases.end(seven);
    ck_assert(!table.lasts(seven) && table.lasts(eight));
}
END_TEST

START_TEST(there_are_not_more_than_so_many_and_one_that_ends_makes_room) {
    LeaseTable table;
    for (std::uint64_t host = 1; host <= HostLeases::kMost; ++host) {
        ck_assert(table.leases.take(host, kLeaseEnd));
    }
    ck_assert(!table.leases.take(9999, kLeaseEnd));
    table.leases.end(*table.leases.take(5, kLeaseEnd));
    ck_assert(table.leases.take(9999, kLeaseEnd));
    ck_assert(!table.leases.take(5, kLeaseEnd));
}
END_TEST

START_TEST(a_bridge_that_is_killed_at_any_instruction_leaves_no_lease_for_ever) {
    bool done = false;
    for (std::uint64_t instruction = 1; !done; instruction += 1 + instruction / 8) {
        LeaseTable table;
        {
            websocket::test::SteppedProcess process([&] {
                const auto claim = table.leases.take(7, kLeaseEnd);
                if (claim) table.leases.end(*claim);
                static_cast<void>(table.leases.take(8, kLeaseEnd));
                static_cast<void>(table.leases.end_overdue(kLeaseEnd + 1s));
            });
            for (std::uint64_t i = 0; i < instruction && !done; ++i) done = !process.step();
        }
        static_cast<void>(table.leases.end_overdue(kLeaseEnd + 1s));
        for (std::uint64_t host = 1; host <= HostLeases::kMost; ++host) {
            ck_assert(table.leases.take(host, kLeaseEnd + 20s));
        }
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(host_leases) {
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_lease_lasts_until_its_time_and_is_then_another_one);
    tcase_add_test(tests, another_bridge_goes_on_with_the_leases_of_one_that_was_killed);
    tcase_add_test(tests, there_are_not_more_than_so_many_and_one_that_ends_makes_room);
    if (websocket::test::kStepsInstructions) {
        tcase_add_test(tests, a_bridge_that_is_killed_at_any_instruction_leaves_no_lease_for_ever);
    }
}
