// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "shm/owner.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <initializer_list>

#include "unit.hpp"

using websocket::shm::Owner;

namespace {

constexpr pid_t kGreatest = (1 << 22) - 1;  // that Linux has

/// That of a process that has ended.
Owner ended() {
    std::array<int, 2> pipe{};
    ck_assert_int_eq(::pipe(pipe.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const Owner::Word word = Owner::self().word();
        ::_exit(::write(pipe[1], &word, sizeof word) == sizeof word ? 0 : 1);
    }
    Owner::Word word = 0;
    ck_assert_int_eq(static_cast<int>(::read(pipe[0], &word, sizeof word)), sizeof word);
    ck_assert_int_eq(::waitpid(child, nullptr, 0), child);
    for (const int end : pipe) ::close(end);
    return Owner(word);
}

}  // namespace

START_TEST(a_slot_is_free_claimed_reaped_or_kept) {
    constexpr Owner kFree;
    static_assert(kFree.is_free() && !kFree.is_claimed() && !kFree.is_kept());
    for (const pid_t process : {pid_t{1}, kGreatest}) {
        const Owner who(process, UINT64_MAX);
        const Owner claimed = kFree.claimed_by(who);
        ck_assert(claimed.is_claimed() && !claimed.is_free() && !claimed.is_kept());
        ck_assert_int_eq(claimed.process(), process);
        const Owner reaped = claimed.reaped_by(Owner(2, 3));
        ck_assert(!reaped.is_claimed() && !reaped.is_free() && !reaped.is_kept());
        ck_assert_int_eq(reaped.process(), 2);
        const Owner kept = claimed.kept();
        ck_assert(kept.is_kept() && !kept.is_claimed() && !kept.is_free());
        ck_assert_int_eq(kept.process(), 0);
        ck_assert(claimed.freed().is_free() && reaped.freed().is_free());
    }
}
END_TEST

START_TEST(no_claim_of_a_slot_is_like_the_one_before) {
    Owner owner;
    for (int i = 0; i < 100'000; ++i) {  // more than are counted
        const Owner next = owner.freed().claimed_by(Owner::self());
        ck_assert(next != owner);
        ck_assert_int_eq(next.process(), ::getpid());
        owner = next;
    }
}
END_TEST

START_TEST(a_process_is_gone_when_it_has_ended) {
    ck_assert(ended().is_gone());
    ck_assert(!Owner::self().is_gone());
    ck_assert(!Owner(::getppid(), 0).is_gone());
    ck_assert(!Owner(1, 0).is_gone());
}
END_TEST

START_TEST(whoever_has_its_number_now_began_at_another_time) {
    const Owner self = Owner::self();
    ck_assert(self != Owner(::getpid(), 0));  // /proc tells
    ck_assert(Owner(::getpid(), 1).is_gone() || Owner(::getpid(), 2).is_gone());
    ck_assert(!Owner(::getpid(), 0).is_gone());  // one that could not tell when it began
    ck_assert(!self.freed().claimed_by(self).is_gone());
}
END_TEST

START_TEST(a_forked_process_is_another_one) {
    const Owner parent = Owner::self();
    const pid_t child = ::fork();
    if (child == 0) {
        const Owner self = Owner::self();
        ::_exit(self != parent && self.process() == ::getpid() && !parent.is_gone() ? 0 : 1);
    }
    int status = 0;
    ck_assert_int_eq(::waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

WEBSOCKET_TEST_SUITE(owner) {
    tcase_add_test(tests, a_slot_is_free_claimed_reaped_or_kept);
    tcase_add_test(tests, no_claim_of_a_slot_is_like_the_one_before);
    tcase_add_test(tests, a_process_is_gone_when_it_has_ended);
    tcase_add_test(tests, whoever_has_its_number_now_began_at_another_time);
    tcase_add_test(tests, a_forked_process_is_another_one);
}
