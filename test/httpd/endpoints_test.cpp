// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/endpoints.hpp"

#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "failing_allocator.hpp"
#include "unit.hpp"

using websocket::httpd::Endpoint;
using websocket::httpd::Endpoints;
using websocket::httpd::OriginCheck;
using websocket::httpd::SectionPath;
using websocket::test::FailingAllocator;

namespace {

const WebSocketPlugin some_plugin{};
constexpr int kFirstHost = 1;
constexpr int kSecondHost = 2;
const void* const first_host = &kFirstHost;
const void* const second_host = &kSecondHost;

/// Of a section, by its number.
SectionPath path(std::size_t number) {
    static const std::array<char, 100'000> sections{};
    return SectionPath(&sections.at(number));
}

Endpoints::Settings settings(const std::string& place, std::size_t send_buffer = 1000) {
    Endpoints::Settings made;
    made.plugin.callbacks = &some_plugin;
    made.plugin.place = place;
    made.plugin.connection.send_buffer = send_buffer;
    return made;
}

}  // namespace

START_TEST(an_endpoint_is_found_by_its_sections_and_host) {
    Endpoints endpoints(2);
    ck_assert_ptr_null(endpoints.find(first_host, path(1)));
    const Endpoint& here = endpoints.add(first_host, path(1), settings("here"));
    const Endpoint& there = endpoints.add(second_host, path(1), settings("there"));
    ck_assert(here.has_plugin());
    ck_assert_str_eq(here.service.endpoint.place.c_str(), "here");
    ck_assert_ptr_eq(endpoints.find(first_host, path(1)), &here);
    ck_assert_ptr_eq(endpoints.find(second_host, path(1)), &there);
    ck_assert_ptr_null(endpoints.find(first_host, path(2)));
}
END_TEST

START_TEST(finding_takes_no_memory) {
    Endpoints endpoints(1);
    SectionPath nested = path(1);
    nested.append(path(2));
    const Endpoint& added = endpoints.add(first_host, nested, settings("a"));
    const FailingAllocator nothing(0);
    ck_assert_ptr_eq(endpoints.find(first_host, nested), &added);
    ck_assert_ptr_null(endpoints.find(first_host, path(1)));
    ck_assert_ptr_null(endpoints.find(first_host, SectionPath()));
    ck_assert_uint_eq(FailingAllocator::count(), 0);
}
END_TEST

START_TEST(equal_settings_are_one_endpoint_whatever_sections_they_come_from) {
    Endpoints endpoints(0);
    const Endpoint& one = endpoints.add(first_host, path(1), settings("a"));
    ck_assert_ptr_eq(&endpoints.add(first_host, path(2), settings("a")), &one);
    ck_assert_ptr_eq(&endpoints.add(second_host, path(1), settings("a")), &one);
    ck_assert_ptr_eq(endpoints.find(second_host, path(1)), &one);
    ck_assert_ptr_ne(&endpoints.add(first_host, path(3), settings("a", 999)), &one);
    ck_assert_ptr_ne(&endpoints.add(first_host, path(4), settings("b")), &one);
}
END_TEST

START_TEST(what_only_the_handshake_looks_at_does_not_part_services) {
    Endpoints endpoints(0);
    Endpoints::Settings open = settings("a");
    open.handshake.origin_check = OriginCheck::off;
    const Endpoint& one = endpoints.add(first_host, path(1), settings("a"));
    const Endpoint& other = endpoints.add(first_host, path(2), std::move(open));
    ck_assert_ptr_ne(&one, &other);
    ck_assert_ptr_eq(&one.service, &other.service);
    ck_assert(one.handshake.origin_check == OriginCheck::same);
    ck_assert(other.handshake.origin_check == OriginCheck::off);
}
END_TEST

