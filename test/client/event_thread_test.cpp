// SPDX-License-Identifier: Apache-2.0
#include "client/event_thread.hpp"

#include <functional>
#include <memory>

#include "engine/awaiting.hpp"
#include "unit.hpp"

using websocket::client::EventThread;
using namespace websocket::test;

// By chance; a sanitizer sees what was wrong.
START_TEST(may_be_destroyed_by_a_task_before_it_has_been_posted_to_the_end) {
    constexpr int kTries = 500;
    const EventThread another;  // a sanitizer has a thread of its own as soon as there is one
    const auto threads = threads_of_process();
    for (int i = 0; i < kTries; ++i) {
        auto thread = std::make_unique<EventThread>();
        EventThread& posts = *thread;
        Door awake;
        Door destroyed;
        const std::function<void()> stay_awake = [&] {
            thread != nullptr ? thread->post(stay_awake) : destroyed.open();
        };
        posts.post([&] {
            stay_awake();
            awake.open();
        });
        awake.await("the thread");
        posts.post([&] { thread.reset(); });
        destroyed.await("the destruction");
        await_quietly([&] { return threads_of_process() == threads; }, "the end of the thread");
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(client_event_thread) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, may_be_destroyed_by_a_task_before_it_has_been_posted_to_the_end);
}
