// SPDX-License-Identifier: Apache-2.0
// A plugin of version 1 whose start fails.
#include <unistd.h>
#include <websocket/plugin.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "plugin/v1_service.hpp"
#include "thread_state.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

/// What the tests and the plugin share; for each test anew.
struct StartMeeting {
    std::atomic<int> starts{0};
    std::atomic<int> stops{0};
    Door begun;
    Door go_on;
    Door forgotten;
};
std::optional<StartMeeting> starting;

/// Its first start fails, and leaves a call that still runs.
class LeavesCall {
public:
    explicit LeavesCall(const websocket::Server& server) {
        if (starting->starts++ > 0) return;
        const auto token =
            std::shared_ptr<void>(nullptr, [](void*) { starting->forgotten.open(); });
        static_cast<void>(server.post([token] {
            starting->begun.open();
            static_cast<void>(starting->go_on.passed());
        }));
        static_cast<void>(starting->begun.passed());
        throw std::runtime_error("no database yet");
    }
    ~LeavesCall() { ++starting->stops; }
    void on_message(websocket::Connection client, websocket::Message message) {
        client.send(message.text());
    }
};

/// Its first start fails once the test wants it.
struct FailsSlowly {
    FailsSlowly() {
        if (starting->starts++ > 0) return;
        starting->begun.open();
        static_cast<void>(starting->go_on.passed());
        throw std::runtime_error("no database yet");
    }
    void on_message(websocket::Connection, websocket::Message) {}
};

}  // namespace

WEBSOCKET_PLUGIN(leaves_call_init, LeavesCall)
WEBSOCKET_PLUGIN(fails_slowly_init, FailsSlowly)

START_TEST(what_a_failed_start_left_does_not_stop_the_next_one) {
    starting.emplace();
    {
        V1Service process(leaves_call_init(), V1Service::Start::later);
        ck_assert(!process.start());
        ck_assert(process.start());
        starting->go_on.open();
        starting->forgotten.await("the end of the call");
        for (int i = 0; i < 3; ++i) {  // each of them comes and goes
            Peer client = process.connect();
            client.send_text("hi");
            client.expect_text("hi");
            client.send_close(1000);
            client.expect_close(1000);
            client.expect_end();
        }
        ck_assert_int_eq(starting->stops, 0);
    }
    ck_assert_int_eq(starting->stops, 1);
}
END_TEST

START_TEST(who_waited_for_a_start_shares_its_failure) {
    starting.emplace();
    V1Service process(fails_slowly_init(), V1Service::Start::later);
    std::atomic<int> refused{0};
    std::vector<std::thread> clients;
    const auto add_client = [&] {
        std::atomic<pid_t> id{0};
        clients.emplace_back([&process, &refused, &id] {
            id = ::gettid();
            if (!process.start()) ++refused;
        });
        await_quietly([&id] { return id != 0; }, "a thread");
        return id.load();
    };
    add_client();
    starting->begun.await("a start");
    for (int i = 0; i < 3; ++i) {
        const pid_t waiting = add_client();
        await_quietly([waiting] { return asleep(waiting); }, "a client to wait");
    }
    starting->go_on.open();
    for (std::thread& client : clients) client.join();
    ck_assert_int_eq(starting->starts, 1);
    ck_assert_int_eq(refused, 4);
    ck_assert(process.start());
    ck_assert_int_eq(starting->starts, 2);
}
END_TEST

WEBSOCKET_TEST_SUITE(v1_start) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, what_a_failed_start_left_does_not_stop_the_next_one);
    tcase_add_test(tests, who_waited_for_a_start_shares_its_failure);
}
