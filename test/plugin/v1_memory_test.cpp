// SPDX-License-Identifier: Apache-2.0
// A plugin of version 1 without memory: result codes from the server's functions, 1011 for what the
// C++ classes throw, and never more than that.
#include <poll.h>
#include <unistd.h>

#include <new>
#include <websocket/plugin.hpp>

#include "failing_allocator.hpp"
#include "plugin/v1_service.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

/// Calls `work`, which returns a ws_result, with each of its allocations failing in turn. Nothing but
/// WS_NO_MEMORY comes of that; the last time it succeeds.
template <class Work>
std::size_t expect_no_memory(Work work) {
    ws_result result = WS_OK;
    return fail_each_allocation([&] { result = work(); },
                                [&](bool failed) {
                                    ck_assert_msg(result == (failed ? WS_NO_MEMORY : WS_OK),
                                                  "result %d", int{result});
                                });
}

struct Quiet {
    static constexpr bool never_blocks = true;
    void on_open(websocket::Connection client) { client.send("open"); }
    void on_message(websocket::Connection client, websocket::Message message) {
        client.send(message);
    }
};

/// Does what a plugin does, while allocation number `failing` fails; "done" when it got through.
template <bool kLoop>
struct Busy {
    static constexpr bool never_blocks = kLoop;
    static inline std::atomic<std::size_t> failing{0};
    static inline std::atomic<bool> failed{false};
    struct Client {
        websocket::Timer timer;
        std::string text;
    };
    explicit Busy(const websocket::Server& host) : server(host) {}
    void on_open(websocket::Connection client) { client.send("open"); }
    void on_message(websocket::Connection client, websocket::Message message, Client& state) {
        const FailingAllocator allocator(failing);
        failed = true;  // unless it gets to the end
        state.text.assign(100, 'x');
        state.timer = client.every(std::chrono::hours(1), [text = state.text] {});
        client.post([text = state.text] {});
        client.send(server.prepare(message.text()));
        server.counter("busy").add();
        failed = FailingAllocator::failed();  // before the test sees the answer
        if (!taken(client.send("done"))) {
            failed = true;
            throw std::bad_alloc();
        }
    }
    const websocket::Server& server;
};

/// Each allocation of a callback fails once: the client gets all, or a Close 1011.
template <class Plugin>
void try_busy(WebSocketPlugin* plugin) {
    V1Service process(plugin);
    std::size_t index = 0;
    for (bool failed = true; failed; ++index) {
        Plugin::failing = index;
        Peer client = process.connect();
        client.expect_text("open");
        client.send_text("x");
        Frame frame = client.receive();
        if (frame.opcode == Opcode::text && frame.payload == "x") frame = client.receive();
        failed = Plugin::failed;
        if (frame.opcode == Opcode::close) {
            ck_assert(failed);
            ck_assert_uint_eq(static_cast<unsigned char>(frame.payload.at(0)) * 256U +
                                  static_cast<unsigned char>(frame.payload.at(1)),
                              1011U);
        } else {
            ck_assert(frame.payload == "done");
        }
        client.disconnect();
    }
    ck_assert_uint_gt(index, 5);
}

}  // namespace

WEBSOCKET_PLUGIN(quiet_init, Quiet)
using BusyOnLoop = Busy<true>;
using BusyInPool = Busy<false>;
WEBSOCKET_PLUGIN(busy_on_loop_init, BusyOnLoop)
WEBSOCKET_PLUGIN(busy_in_pool_init, BusyInPool)

START_TEST(sends_answer_with_a_code_and_the_connection_lives_on) {
    V1Service process(quiet_init());
    ws_conn conn = 0;
    Peer client = process.connect(&conn);
    client.expect_text("open");
    const ws_host* host = process.abi();
    const auto* streams = process.extension<ws_stream_1>(WS_STREAM_1);
    const auto* buffers = process.extension<ws_buffer_1>(WS_BUFFER_1);
    ck_assert_uint_gt(
        expect_no_memory([&] { return host->send(host, conn, WS_TEXT, "one", 3, 0); }), 0);
    client.expect_text("one");
    ck_assert_uint_gt(expect_no_memory([&] {
                          return streams->send(host, conn, WS_TEXT, WS_FIRST | WS_LAST, "two", 3);
                      }),
                      0);
    client.expect_text("two");
    ws_buffer* buffer = nullptr;
    ck_assert_uint_gt(
        fail_each_allocation([&] { buffer = buffers->make(host, WS_TEXT, "three", 5); },
                             [&](bool failed) { ck_assert((buffer == nullptr) == failed); }),
        0);
    static_cast<void>(expect_no_memory([&] { return buffers->send(host, conn, buffer, 0); }));
    buffers->release(buffer);
    client.expect_text("three");
    client.send_text("four");
    client.expect_text("four");
}
END_TEST

