// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "hub/leaders.hpp"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "unit.hpp"

using websocket::base::HashKey;
using websocket::base::Log;
using websocket::base::LogLevel;
using websocket::hub::Leaders;
using websocket::hub::Leadership;

namespace {

constexpr HashKey kKey{1, 2};
const int kOne = 0;  // candidates are told apart by their address
const int kOther = 0;

struct SilentLog final : Log {
    void write(LogLevel /*level*/, std::string_view /*line*/) noexcept override {}
};

/// A child process that asks when it is told to.
class Asker {
public:
    explicit Asker(int file) {
        std::array<int, 2> ends{};
        ck_assert_int_eq(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
        process_ = ::fork();
        if (process_ == 0) {
            ::close(ends[0]);
            serve(file, ends[1]);
        }
        ::close(ends[1]);
        control_ = ends[0];
    }
    Asker(const Asker&) = delete;
    Asker& operator=(const Asker&) = delete;
    ~Asker() {
        ::close(control_);  // the process ends then
        if (process_ > 0) static_cast<void>(::waitpid(process_, nullptr, 0));
    }

    [[nodiscard]] bool leads() { return ask('l') == 'y'; }
    void resign() { ask('r'); }
    void drain() { ask('d'); }
    void kill() {
        ::kill(process_, SIGKILL);
        ck_assert_int_eq(::waitpid(process_, nullptr, 0), process_);
        process_ = 0;
    }

private:
    char ask(char what) {
        char answer = 0;
        ck_assert_int_eq(::write(control_, &what, 1), 1);
        ck_assert_int_eq(::read(control_, &answer, 1), 1);
        return answer;
    }
    [[noreturn]] static void serve(int file, int control) {
        SilentLog log;
        Leaders leaders(file, kKey, log);
        char what = 0;
        while (::read(control, &what, 1) == 1) {
            char answer = 'n';
            if (what == 'l' && leaders.lead("s", "name", &kOne) == Leadership::leads) answer = 'y';
            if (what == 'r') leaders.resign("s", "name", &kOne);
            if (what == 'd') leaders.begin_drain();
            if (::write(control, &answer, 1) != 1) break;
        }
        ::_exit(0);
    }

    pid_t process_ = 0;
    int control_ = -1;
};

}  // namespace

START_TEST(one_of_all_processes_leads) {
    const int file = Leaders::make_file();
    Asker first(file);
    Asker second(file);
    Asker third(file);
    ck_assert(second.leads());
    ck_assert(!first.leads() && !third.leads());
    ck_assert(second.leads());
    second.resign();
    ck_assert(third.leads());
    ck_assert(!first.leads() && !second.leads());
    second.resign();  // it does not lead
    ck_assert(third.leads());
}
END_TEST

START_TEST(the_next_that_asks_leads_when_the_leader_is_killed) {
    const int file = Leaders::make_file();
    Asker first(file);
    Asker second(file);
    ck_assert(first.leads() && !second.leads());
    first.kill();
    ck_assert(second.leads());
    Asker third(file);
    ck_assert(!third.leads());
}
END_TEST

START_TEST(a_process_that_drains_makes_way_for_one_that_does_not) {
    const int file = Leaders::make_file();
    Asker old(file);
    Asker other_old(file);
    ck_assert(old.leads());
    ck_assert(!other_old.leads());
    old.drain();
    other_old.drain();
    ck_assert(old.leads());  // nobody else is there who will stay
    ck_assert(!other_old.leads());
    Asker young(file);
    ck_assert(!young.leads());  // there are never two
    ck_assert(!old.leads());
    ck_assert(!other_old.leads());
    ck_assert(young.leads());
    ck_assert(!old.leads() && !other_old.leads());
    young.kill();
    ck_assert(other_old.leads());
    ck_assert(!old.leads());
}
END_TEST

START_TEST(one_that_waited_does_not_stand_in_the_way_when_it_is_gone) {
    const int file = Leaders::make_file();
    Asker old(file);
    Asker young(file);
    ck_assert(old.leads() && !young.leads());
    young.kill();
    old.drain();
    ck_assert(old.leads());
}
END_TEST

START_TEST(candidates_of_one_process_are_apart) {
    SilentLog log;
    Leaders leaders(Leaders::make_file(), kKey, log);
    ck_assert(leaders.lead("s", "a", &kOne) == Leadership::leads);
    ck_assert(leaders.lead("s", "a", &kOther) == Leadership::follows);
    ck_assert(leaders.lead("t", "a", &kOther) == Leadership::leads);
    ck_assert(leaders.lead("s", "b", &kOther) == Leadership::leads);
    leaders.resign_all(&kOther);
    ck_assert(leaders.lead("t", "a", &kOne) == Leadership::leads);
    ck_assert(leaders.lead("s", "a", &kOther) == Leadership::follows);
    leaders.resign_all(&kOne);
    ck_assert(leaders.lead("s", "a", &kOther) == Leadership::leads);
    ck_assert(leaders.lead("s", "", &kOther) == Leadership::bad_name);
    ck_assert(leaders.lead("s", std::string(256, 'x'), &kOther) == Leadership::bad_name);
}
END_TEST

START_TEST(names_are_not_led_without_end) {
    SilentLog log;
    Leaders leaders(Leaders::make_file(), kKey, log);
    for (std::size_t i = 0; i < Leaders::kMax; ++i) {
        ck_assert(leaders.lead("s", std::to_string(i), &kOne) == Leadership::leads);
    }
    ck_assert(leaders.lead("s", "one more", &kOne) == Leadership::follows);
    leaders.resign("s", "0", &kOne);
    ck_assert(leaders.lead("s", "one more", &kOne) == Leadership::leads);
}
END_TEST

WEBSOCKET_TEST_SUITE(leaders) {
    tcase_add_test(tests, one_of_all_processes_leads);
    tcase_add_test(tests, the_next_that_asks_leads_when_the_leader_is_killed);
    tcase_add_test(tests, a_process_that_drains_makes_way_for_one_that_does_not);
    tcase_add_test(tests, one_that_waited_does_not_stand_in_the_way_when_it_is_gone);
    tcase_add_test(tests, candidates_of_one_process_are_apart);
    tcase_add_test(tests, names_are_not_led_without_end);
}
