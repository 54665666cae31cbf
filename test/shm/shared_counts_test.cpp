// SPDX-License-Identifier: Apache-2.0
#include "shm/shared_counts.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cinttypes>
#include <thread>
#include <vector>

#include "base/descriptor.hpp"
#include "unit.hpp"

using websocket::base::Descriptor;
using websocket::shm::CountKey;
using websocket::shm::SharedCounts;

namespace {

using Lease = SharedCounts::Lease;

constexpr CountKey kOne{1, 1};

/// A child process, forked before its parent has counted anything, that has taken `count` leases of kOne and holds them until it is killed.
class Holder {
public:
    Holder(SharedCounts& counts, unsigned count, std::uint32_t most) {
        std::array<int, 2> ready{};
        ck_assert_int_eq(::pipe(ready.data()), 0);
        pid_ = ::fork();
        ck_assert_int_ge(pid_, 0);
        if (pid_ == 0) {
            std::vector<Lease> leases;
            char granted = 0;
            for (unsigned i = 0; i < count; ++i) {
                if (auto lease = counts.take(kOne, most)) {
                    leases.push_back(std::move(*lease));
                    ++granted;
                }
            }
            if (::write(ready[1], &granted, 1) != 1) ::_exit(1);
            for (;;) ::pause();
        }
        const Descriptor read_end(ready[0]);
        const Descriptor write_end(ready[1]);
        ck_assert_int_eq(static_cast<int>(::read(ready[0], &granted_, 1)), 1);
    }
    ~Holder() { kill(); }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;

