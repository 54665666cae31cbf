// SPDX-License-Identifier: Apache-2.0
// The end of a plugin that has threads of its own, which call the server until stop has joined them.
#include <websocket/plugin.hpp>

#include <atomic>
#include <thread>

#include "plugin/v1_service.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

std::atomic<int> stops{0};
std::atomic<int> rounds{0};

/// Its thread posts for as long as there is a plugin.
class BusyPlugin {
public:
    static constexpr bool never_blocks = true;

    explicit BusyPlugin(const websocket::Server& server)
        : thread_([this, &server] {
              while (!ending_) {
                  static_cast<void>(server.post([] {}));
                  ++rounds;
              }
          }) {}
    ~BusyPlugin() {
        ++stops;
        const int before = rounds;
        while (rounds < before + 3) {  // what is called meanwhile is refused, and ends nothing
            std::this_thread::yield();
        }
        ending_ = true;
        thread_.join();
    }
    void on_message(websocket::Connection, websocket::Message) {}

private:
    std::atomic<bool> ending_{false};
    std::thread thread_;
};

}  // namespace

WEBSOCKET_PLUGIN(busy_plugin_init, BusyPlugin)

START_TEST(threads_of_a_plugin_may_call_the_server_until_they_are_joined) {
    for (int i = 0; i < 30; ++i) {
        {
            const V1Service process(busy_plugin_init());
            const int before = rounds;
            await_quietly([&] { return rounds > before; }, "the plugin's thread");
        }
        ck_assert_int_eq(stops, i + 1);
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(v1_stop) {
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, threads_of_a_plugin_may_call_the_server_until_they_are_joined);
}
