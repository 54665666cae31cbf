// SPDX-License-Identifier: Apache-2.0
#include "httpd/takeover/relay.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <string>

#include "base/descriptor.hpp"
#include "engine/awaiting.hpp"
#include "unit.hpp"

using namespace websocket::test;
using namespace std::chrono_literals;
using websocket::base::Descriptor;
using websocket::httpd::ClientStream;
using websocket::httpd::Relay;
using websocket::httpd::RelayWatch;
using websocket::net::IoStatus;

namespace {

struct RelayedPair {
    Descriptor ours;
    Descriptor theirs;

    explicit RelayedPair(int buffer = 0) {
        std::array<int, 2> ends{};
        ck_assert_int_eq(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
        ours = Descriptor(ends[0]);
        theirs = Descriptor(ends[1]);
        for (const int end : ends) {
            if (buffer > 0) ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
        }
    }
};

constexpr int kPatienceMs = std::chrono::milliseconds(kPatience) / 1ms;

/// A client whose filters are a socket and a buffer. `socket` belongs to the pair of the test.
class FakeClient final : public ClientStream {
public:
    explicit FakeClient(int socket) : socket_(socket) {}

    Input input() noexcept override {
        if (input_fails) return {IoStatus::failed, {}};
        if (!filtered.empty()) return {IoStatus::done, bytes_of(filtered)};
        std::array<char, 5000> some;
        const ssize_t count = ::recv(socket_, some.data(), some.size(), MSG_DONTWAIT);
        if (count < 0) return {IoStatus::would_block, {}};
        if (count == 0) return {IoStatus::closed, {}};
        filtered.assign(some.data(), static_cast<std::size_t>(count));
        return {IoStatus::done, bytes_of(filtered)};
    }
    void consume(std::size_t bytes) noexcept override { filtered.erase(0, bytes); }
    bool output(std::span<const std::uint8_t> bytes) noexcept override {
        last_output = std::chrono::steady_clock::now();
        largest = std::max(largest, bytes.size());
        return !output_fails && ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                                    static_cast<ssize_t>(bytes.size());
    }
    void end_output() noexcept override {
        ++ends;
        pause_before_end = std::chrono::steady_clock::now() - last_output;
        ::shutdown(socket_, SHUT_WR);
    }
    int descriptor() const noexcept override { return socket_; }
    bool output_is_polled() const noexcept override { return polled; }
    bool end_keeps_distance() const noexcept override {
        end_is_known = true;
        return keeps_distance;
    }
    bool aborted() const noexcept override { return gone; }

    std::string filtered;  ///< what filters hold back
    bool polled = true;
    bool keeps_distance = false;
    mutable std::atomic<bool> end_is_known{false};  ///< that the engine sends no more
    std::atomic<bool> gone{false};
    std::atomic<bool> input_fails{false};
    std::atomic<bool> output_fails{false};
    std::atomic<int> ends{0};
    std::size_t largest = 0;
    std::chrono::steady_clock::time_point last_output;
    std::chrono::steady_clock::duration pause_before_end{};

private:
    static std::span<const std::uint8_t> bytes_of(const std::string& text) {
        return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
    }
    int socket_;
};

class FakeWatch final : public RelayWatch {
public:
    bool look() noexcept override {
        ++looks;
        ::eventfd_t rings = 0;
        ::eventfd_read(bell_.get(), &rings);
        return hurry;
    }
    int descriptor() const noexcept override { return bell_.get(); }
    void ring() const {
        const std::uint64_t one = 1;
        ck_assert_int_eq(::write(bell_.get(), &one, sizeof one), sizeof one);
    }

    std::atomic<int> looks{0};
    std::atomic<bool> hurry{false};

private:
    Descriptor bell_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
};

/// A relay on a thread of its own between the test's two ends. Its sockets are closed when it has
/// ended, as in a handler.
class Running {
public:
    explicit Running(int buffer = 0)
        : engine_(buffer), client_(buffer), stream(client_.ours.get()) {}