START_TEST(sections_that_are_read_anew_for_each_request_are_known_by_their_settings) {
    Endpoints endpoints(0);
    const Endpoint& one = endpoints.add(first_host, SectionPath(), settings("a"));
    const Endpoint& changed = endpoints.add(first_host, SectionPath(), settings("a", 999));
    ck_assert_ptr_ne(&one, &changed);
    ck_assert_ptr_eq(&endpoints.add(first_host, SectionPath(), settings("a")), &one);
    ck_assert_ptr_eq(&endpoints.add(first_host, SectionPath(), settings("a", 999)), &changed);
    ck_assert_ptr_null(endpoints.find(first_host, SectionPath()));
}
END_TEST

START_TEST(a_section_without_a_plugin_has_an_endpoint_too) {
    Endpoints endpoints(0);
    ck_assert(!endpoints.add(first_host, path(1), {}).has_plugin());
}
END_TEST

START_TEST(clients_cannot_make_it_remember_without_end) {
    Endpoints endpoints(10);
    const Endpoint& all = endpoints.add(first_host, path(0), settings("a"));
    constexpr std::size_t kMany = 10 + Endpoints::kMaxUnexpected;
    for (std::size_t i = 1; i < kMany + 100; ++i) {
        ck_assert_ptr_eq(&endpoints.add(first_host, path(i), settings("a")), &all);
        ck_assert_ptr_eq(endpoints.find(first_host, path(i)), i < kMany ? &all : nullptr);
    }
    ck_assert_ptr_eq(endpoints.find(first_host, path(0)), &all);
}
END_TEST

START_TEST(nothing_is_half_there_when_memory_runs_out) {
    std::size_t failures = 0;
    for (std::size_t index = 0;; ++index) {
        Endpoints endpoints(0);
        Endpoints::Settings wanted = settings("a place whose name is no short string");
        bool failed = false;
        {
            const FailingAllocator allocator(index);
            try {
                static_cast<void>(endpoints.add(first_host, path(1), std::move(wanted)));
            } catch (const std::bad_alloc&) {
            }
            failed = FailingAllocator::failed();
        }
        if (!failed) break;
        ++failures;
        const Endpoint& added =
            endpoints.add(first_host, path(1), settings("a place whose name is no short string"));
        ck_assert_ptr_eq(endpoints.find(first_host, path(1)), &added);
    }
    ck_assert_uint_gt(failures, 2);
}
END_TEST

START_TEST(threads_that_come_at_the_same_time_get_the_same) {
    constexpr std::size_t kThreads = 4;
    constexpr std::size_t kPaths = 500;
    Endpoints endpoints(0);
    std::array<std::vector<const Endpoint*>, kThreads> got;
    std::atomic<std::size_t> ready{0};
    std::vector<std::thread> threads;
    for (std::vector<const Endpoint*>& mine : got) {
        threads.emplace_back([&] {
            ready.fetch_add(1);
            while (ready.load() != kThreads) std::this_thread::yield();
            for (std::size_t i = 0; i < kPaths; ++i) {
                const Endpoint* known = endpoints.find(first_host, path(i));
                mine.push_back(known != nullptr ? known
                                                : &endpoints.add(first_host, path(i),
                                                                 settings(std::to_string(i))));
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& mine : got) ck_assert(mine == got.front());
    for (std::size_t i = 0; i < kPaths; ++i) {
        ck_assert(got[0][i]->service.endpoint.place == std::to_string(i));
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(endpoints) {
    tcase_add_test(tests, an_endpoint_is_found_by_its_sections_and_host);
    tcase_add_test(tests, finding_takes_no_memory);
    tcase_add_test(tests, equal_settings_are_one_endpoint_whatever_sections_they_come_from);
    tcase_add_test(tests, what_only_the_handshake_looks_at_does_not_part_services);
    tcase_add_test(tests, sections_that_are_read_anew_for_each_request_are_known_by_their_settings);
    tcase_add_test(tests, a_section_without_a_plugin_has_an_endpoint_too);
    tcase_add_test(tests, clients_cannot_make_it_remember_without_end);
    tcase_add_test(tests, nothing_is_half_there_when_memory_runs_out);
    tcase_add_test(tests, threads_that_come_at_the_same_time_get_the_same);
}
