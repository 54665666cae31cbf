// SPDX-License-Identifier: Apache-2.0
#include "engine/shared_deflate.hpp"

#include <string>
#include <thread>
#include <vector>

#include "engine/deflate_peer.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::base::ByteBuffer;
using websocket::engine::SharedDeflate;
using websocket::engine::SharedFrame;
using websocket::net::Tick;
using websocket::protocol::DeflateSettings;
using websocket::protocol::Inflater;
using websocket::protocol::kFin;
using websocket::protocol::kRsv1;

namespace {

constexpr Tick kIdleTicks = websocket::engine::to_ticks(SharedDeflate::kIdle);

bool is_compressed(const SharedFrame& frame) { return (frame.bytes()[0] & kRsv1) != 0; }

}  // namespace

START_TEST(a_frame_holds_the_compressed_message) {
    SharedDeflate shared;
    for (int i = 0; i < 3; ++i) {
        const SharedFrame frame = shared.build(Opcode::text, bytes(json(1000)), kWithoutContext);
        ck_assert_uint_eq(frame.bytes()[0], kFin | kRsv1 | 0x01);
        ck_assert(ZlibInflate().message(text_of(frame.payload())) == json(1000));
    }
}
END_TEST

START_TEST(what_does_not_become_smaller_is_framed_as_it_is) {
    SharedDeflate shared;
    const std::string noise = Random(1).bytes(5000);
    const SharedFrame frame = shared.build(Opcode::binary, bytes(noise), kWithoutContext);
    ck_assert(!is_compressed(frame));
    ck_assert(text_of(frame.payload()) == noise);
}
END_TEST

START_TEST(without_memory_for_a_compressor_the_message_goes_as_it_is) {
    std::size_t plain = 0;
    const std::size_t failures = fail_each_allocation(
        [&] {
            SharedDeflate shared;
            const SharedFrame frame = shared.build(
                Opcode::text, bytes(std::string_view("aaaaaaaaaaaaaaaaaaaaaaaa")), kWithoutContext);
            plain += is_compressed(frame) ? 0U : 1U;
        },
        [](bool) {});
    ck_assert_uint_ge(failures, 4);
    ck_assert_uint_ge(plain, failures - 1);
}
END_TEST

START_TEST(one_compressor_serves_all_messages_and_only_the_frame_is_allocated) {
    SharedDeflate shared;
    const std::string text = json(4000);
    static_cast<void>(shared.build(Opcode::text, bytes(text), kWithoutContext));
    std::size_t allocations = 0;
    {
        const FailingAllocator counting;
        for (int i = 0; i < 10; ++i) {
            static_cast<void>(shared.build(Opcode::text, bytes(text), kWithoutContext));
        }
        allocations = FailingAllocator::count();
    }
    ck_assert_uint_eq(allocations, 10);
}
END_TEST

START_TEST(on_the_loop_nothing_is_allocated_at_all) {
    SharedDeflate shared;
    const std::string text = json(4000);
    const auto run = [&] {
        ByteBuffer& out = shared.deflate_buffer();
        const bool useful = shared.deflate(bytes(text), true, out, text.size(), kWithoutContext);
        ByteBuffer& in = shared.inflate_buffer();
        std::unique_ptr<Inflater> inflater = shared.take_inflater();
        std::span<const std::uint8_t> compressed = out.bytes();
        std::span<std::uint8_t> room = in.space(text.size() + 1);
        static_cast<void>(inflater->inflate(compressed, room));
        const bool whole = useful && inflater->end_message();
        shared.give_back(std::move(inflater));
        return whole;
    };
    ck_assert(run());
    std::size_t allocations = 0;
    bool whole = true;
    {
        const FailingAllocator counting;
        for (int i = 0; i < 10; ++i) whole = whole && run();
        allocations = FailingAllocator::count();
    }
    ck_assert(whole);
    ck_assert_uint_eq(allocations, 0);
}
END_TEST

START_TEST(settings_do_not_mix) {
    SharedDeflate shared;
    DeflateSettings small = kWithoutContext;
    small.server_bits = 9;
    const std::string noise = Random(2).bytes(3000);
    const std::string text = noise + noise;  // what 15 bits see and 9 do not
    for (int i = 0; i < 4; ++i) {
        const SharedFrame with_15 = shared.build(Opcode::binary, bytes(text), kWithoutContext);
        ck_assert_uint_lt(with_15.payload().size(), 4000);
        ck_assert(!is_compressed(shared.build(Opcode::binary, bytes(text), small)));
    }
}
END_TEST