    [[nodiscard]] int granted() const { return granted_; }
    /// Returns the process's id.
    pid_t kill() {
        if (!killed_) {
            killed_ = true;
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        return pid_;
    }

private:
    pid_t pid_ = 0;
    char granted_ = 0;
    bool killed_ = false;
};

}  // namespace

START_TEST(as_many_as_allowed_are_granted_and_one_more_is_not) {
    SharedCounts counts(4);
    std::vector<Lease> leases;
    for (std::uint64_t i = 0; i < 3; ++i) {
        auto lease = counts.take(kOne, 3);
        ck_assert(lease && *lease);
        leases.push_back(std::move(*lease));
        ck_assert_uint_eq(counts.total(kOne), i + 1);
    }
    ck_assert(!counts.take(kOne, 3));
    ck_assert_uint_eq(counts.total(kOne), 3);
    leases.pop_back();
    ck_assert(counts.take(kOne, 3).has_value());
}
END_TEST

START_TEST(nothing_is_granted_where_nothing_is_allowed) {
    SharedCounts counts(4);
    ck_assert(!counts.take(kOne, 0));
    ck_assert_uint_eq(counts.total(kOne), 0);
}
END_TEST

START_TEST(what_differs_in_value_or_in_space_is_counted_apart) {
    for (int i = 0; i < 200; ++i) {  // each with a secret of its own
        SharedCounts counts(1, 64);
        auto one = counts.take({1, 1}, 1);
        auto two = counts.take({1, 2}, 1);
        auto three = counts.take({2, 1}, 1);
        ck_assert(one && two && three);
        ck_assert(!counts.take({1, 1}, 1) && !counts.take({1, 2}, 1) && !counts.take({2, 1}, 1));
    }
}
END_TEST

START_TEST(a_lease_that_moves_is_given_back_once) {
    SharedCounts counts(4);
    {
        Lease kept;
        {
            auto lease = counts.take(kOne, 9);
            kept = std::move(*lease);
            Lease moved(std::move(kept));
            kept = std::move(moved);
        }
        ck_assert_uint_eq(counts.total(kOne), 1);
    }
    ck_assert_uint_eq(counts.total(kOne), 0);
}
END_TEST

START_TEST(entries_vanish_when_nobody_holds_them) {
    SharedCounts counts(1, 64);
    for (std::uint64_t value = 0; value < 100'000; ++value) {
        const auto lease = counts.take({1, value}, 1);
        ck_assert(lease && *lease);
    }
}
END_TEST

START_TEST(a_table_takes_nearly_as_many_keys_as_it_has_entries) {
    SharedCounts counts(1, 1U << 14);
    std::vector<Lease> leases;
    const std::uint64_t keys = counts.entries() / 10 * 7;
    std::uint64_t uncounted = 0;  // the secret decides who shares places; now and then none is left
    for (std::uint64_t value = 0; value < keys; ++value) {
        auto lease = counts.take({1, value}, 1);
        ck_assert(lease.has_value());
        uncounted += *lease ? 0 : 1;
        leases.push_back(std::move(*lease));
    }
    ck_assert_msg(uncounted <= keys / 1000, "%" PRIu64 " of %" PRIu64 " keys", uncounted, keys);
}
END_TEST

START_TEST(what_a_full_table_cannot_count_is_let_in) {
    SharedCounts counts(1, 64);
    std::vector<Lease> leases;
    std::size_t uncounted = 0;
    for (std::uint64_t value = 0; value < 1'000; ++value) {
        auto lease = counts.take({1, value}, 1);
        ck_assert(lease.has_value());
        if (*lease) {
            leases.push_back(std::move(*lease));
        } else {
            ++uncounted;
        }
    }
    ck_assert_uint_le(leases.size(), 64);
    ck_assert_uint_eq(leases.size() + uncounted, 1'000);
    leases.clear();
    for (std::uint64_t value = 0; value < 1'000; ++value) {
        ck_assert_uint_eq(counts.total({1, value}), 0);
    }
}
END_TEST

START_TEST(the_processes_of_a_server_are_counted_together) {
    SharedCounts counts(4);
    const Holder first(counts, 3, 5);
    const Holder second(counts, 3, 5);
    ck_assert_int_eq(first.granted(), 3);
    ck_assert_int_eq(second.granted(), 2);
    ck_assert_uint_eq(counts.total(kOne), 5);
    ck_assert(!counts.take(kOne, 5));
}
END_TEST

START_TEST(what_a_killed_process_had_is_given_back) {
    SharedCounts counts(2);
    const Holder survivor(counts, 1, 9);
    for (int i = 0; i < 5; ++i) {  // more than there are tables: they are used again
        Holder holder(counts, 3, 9);
        ck_assert_uint_eq(counts.total(kOne), 4);
        const pid_t gone = holder.kill();
        ck_assert_uint_eq(counts.total(kOne), 4);
        counts.tables().reap(gone);
        ck_assert_uint_eq(counts.total(kOne), 1);
    }
    counts.tables().reap(::getpid());  // has counted nothing
    ck_assert_uint_eq(counts.total(kOne), 1);
}
END_TEST

START_TEST(processes_that_ended_unnoticed_can_be_found) {
    SharedCounts counts(4);
    const Holder survivor(counts, 1, 9);
    Holder holder(counts, 3, 9);
    holder.kill();
    ck_assert_uint_eq(counts.total(kOne), 4);
    counts.tables().reap_ended();
    ck_assert_uint_eq(counts.total(kOne), 1);
}
END_TEST

START_TEST(a_process_without_a_table_counts_alone) {
    SharedCounts counts(1);
    const Holder other(counts, 2, 3);
    ck_assert_int_eq(other.granted(), 2);
    std::vector<Lease> own;
    while (auto lease = counts.take(kOne, 3)) own.push_back(std::move(*lease));
    ck_assert_uint_eq(own.size(), 3);
    ck_assert(!counts.tables().shares());
}
END_TEST

START_TEST(threads_never_get_more_than_is_allowed_together) {
    constexpr std::uint32_t kMax = 10;
    SharedCounts counts(1, 64);
    std::atomic<unsigned> held{0};
    std::atomic<unsigned> granted{0};
    std::atomic<bool> exceeded{false};
    std::vector<std::thread> threads;
    for (std::uint64_t n = 0; n < 4; ++n) {
        threads.emplace_back([&, n] {
            for (int i = 0; i < 20'000; ++i) {
                std::vector<Lease> leases;
                for (int k = 0; k < 4; ++k) {
                    if (auto lease = counts.take(kOne, kMax)) {
                        leases.push_back(std::move(*lease));
                        if (held.fetch_add(1) >= kMax) exceeded = true;
                        ++granted;
                    }
                    const auto other = counts.take({2, n}, 4);  // others use the same bucket
                }
                held.fetch_sub(static_cast<unsigned>(leases.size()));
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    ck_assert(!exceeded);
    ck_assert_uint_gt(granted, 0);
    ck_assert_uint_eq(counts.total(kOne), 0);
}
END_TEST

START_TEST(the_memory_is_shared_out_among_many_processes) {
    const SharedCounts few(16);
    ck_assert_uint_eq(few.entries(), SharedCounts::kMaxEntries);
    const SharedCounts many(1024);
    ck_assert_uint_eq(many.entries() * sizeof(std::uint64_t) * 1024, SharedCounts::kMemory);
    const SharedCounts very_many(40'000);
    ck_assert_uint_eq(very_many.entries(), SharedCounts::kMinEntries);
}
END_TEST

WEBSOCKET_TEST_SUITE(shared_counts) {
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, as_many_as_allowed_are_granted_and_one_more_is_not);
    tcase_add_test(tests, nothing_is_granted_where_nothing_is_allowed);
    tcase_add_test(tests, what_differs_in_value_or_in_space_is_counted_apart);
    tcase_add_test(tests, a_lease_that_moves_is_given_back_once);
    tcase_add_test(tests, entries_vanish_when_nobody_holds_them);
    tcase_add_test(tests, a_table_takes_nearly_as_many_keys_as_it_has_entries);
    tcase_add_test(tests, what_a_full_table_cannot_count_is_let_in);
    tcase_add_test(tests, the_processes_of_a_server_are_counted_together);
    tcase_add_test(tests, what_a_killed_process_had_is_given_back);
    tcase_add_test(tests, processes_that_ended_unnoticed_can_be_found);
    tcase_add_test(tests, a_process_without_a_table_counts_alone);
    tcase_add_test(tests, threads_never_get_more_than_is_allowed_together);
    tcase_add_test(tests, the_memory_is_shared_out_among_many_processes);
}
