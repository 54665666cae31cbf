// SPDX-License-Identifier: Apache-2.0
// Timers of a plugin of version 1 that take longer than their periods.
#include <websocket/plugin.hpp>

#include <chrono>
#include <optional>
#include <string>

#include "plugin/v1_service.hpp"
#include "unit.hpp"

using namespace websocket::test;
using namespace std::chrono_literals;

namespace {

struct Ticks {
    int slow = 0;
    int quick = 0;
};

/// What the tests and the plugin share; for each test anew.
struct TickMeeting {
    Awaited<Ticks> ticks;
    Door go_on;
};
std::optional<TickMeeting> ticking;

/// The first tick of one timer waits for the test; another one runs meanwhile.
class SlowTicks {
public:
    struct Client {
        websocket::Timer timer;
    };

    explicit SlowTicks(const websocket::Server& server) : server_(server) {}

    void on_message(websocket::Connection connection, websocket::Message message, Client& client) {
        if (message.text() == "slow client") {
            client.timer = connection.every(4ms, slow);
            timer_ = server_.every(4ms, quick);
        } else if (message.text() == "slow server") {
            timer_ = server_.every(4ms, slow);
            client.timer = connection.every(4ms, quick);
        } else if (message.text() == "client?") {
            connection.send(slow_ticks());
        } else {  // behind whatever waits for the server
            static_cast<void>(server_.post([connection] { connection.send(slow_ticks()); }));
        }
    }

private:
    static void slow() {
        ticking->ticks.update([](Ticks& ticks) { ++ticks.slow; });
        static_cast<void>(ticking->go_on.passed());
    }
    static void quick() {
        ticking->ticks.update([](Ticks& ticks) { ++ticks.quick; });
    }
    static std::string slow_ticks() { return std::to_string(ticking->ticks.get().slow); }

    const websocket::Server& server_;
    websocket::Timer timer_;
};

}  // namespace

WEBSOCKET_PLUGIN(slow_ticks_init, SlowTicks)

/// Asks what the timers have been while the first tick still runs.
static void expect_no_backlog(const std::string& whose) {
    ticking.emplace();
    V1Service process(slow_ticks_init());
    Peer client = process.connect();
    client.send_text("slow " + whose);
    ticking->ticks.await([](const Ticks& ticks) { return ticks.slow == 1 && ticks.quick > 20; },
                         "ticks beside one that lasts");
    client.send(masked(Opcode::text, whose + "?") + masked(Opcode::ping, "behind it"));
    client.expect(Opcode::pong, "behind it");
    if (whose == "client") {
        ticking->go_on.open();
        client.expect_text("1");
    } else {
        client.send_text("client?");  // the server's question is posted by then
        client.expect_text("1");
        ticking->go_on.open();
        client.expect_text("1");
    }
    ticking->ticks.await([](const Ticks& ticks) { return ticks.slow > 2; }, "further ticks");
}

START_TEST(a_slow_timer_of_a_connection_has_no_backlog) { expect_no_backlog("client"); }
END_TEST

START_TEST(a_slow_timer_of_the_plugin_has_no_backlog) { expect_no_backlog("server"); }
END_TEST

WEBSOCKET_TEST_SUITE(v1_timer) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_slow_timer_of_a_connection_has_no_backlog);
    tcase_add_test(tests, a_slow_timer_of_the_plugin_has_no_backlog);
}
