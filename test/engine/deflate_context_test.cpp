// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "engine/deflate_context.hpp"

#include <string>

#include "engine/deflate_peer.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::base::ByteBuffer;
using websocket::engine::DeflateContext;
using websocket::protocol::Inflater;

namespace {

/// A message of the server as it goes on the wire; empty when it would not be smaller.
std::string sent(DeflateContext& context, std::string_view text) {
    ByteBuffer out;
    return context.deflate(bytes(text), true, out, text.size(), kWithContext, 0)
               ? text_of(out.bytes())
               : "";
}

std::string received(DeflateContext& context, std::string_view payload) {
    std::unique_ptr<Inflater> inflater = context.take_inflater(kWithContext, 0);
    std::string text = inflated(*inflater, payload);
    context.give_back(std::move(inflater));
    return text;
}

}  // namespace

START_TEST(both_directions_keep_their_context) {
    DeflateContext context;
    ZlibInflate in;
    ZlibDeflate out;
    std::size_t first = 0;
    for (int i = 0; i < 5; ++i) {
        const std::string payload = sent(context, json(2000));
        ck_assert(in.message(payload) == json(2000));
        if (i == 0) first = payload.size();
        ck_assert(i == 0 || payload.size() < first / 4);
        ck_assert(received(context, out.message(json(3000))) == json(3000));
    }
}
END_TEST

START_TEST(what_was_of_no_use_or_never_left_is_not_referred_to) {
    DeflateContext context;
    ZlibInflate in;
    const std::string noise = Random(1).bytes(2000);
    for (std::uint32_t i = 0; i < 10; ++i) {
        ck_assert(in.message(sent(context, json(2000, i))) == json(2000, i));
        ck_assert(sent(context, noise).empty());
        ck_assert(in.message(sent(context, json(2000, i))) == json(2000, i));
        static_cast<void>(sent(context, json(500, 77)));
        context.forget_last();
        ck_assert(in.message(sent(context, json(500, 77))) == json(500, 77));
    }
}
END_TEST

START_TEST(after_a_rest_the_client_may_still_refer_to_what_it_sent) {
    DeflateContext context;
    ZlibInflate in;
    ZlibDeflate out;
    const std::size_t first = sent(context, json(2000)).size();
    ck_assert(received(context, out.message(json(3000))) == json(3000));
    context.rest(99, 100);
    ck_assert_uint_lt(sent(context, json(2000)).size(), first / 4);  // too early
    for (int i = 0; i < 3; ++i) {
        context.rest(100, 100);
        ck_assert_uint_eq(sent(context, json(2000)).size(), first);
        context.rest(100, 100);
        context.rest(100, 100);
        const std::string payload = out.message(json(3000));
        ck_assert_uint_lt(payload.size(), 100);
        ck_assert(received(context, payload) == json(3000));
    }
}
END_TEST

// Not with ThreadSanitizer, where realloc cannot be made to fail.
#if !defined(__SANITIZE_THREAD__)

START_TEST(a_resting_context_keeps_the_history_and_nothing_else) {
    DeflateContext context;
    ZlibDeflate out;
    ck_assert(!sent(context, json(2000)).empty());
    ck_assert(received(context, out.message(json(3000))) == json(3000));
    std::size_t largest = 0;
    std::size_t count = 0;
    {
        const FailingAllocator counting;
        context.rest(100, 100);
        largest = FailingAllocator::largest();
        count = FailingAllocator::count();
    }
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_lt(largest, 3100);
}
END_TEST

START_TEST(without_memory_for_the_history_the_inflater_stays) {
    DeflateContext context;
    ZlibDeflate out;
    ck_assert(received(context, out.message(json(3000))) == json(3000));
    {
        const FailingAllocator allocator(0);
        context.rest(100, 100);
        ck_assert(FailingAllocator::failed());
    }
    ck_assert(received(context, out.message(json(3000))) == json(3000));
}
END_TEST

START_TEST(a_message_without_memory_leaves_a_sound_stream) {
    DeflateContext context;
    ZlibInflate in;
    ck_assert(in.message(sent(context, json(900))) == json(900));
    const std::string text = json(1200, 5);
    const std::size_t failures = fail_each_allocation(
        [&] {
            ByteBuffer out;
            static_cast<void>(
                context.deflate(bytes(text), true, out, text.size(), kWithContext, 0));
            context.forget_last();
        },
        [](bool) {});
    ck_assert_uint_gt(failures, 0);
    ck_assert(in.message(sent(context, json(900))) == json(900));
}
END_TEST

#endif

WEBSOCKET_TEST_SUITE(deflate_context) {
    tcase_add_test(tests, both_directions_keep_their_context);
    tcase_add_test(tests, what_was_of_no_use_or_never_left_is_not_referred_to);
    tcase_add_test(tests, after_a_rest_the_client_may_still_refer_to_what_it_sent);
#if !defined(__SANITIZE_THREAD__)
    tcase_add_test(tests, a_resting_context_keeps_the_history_and_nothing_else);
    tcase_add_test(tests, without_memory_for_the_history_the_inflater_stays);
    tcase_add_test(tests, a_message_without_memory_leaves_a_sound_stream);
#endif
}