START_TEST(many_shapes_do_not_pile_up) {
    SharedDeflate shared;
    for (int round = 0; round < 3; ++round) {
        for (std::uint8_t bits = 9; bits <= 15; ++bits) {
            for (std::uint8_t level = 1; level <= 9; ++level) {
                DeflateSettings settings = kWithoutContext;
                settings.server_bits = bits;
                settings.level = level;
                const SharedFrame frame = shared.build(Opcode::text, bytes(json(500)), settings);
                ck_assert(ZlibInflate(bits).message(text_of(frame.payload())) == json(500));
            }
        }
    }
}
END_TEST

START_TEST(threads_compress_side_by_side) {
    SharedDeflate shared;
    std::vector<std::thread> threads;
    for (std::uint32_t thread = 0; thread < 6; ++thread) {
        threads.emplace_back([&shared, thread] {
            DeflateSettings settings = kWithoutContext;
            settings.level = static_cast<std::uint8_t>(1 + thread % 2);
            ZlibInflate client;
            for (std::uint32_t i = 0; i < 200; ++i) {
                const std::string text = json(100 + 10 * i, thread * 1000 + i);
                const SharedFrame frame = shared.build(Opcode::text, bytes(text), settings);
                client.reset();
                if (client.message(text_of(frame.payload())) != text) std::abort();
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
}
END_TEST

START_TEST(what_nobody_uses_any_more_is_freed) {
    SharedDeflate shared;
    const std::string text = json(1000);
    const auto use = [&] {
        static_cast<void>(shared.build(Opcode::text, bytes(text), kWithoutContext));
        static_cast<void>(shared.inflate_buffer().space(1000));
        static_cast<void>(shared.deflate_buffer().space(1000));
        shared.give_back(shared.take_inflater());
    };
    const auto allocations_of_a_use = [&] {
        const FailingAllocator counting;
        use();
        return FailingAllocator::count();
    };
    const std::size_t first = allocations_of_a_use();
    shared.trim(100);
    const std::size_t warm = allocations_of_a_use();
    ck_assert_uint_lt(warm, first / 2);
    shared.trim(1000);
    shared.trim(1000 + kIdleTicks - 1);
    ck_assert_uint_eq(allocations_of_a_use(), warm);  // and this was a use
    shared.trim(1000 + kIdleTicks);
    ck_assert_uint_eq(allocations_of_a_use(), warm);
    shared.trim(3000);
    shared.trim(3000 + kIdleTicks);
    ck_assert_uint_gt(allocations_of_a_use(), first / 2);
}
END_TEST

START_TEST(an_inflater_comes_without_a_history) {
    SharedDeflate shared;
    ZlibDeflate client;
    const std::string text = json(400);
    const auto inflate = [&](const std::string& payload) {
        std::unique_ptr<Inflater> inflater = shared.take_inflater();
        std::string room(1000, '\0');
        std::span<const std::uint8_t> in = bytes(payload);
        std::span<std::uint8_t> out(reinterpret_cast<std::uint8_t*>(room.data()), room.size());
        const bool good =
            inflater->inflate(in, out) == Inflater::Status::done && inflater->end_message();
        shared.give_back(std::move(inflater));
        return good;
    };
    ck_assert(inflate(client.message(text)));
    ck_assert(!inflate(client.message(text)));  // refers to the first
    client.reset();
    ck_assert(inflate(client.message(text)));
}
END_TEST

WEBSOCKET_TEST_SUITE(shared_deflate) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_frame_holds_the_compressed_message);
    tcase_add_test(tests, what_does_not_become_smaller_is_framed_as_it_is);
    tcase_add_test(tests, without_memory_for_a_compressor_the_message_goes_as_it_is);
    tcase_add_test(tests, one_compressor_serves_all_messages_and_only_the_frame_is_allocated);
    tcase_add_test(tests, on_the_loop_nothing_is_allocated_at_all);
    tcase_add_test(tests, settings_do_not_mix);
    tcase_add_test(tests, many_shapes_do_not_pile_up);
    tcase_add_test(tests, threads_compress_side_by_side);
    tcase_add_test(tests, what_nobody_uses_any_more_is_freed);
    tcase_add_test(tests, an_inflater_comes_without_a_history);
}
