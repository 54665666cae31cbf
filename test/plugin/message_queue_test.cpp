// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/message_queue.hpp"

#include <string>
#include <thread>

#include "engine/peer.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::base::ByteBuffer;
using websocket::plugin::MessageQueue;
using websocket::plugin::QueuedMessage;
using websocket::protocol::MessageType;

namespace {

QueuedMessage::Owner copy_of(std::string text) {
    return QueuedMessage::make(
        {MessageType::text, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()}, nullptr});
}

}  // namespace

START_TEST(empty_it_is_two_null_pointers) {
    static_assert(sizeof(MessageQueue) == 2 * sizeof(void*));
    MessageQueue queue;
    ck_assert(queue.pop() == nullptr);
}
END_TEST

START_TEST(copies_what_lies_in_a_shared_buffer) {
    std::string text = "hello";
    QueuedMessage::Owner message = copy_of(text);
    text = "gone!";
    ck_assert(text_of(message->payload) == "hello");
    ck_assert(message->type == MessageType::text);
    ck_assert_uint_ge(message->weight(), 5);
}
END_TEST

START_TEST(takes_over_a_buffer_without_a_copy) {
    ByteBuffer buffer;
    buffer.append(bytes(std::string(100'000, 'x')));
    const std::uint8_t* bytes = buffer.bytes().data();
    const QueuedMessage::Owner message =
        QueuedMessage::make({MessageType::binary, buffer.bytes(), &buffer});
    ck_assert_ptr_eq(message->payload.data(), bytes);
    ck_assert_uint_eq(message->payload.size(), 100'000);
    ck_assert_uint_ge(message->weight(), 100'000);
    ck_assert(buffer.empty());
}
END_TEST

START_TEST(empty_messages_weigh_something_too) {
    const QueuedMessage::Owner copied = copy_of("");
    ck_assert(copied->payload.empty());
    ck_assert_uint_gt(copied->weight(), 0);
    ByteBuffer buffer;
    const QueuedMessage::Owner taken = QueuedMessage::make({MessageType::text, {}, &buffer});
    ck_assert(taken->payload.empty());
}
END_TEST

START_TEST(without_memory_the_buffer_stays_where_it_was) {
    ByteBuffer buffer;
    buffer.append(bytes("kept"));
    const std::size_t failures = fail_each_allocation(
        [&] {
            ByteBuffer own = std::move(buffer);
            struct Back {
                ByteBuffer& from;
                ByteBuffer& to;
                ~Back() { to = std::move(from); }
            } back{own, buffer};
            static_cast<void>(QueuedMessage::make({MessageType::text, own.bytes(), &own}));
        },
        [&](bool failed) {
            if (failed) ck_assert(text_of(buffer.bytes()) == "kept");
        });
    ck_assert_uint_eq(failures, 1);
}
END_TEST

START_TEST(first_in_first_out) {
    MessageQueue queue;
    for (const char* text : {"1", "2", "3"}) queue.push(copy_of(text));
    ck_assert(text_of(queue.pop()->payload) == "1");
    queue.push(copy_of("4"));
    for (const char* text : {"2", "3", "4"}) ck_assert(text_of(queue.pop()->payload) == text);
    ck_assert(queue.pop() == nullptr);
    queue.push(copy_of("5"));
    ck_assert(text_of(queue.pop()->payload) == "5");
}
END_TEST

START_TEST(what_is_left_goes_with_the_queue) {
    MessageQueue queue;
    for (int i = 0; i < 10; ++i) queue.push(copy_of("left"));
    static_cast<void>(queue.pop());
    queue.push(copy_of("left"));
}  // the leak checker has the last word
END_TEST

START_TEST(a_loop_and_a_pool_thread_may_use_it_at_once) {
    constexpr int kMessages = 50'000;
    MessageQueue queue;
    std::thread loop([&] {
        for (int i = 0; i < kMessages; ++i) queue.push(copy_of(std::to_string(i)));
    });
    for (int next = 0; next < kMessages;) {
        const QueuedMessage::Owner message = queue.pop();
        if (message == nullptr) continue;
        if (text_of(message->payload) != std::to_string(next++)) ck_abort_msg("out of order");
    }
    loop.join();
}
END_TEST

WEBSOCKET_TEST_SUITE(message_queue) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, empty_it_is_two_null_pointers);
    tcase_add_test(tests, copies_what_lies_in_a_shared_buffer);
    tcase_add_test(tests, takes_over_a_buffer_without_a_copy);
    tcase_add_test(tests, empty_messages_weigh_something_too);
    tcase_add_test(tests, without_memory_the_buffer_stays_where_it_was);
    tcase_add_test(tests, first_in_first_out);
    tcase_add_test(tests, what_is_left_goes_with_the_queue);
    tcase_add_test(tests, a_loop_and_a_pool_thread_may_use_it_at_once);
}