    void start(std::chrono::milliseconds patience = kPatience) {
        result_ = std::async(std::launch::async, [this, patience] {
            const bool ended = Relay(stream, engine_.ours.get(), watch, patience).run();
            engine_.ours = Descriptor();
            client_.ours = Descriptor();
            return ended;
        });
    }
    bool result() {
        ck_assert_msg(result_.wait_for(kPatience) == std::future_status::ready,
                      "the relay does not end");
        return result_.get();
    }
    [[nodiscard]] bool still_runs() const {
        return result_.wait_for(0s) != std::future_status::ready;
    }
    [[nodiscard]] int engine() const { return engine_.theirs.get(); }
    [[nodiscard]] int client() const { return client_.theirs.get(); }
    void close_engine() { engine_.theirs = Descriptor(); }
    void close_client() { client_.theirs = Descriptor(); }

private:
    RelayedPair engine_;
    RelayedPair client_;
    std::future<bool> result_;

public:
    FakeClient stream;
    FakeWatch watch;
};

void send(int socket, std::string_view text) {
    ck_assert_int_eq(::send(socket, text.data(), text.size(), MSG_NOSIGNAL),
                     static_cast<ssize_t>(text.size()));
}

void expect(int socket, std::string_view text) {
    std::string got(text.size(), '\0');
    for (std::size_t at = 0; at < got.size();) {
        pollfd poll{socket, POLLIN, 0};
        ck_assert_msg(::poll(&poll, 1, kPatienceMs) == 1, "nothing comes");
        const ssize_t count = ::recv(socket, got.data() + at, got.size() - at, 0);
        ck_assert_msg(count > 0, "the end came after %zu bytes", at);
        at += static_cast<std::size_t>(count);
    }
    ck_assert(got == text);
}

void expect_end(int socket) {
    pollfd poll{socket, POLLIN, 0};
    ck_assert_int_eq(::poll(&poll, 1, kPatienceMs), 1);
    char one = 0;
    ck_assert_int_eq(::recv(socket, &one, 1, 0), 0);
}

void expect_nothing(int socket, int events, std::chrono::milliseconds time) {
    pollfd poll{socket, static_cast<short>(events), 0};
    ck_assert_int_eq(::poll(&poll, 1, static_cast<int>(time.count())), 0);
}

/// Sends until nothing has been taken for a while.
std::size_t fill(int socket) {
    const std::string some(4096, 'x');
    std::size_t taken = 0;
    pollfd poll{socket, POLLOUT, 0};
    while (::poll(&poll, 1, 200) == 1) {
        const ssize_t count = ::send(socket, some.data(), some.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN) break;  // the relay is gone
        taken += count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    return taken;
}

/// The socket's buffers on both sides of the relay, its own portion, and the kernel's overhead.
constexpr std::size_t kMaxHeld = 600'000;

}  // namespace

START_TEST(carries_bytes_both_ways) {
    Running relay;
    relay.start();
    send(relay.client(), "to the engine");
    expect(relay.engine(), "to the engine");
    send(relay.engine(), "to the client");
    expect(relay.client(), "to the client");
    ck_assert(relay.still_runs());
    relay.close_engine();
    ck_assert(relay.result());
}
END_TEST

START_TEST(carries_what_filters_hold_before_it_waits) {
    Running relay;
    relay.stream.filtered = std::string(300'000, 'f');
    relay.start();
    expect(relay.engine(), std::string(300'000, 'f'));
    relay.close_engine();
    ck_assert(relay.result());
}
END_TEST

START_TEST(carries_megabytes_in_both_directions_at_once) {
    Running relay(4096);
    relay.start();
    std::string much(3'000'000, '\0');
    for (std::size_t i = 0; i < much.size(); ++i) much[i] = static_cast<char>(i * 7 / 3);
    auto up = std::async(std::launch::async, [&] { send(relay.client(), much); });
    auto down = std::async(std::launch::async, [&] { send(relay.engine(), much); });
    auto got = std::async(std::launch::async, [&] { expect(relay.engine(), much); });
    expect(relay.client(), much);
    got.get();
    ck_assert_uint_le(relay.stream.largest, Relay::kPortion);
    relay.close_engine();
    ck_assert(relay.result());
}
END_TEST

START_TEST(reads_no_more_from_the_client_than_the_engine_takes) {
    Running relay;
    relay.start();
    const std::size_t taken = fill(relay.client());
    ck_assert_uint_lt(taken, kMaxHeld);
    expect(relay.engine(), std::string(taken, 'x'));
    send(relay.engine(), "the other direction is free");
    expect(relay.client(), "the other direction is free");
    relay.close_engine();
    ck_assert(relay.result());
}
END_TEST

START_TEST(reads_no_more_from_the_engine_than_the_client_takes) {
    Running relay;
    relay.start();
    const std::size_t taken = fill(relay.engine());
    ck_assert_uint_lt(taken, kMaxHeld);
    send(relay.client(), "the other direction is free");
    expect(relay.engine(), "the other direction is free");
    expect(relay.client(), std::string(taken, 'x'));
    relay.close_engine();
    ck_assert(relay.result());
}
END_TEST

START_TEST(does_not_turn_in_circles_while_both_are_full) {
    Running relay;
    relay.start();
    static_cast<void>(fill(relay.client()));
    static_cast<void>(fill(relay.engine()));
    // It may have been slow to take what was there, but then it rests.
    int before = 0;
    await_quietly(
        [&] {
            before = relay.watch.looks;
            expect_nothing(relay.engine(), 0, 300ms);
            return relay.watch.looks == before;
        },
        "the relay to rest");
    relay.stream.gone = true;
    relay.watch.ring();
    ck_assert(!relay.result());
}
END_TEST

START_TEST(the_clients_end_is_the_end_of_the_engines_input_only) {
    Running relay;
    relay.start();
    send(relay.client(), "last words");
    ::shutdown(relay.client(), SHUT_WR);
    expect(relay.engine(), "last words");
    expect_end(relay.engine());
    send(relay.engine(), "an answer");
    expect(relay.client(), "an answer");
    ck_assert(relay.still_runs());
    relay.close_engine();
    ck_assert(relay.result());
    ck_assert_int_eq(relay.stream.ends, 1);
}
END_TEST

START_TEST(the_engines_end_comes_behind_all_that_it_has_sent) {
    Running relay;
    relay.start();
    send(relay.engine(), std::string(100'000, 'l'));
    ::shutdown(relay.engine(), SHUT_WR);
    expect(relay.client(), std::string(100'000, 'l'));
    expect_end(relay.client());
    ck_assert(relay.result());
    ck_assert_int_eq(relay.stream.ends, 1);
}
END_TEST

START_TEST(nothing_of_the_client_is_waited_for_behind_the_engines_end) {
    Running relay;
    relay.stream.keeps_distance = _i == 0;
    relay.start();
    ::shutdown(relay.engine(), SHUT_WR);
    expect_end(relay.client());
    ck_assert(relay.result());
}
END_TEST

START_TEST(the_end_of_a_stream_keeps_a_distance_from_its_last_data) {
    Running relay;
    relay.stream.keeps_distance = true;
    relay.start();
    send(relay.engine(), "last");
    relay.close_engine();
    expect(relay.client(), "last");
    ck_assert(relay.result());
    ck_assert(relay.stream.pause_before_end >= Relay::kSettle);
    ck_assert(relay.stream.pause_before_end < kPatience);
}
END_TEST

START_TEST(after_the_engines_end_an_aborted_stream_is_a_good_end) {
    Running relay;
    relay.stream.keeps_distance = true;
    relay.start();
    send(relay.engine(), "last");
    ::shutdown(relay.engine(), SHUT_WR);
    expect(relay.client(), "last");
    await_quietly([&] { return relay.stream.end_is_known.load(); }, "the relay to see the end");
    if (_i == 0) {
        relay.stream.gone = true;
    } else {
        relay.stream.input_fails = true;
    }
    // Wakes the relay, unless it has looked by itself and is gone.
    static_cast<void>(::send(relay.client(), "x", 1, MSG_NOSIGNAL));
    ck_assert(relay.result());
}
END_TEST

START_TEST(an_aborted_client_is_the_end_of_the_engines_input) {
    Running relay;
    relay.start();
    send(relay.client(), "x");
    expect(relay.engine(), "x");
    relay.stream.gone = true;
    relay.watch.ring();
    expect_end(relay.engine());
    ck_assert(!relay.result());
    ck_assert_int_eq(relay.stream.ends, 0);
}
END_TEST

START_TEST(a_failing_read_breaks_the_relay) {
    Running relay;
    relay.stream.input_fails = true;
    relay.start();
    ck_assert(!relay.result());
    expect_end(relay.engine());
}
END_TEST

START_TEST(a_failing_write_breaks_the_relay) {
    Running relay;
    relay.stream.output_fails = true;
    relay.start();
    send(relay.engine(), "x");
    ck_assert(!relay.result());
}
END_TEST

START_TEST(a_client_that_hangs_up_while_it_is_not_read_breaks_the_relay) {
    Running relay;
    relay.start();
    static_cast<void>(fill(relay.client()));  // the engine takes nothing
    relay.close_client();
    ck_assert(!relay.result());
}
END_TEST

START_TEST(an_engine_that_gives_up_breaks_the_relay) {
    Running relay;
    relay.start();
    static_cast<void>(fill(relay.client()));
    relay.close_engine();  // with much unread
    ck_assert(!relay.result());
}
END_TEST

START_TEST(a_client_that_takes_nothing_is_given_up_after_a_while) {
    Running relay;
    relay.start(100ms);
    static_cast<void>(fill(relay.engine()));
    ck_assert(!relay.result());
}
END_TEST

START_TEST(a_quiet_client_is_not_given_up) {
    Running relay;
    relay.start(1ms);
    send(relay.engine(), "x");
    expect(relay.client(), "x");
    expect_nothing(relay.client(), POLLIN, 50ms);
    ck_assert(relay.still_runs());
    relay.close_engine();
    ck_assert(relay.result());
}
END_TEST

START_TEST(in_a_hurry_a_full_client_is_left_when_the_engine_is_gone) {
    Running relay;
    relay.start();
    static_cast<void>(fill(relay.engine()));
    relay.watch.hurry = true;
    const int before = relay.watch.looks;
    relay.watch.ring();
    await_quietly([&] { return relay.watch.looks > before; }, "a look");
    ck_assert(relay.still_runs());
    relay.close_engine();
    ck_assert(!relay.result());
}
END_TEST

START_TEST(a_client_whose_writes_block_gets_all_of_it) {
    Running relay(4096);
    relay.stream.polled = false;
    relay.start();
    const std::string much(500'000, 'm');
    auto down = std::async(std::launch::async, [&] { send(relay.engine(), much); });
    expect(relay.client(), much);
    down.get();
    relay.close_engine();
    ck_assert(relay.result());
}
END_TEST

WEBSOCKET_TEST_SUITE(relay) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, carries_bytes_both_ways);
    tcase_add_test(tests, carries_what_filters_hold_before_it_waits);
    tcase_add_test(tests, carries_megabytes_in_both_directions_at_once);
    tcase_add_test(tests, reads_no_more_from_the_client_than_the_engine_takes);
    tcase_add_test(tests, reads_no_more_from_the_engine_than_the_client_takes);
    tcase_add_test(tests, does_not_turn_in_circles_while_both_are_full);
    tcase_add_test(tests, the_clients_end_is_the_end_of_the_engines_input_only);
    tcase_add_test(tests, the_engines_end_comes_behind_all_that_it_has_sent);
    tcase_add_loop_test(tests, nothing_of_the_client_is_waited_for_behind_the_engines_end, 0, 2);
    tcase_add_test(tests, the_end_of_a_stream_keeps_a_distance_from_its_last_data);
    tcase_add_loop_test(tests, after_the_engines_end_an_aborted_stream_is_a_good_end, 0, 2);
    tcase_add_test(tests, an_aborted_client_is_the_end_of_the_engines_input);
    tcase_add_test(tests, a_failing_read_breaks_the_relay);
    tcase_add_test(tests, a_failing_write_breaks_the_relay);
    tcase_add_test(tests, a_client_that_hangs_up_while_it_is_not_read_breaks_the_relay);
    tcase_add_test(tests, an_engine_that_gives_up_breaks_the_relay);
    tcase_add_test(tests, a_client_that_takes_nothing_is_given_up_after_a_while);
    tcase_add_test(tests, a_quiet_client_is_not_given_up);
    tcase_add_test(tests, in_a_hurry_a_full_client_is_left_when_the_engine_is_gone);
    tcase_add_test(tests, a_client_whose_writes_block_gets_all_of_it);
}