START_TEST(calls_that_could_not_be_made_leave_nothing_behind) {
    V1Service process(quiet_init());
    ws_conn conn = 0;
    Peer client = process.connect(&conn);
    client.expect_text("open");
    const ws_host* host = process.abi();
    static std::atomic<int> done;
    done = 0;
    const ws_call nothing = [](void*) {};
    const ws_call count = [](void*) { ++done; };
    const auto* timers = process.extension<ws_timer_1>(WS_TIMER_1);
    const auto* posts = process.extension<ws_post_1>(WS_POST_1);
    const auto* io = process.extension<ws_io_1>(WS_IO_1);
    std::uint64_t timer = 0;
    std::uint64_t watch = 0;
    int ends[2];
    ck_assert_int_eq(::pipe(ends), 0);
    ck_assert_uint_gt(expect_no_memory([&] {
                          return timers->start(host, conn, 3'600'000, 0, nothing, count, nullptr,
                                               &timer);
                      }),
                      0);
    ck_assert_uint_gt(
        expect_no_memory([&] { return posts->post(host, conn, nothing, count, nullptr); }), 0);
    ck_assert_uint_gt(expect_no_memory([&] {
                          return io->watch(
                              host, conn, ends[0], WS_READABLE, [](void*, std::uint32_t) {}, count,
                              nullptr, &watch);
                      }),
                      0);
    await_quietly([] { return done == 1; }, "the end of what was posted");
    client.disconnect();
    await_quietly([] { return done == 3; }, "the end of timer and watch");
    ::close(ends[0]);
    pollfd pipe{ends[1], POLLOUT, 0};
    await_quietly([&] { return ::poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR) != 0; },
                  "the end of all duplicates of the watched end");
    ::close(ends[1]);
}
END_TEST

START_TEST(a_log_line_may_be_lost_and_a_metric_be_missing) {
    V1Service process(quiet_init());
    const ws_host* host = process.abi();
    const std::string line(500, 'x');
    ck_assert_uint_gt(
        fail_each_allocation([&] { host->log(host, WS_LOG_INFO, line.data(), line.size()); },
                             [](bool) {}),
        0);
    const auto* metrics = process.extension<ws_metrics_1>(WS_METRICS_1);
    const std::string name(60, 'm');
    ws_metric* metric = nullptr;
    ck_assert_uint_gt(
        fail_each_allocation(
            [&] { metric = metrics->metric(host, name.data(), name.size(), WS_COUNTER); },
            [&](bool failed) { ck_assert((metric == nullptr) == failed); }),
        0);
    metrics->add(metric, 1);
}
END_TEST

START_TEST(a_close_needs_no_memory) {
    V1Service process(quiet_init());
    const ws_host* host = process.abi();
    for (std::size_t index = 0, failed = 1; failed != 0; ++index) {
        ws_conn conn = 0;
        Peer client = process.connect(&conn);
        client.expect_text("open");
        ws_result result = WS_GONE;
        {
            const FailingAllocator allocator(index);
            result = host->close(host, conn, 3000, "bye", 3);
            failed = FailingAllocator::failed() ? 1 : 0;
        }
        ck_assert_int_eq(result, WS_OK);
        client.expect_close(failed != 0 ? 1011 : 3000);
        client.disconnect();
    }
}
END_TEST

START_TEST(a_callback_on_the_loop_costs_one_connection) {
    try_busy<BusyOnLoop>(busy_on_loop_init());
}
END_TEST

START_TEST(a_callback_in_the_pool_costs_one_connection) {
    try_busy<BusyInPool>(busy_in_pool_init());
}
END_TEST

WEBSOCKET_TEST_SUITE(v1_memory) {
    tcase_add_test(tests, sends_answer_with_a_code_and_the_connection_lives_on);
    tcase_add_test(tests, calls_that_could_not_be_made_leave_nothing_behind);
    tcase_add_test(tests, a_log_line_may_be_lost_and_a_metric_be_missing);
    tcase_add_test(tests, a_close_needs_no_memory);
    tcase_add_test(tests, a_callback_on_the_loop_costs_one_connection);
    tcase_add_test(tests, a_callback_in_the_pool_costs_one_connection);
}
