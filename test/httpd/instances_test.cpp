// SPDX-License-Identifier: Apache-2.0
#include "httpd/process/instances.hpp"

#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/service.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
namespace httpd = websocket::httpd;
namespace plugin = websocket::plugin;
using websocket::protocol::CloseCode;

namespace {

using Clock = httpd::Instances::Clock;

struct Told {
    int starts = 0;
    int drains = 0;
    int stops = 0;
    std::uint64_t left = 0;
};
Awaited<Told> recorded;  // the ABI has no place for it before a plugin has started

template <class Change>
void tell(Change change) {
    recorded.update(change);
}

const ws_plugin& recording_plugin() {
    static const ws_plugin made = [] {
        ws_plugin blank{};
        blank.base.size = sizeof blank;
        blank.base.version = WEBSOCKET_PLUGIN_VERSION_1;
        blank.minor = WS_ABI_MINOR;
        blank.name = "recording";
        blank.plugin_version = "1";
        blank.on_message = [](void*, void*, ws_conn, uint32_t, uint8_t*, uint64_t) {};
        blank.start = [](const ws_host*, const ws_option*, uint64_t, void**) -> ws_result {
            tell([](Told& all) { ++all.starts; });
            return WS_OK;
        };
        blank.on_drain = [](void*, uint64_t left) {
            tell([left](Told& all) {
                ++all.drains;
                all.left = left;
            });
        };
        blank.stop = [](void*) { tell([](Told& all) { ++all.stops; }); };
        return blank;
    }();
    return made;
}

plugin::Endpoint recording_endpoint(const char* place) {
    plugin::Endpoint made;
    made.callbacks = &recording_plugin().base;
    made.v1 = &recording_plugin();
    made.place = place;
    return made;
}

/// A child with three locations.
struct Process {
    ~Process() { stop(); }

    websocket::test::Service service;
    std::optional<plugin::Pool> pool{std::in_place, plugin::PoolOptions{}, service.log};
    plugin::Host host{service.engine(), *pool, service.log};
    httpd::Service first{recording_endpoint("first")};
    httpd::Service second{recording_endpoint("second")};
    httpd::Service unused{recording_endpoint("unused")};
    httpd::Instances instances{host};

    void stop() {
        if (!pool) return;
        service.engine().begin_stop();
        await_quietly([this] { return service.engine().stopped(); }, "the loops' end");
        instances.end();
        await_quietly([this] { return host.sessions == 0; }, "the plugins' end");
        pool.reset();
        service.stop();
    }
};

}  // namespace

START_TEST(each_service_has_one_instance_whoever_comes_first) {
    std::atomic<std::size_t> ready{0};
    Process process;
    constexpr std::size_t kThreads = 4;
    std::array<std::pair<plugin::V1Instance*, plugin::V1Instance*>, kThreads> got{};
    std::vector<std::thread> threads;
    for (auto& mine : got) {
        threads.emplace_back([&] {
            ready.fetch_add(1);
            while (ready.load() != kThreads) std::this_thread::yield();
            mine = {&process.instances.of(process.first), &process.instances.of(process.second)};
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& mine : got) ck_assert(mine == got[0]);
    ck_assert_ptr_ne(got[0].first, got[0].second);
    ck_assert_ptr_eq(&got[0].first->endpoint(), &process.first.endpoint);
}
END_TEST

START_TEST(a_service_that_is_known_takes_no_memory) {
    Process process;
    const plugin::V1Instance& made = process.instances.of(process.first);
    const FailingAllocator nothing(0);
    ck_assert_ptr_eq(&process.instances.of(process.first), &made);
    ck_assert_uint_eq(FailingAllocator::count(), 0);
}
END_TEST

START_TEST(memory_that_runs_out_leaves_no_half_of_an_instance) {
    Process process;
    const std::size_t failures = fail_each_allocation(
        [&] { static_cast<void>(process.instances.of(process.first)); }, [](bool) {});
    ck_assert_uint_gt(failures, 0);
    ck_assert(process.instances.of(process.first).start());
    process.stop();
    ck_assert_int_eq(recorded.get().stops, 1);
}
END_TEST

START_TEST(those_that_have_started_are_told_of_a_drain_in_time) {
    Process process;
    ck_assert(process.instances.of(process.first).start());
    ck_assert(process.instances.of(process.second).start());
    static_cast<void>(process.instances.of(process.unused));
    process.instances.begin_drain(Clock::now() + std::chrono::hours(1));
    recorded.await([](const Told& all) { return all.drains == 2; }, "both drains");
    ck_assert_uint_gt(recorded.get().left, 0);
    ck_assert_uint_le(recorded.get().left, 3'600'000);
}
END_TEST

START_TEST(one_that_starts_in_a_drain_is_told_then) {
    Process process;
    process.instances.begin_drain(Clock::now() + std::chrono::hours(1));  // nobody is there
    plugin::V1Instance& late = process.instances.of(process.first);
    ck_assert(late.start());
    process.instances.tell_of_drain(late);
    ck_assert_int_eq(recorded.get().drains, 0);  // the engine does not drain
    process.service.engine().begin_drain({Clock::now() + std::chrono::hours(1),
                                          []() noexcept { return CloseCode::service_restart; }});
    process.instances.tell_of_drain(late);
    process.instances.tell_of_drain(late);
    ck_assert_int_eq(recorded.get().drains, 1);
}
END_TEST

START_TEST(those_that_have_started_stop_once_in_the_end) {
    Process process;
    plugin::V1Instance& first = process.instances.of(process.first);
    ck_assert(first.start());
    ck_assert(first.start());
    static_cast<void>(process.instances.of(process.unused));
    process.stop();
    process.instances.end();
    ck_assert_int_eq(recorded.get().starts, 1);
    ck_assert_int_eq(recorded.get().stops, 1);
}
END_TEST

WEBSOCKET_TEST_SUITE(instances) {
    tcase_add_test(tests, each_service_has_one_instance_whoever_comes_first);
    tcase_add_test(tests, a_service_that_is_known_takes_no_memory);
    tcase_add_test(tests, memory_that_runs_out_leaves_no_half_of_an_instance);
    tcase_add_test(tests, those_that_have_started_are_told_of_a_drain_in_time);
    tcase_add_test(tests, one_that_starts_in_a_drain_is_told_then);
    tcase_add_test(tests, those_that_have_started_stop_once_in_the_end);
}
