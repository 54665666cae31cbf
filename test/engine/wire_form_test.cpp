// SPDX-License-Identifier: Apache-2.0
// SharedDeflate::wire_form(): a message for many, compressed once for each way of compressing.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "engine/deflate_peer.hpp"
#include "engine/shared_deflate.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::SharedDeflate;
using websocket::engine::SharedFrame;
using websocket::protocol::DeflateSettings;

namespace {

const std::uint8_t* place_of(const SharedFrame& frame) { return frame.bytes().data(); }

}  // namespace

START_TEST(every_way_of_compressing_is_used_once) {
    SharedDeflate shared;
    SharedDeflate of_another_loop;
    const SharedFrame plain = SharedFrame::build(Opcode::text, bytes(json(3000)));
    DeflateSettings small = kWithoutContext;
    small.server_bits = 10;
    const SharedFrame large_window = shared.wire_form(plain, kWithoutContext);
    const SharedFrame small_window = shared.wire_form(plain, small);
    ck_assert(place_of(large_window) != place_of(small_window));
    for (int i = 0; i < 3; ++i) {
        const SharedFrame copy = plain;  // of the reference
        ck_assert(place_of(of_another_loop.wire_form(copy, kWithoutContext)) ==
                  place_of(large_window));
        ck_assert(place_of(shared.wire_form(copy, small)) == place_of(small_window));
    }
    ck_assert(ZlibInflate(15).message(text_of(large_window.payload())) == json(3000));
    ck_assert(ZlibInflate(10).message(text_of(small_window.payload())) == json(3000));
}
END_TEST

START_TEST(what_only_the_server_cares_for_makes_no_further_form) {
    SharedDeflate shared;
    const SharedFrame plain = SharedFrame::build(Opcode::text, bytes(json(3000)));
    DeflateSettings other = kWithoutContext;
    other.client_bits = 9;
    other.client_takeover = true;
    other.min_size = 1;
    ck_assert(place_of(shared.wire_form(plain, kWithoutContext)) ==
              place_of(shared.wire_form(plain, other)));
}
END_TEST

START_TEST(that_noise_does_not_become_smaller_is_found_out_once) {
    SharedDeflate shared;
    const std::string noise = Random(1).bytes(100'000);
    const SharedFrame plain = SharedFrame::build(Opcode::binary, bytes(noise));
    ck_assert(place_of(shared.wire_form(plain, kWithoutContext)) == place_of(plain));
    std::size_t allocations = 0;
    {
        const FailingAllocator counting;
        ck_assert(place_of(shared.wire_form(plain, kWithoutContext)) == place_of(plain));
        allocations = FailingAllocator::count();
    }
    ck_assert_uint_eq(allocations, 0);
}
END_TEST

START_TEST(threads_may_ask_at_the_same_time) {
    for (int round = 0; round < 30; ++round) {
        SharedDeflate shared;
        const std::string text = json(20'000, static_cast<std::uint32_t>(round));
        const SharedFrame plain = SharedFrame::build(Opcode::text, bytes(text));
        std::atomic<int> ready{0};
        std::vector<std::thread> threads;
        for (std::uint8_t thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&, thread] {
                DeflateSettings settings = kWithoutContext;
                settings.level = static_cast<std::uint8_t>(1 + thread % 2);
                ready.fetch_add(1);
                while (ready.load() < 4) std::this_thread::yield();
                const SharedFrame frame = shared.wire_form(plain, settings);
                if (ZlibInflate().message(text_of(frame.payload())) != text) std::abort();
            });
        }
        for (std::thread& thread : threads) thread.join();
    }
}
END_TEST

START_TEST(the_compressed_form_outlives_the_plain_one) {
    SharedDeflate shared;
    SharedFrame frame;
    {
        const SharedFrame plain = SharedFrame::build(Opcode::text, bytes(json(3000)));
        frame = shared.wire_form(plain, kWithoutContext);
    }
    ck_assert(ZlibInflate().message(text_of(frame.payload())) == json(3000));
}
END_TEST

START_TEST(without_memory_the_plain_frame_goes_out_and_later_ones_are_compressed_again) {
    const SharedFrame plain = SharedFrame::build(Opcode::text, bytes(json(300)));
    bool failed = true;
    for (std::size_t nth = 0; failed; ++nth) {
        SharedDeflate shared;
        const SharedFrame fresh = SharedFrame::build(Opcode::text, bytes(json(300)));
        SharedFrame frame;
        {
            FailingAllocator failing(nth);
            frame = shared.wire_form(fresh, kWithoutContext);
            failed = failing.failed();
        }
        ck_assert(failed == (place_of(frame) == place_of(fresh)));
        const SharedFrame again = shared.wire_form(fresh, kWithoutContext);
        ck_assert(ZlibInflate().message(text_of(again.payload())) == json(300));
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(wire_form) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, every_way_of_compressing_is_used_once);
    tcase_add_test(tests, what_only_the_server_cares_for_makes_no_further_form);
    tcase_add_test(tests, that_noise_does_not_become_smaller_is_found_out_once);
    tcase_add_test(tests, threads_may_ask_at_the_same_time);
    tcase_add_test(tests, the_compressed_form_outlives_the_plain_one);
    tcase_add_test(tests,
                   without_memory_the_plain_frame_goes_out_and_later_ones_are_compressed_again);
}
