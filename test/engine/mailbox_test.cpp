// SPDX-License-Identifier: Apache-2.0
#include "engine/mailbox.hpp"

#include <poll.h>

#include <thread>
#include <vector>

#include "engine/connection.hpp"
#include "engine/peer.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::Command;
using websocket::engine::ConnectionId;
using websocket::engine::Mailbox;
using websocket::engine::SharedFrame;

namespace {

Command numbered(std::uint32_t writer, std::uint32_t number) {
    return {Command::Kind::send, ConnectionId(0, writer, number)};
}

bool readable(const Mailbox& mailbox, std::chrono::milliseconds patience = 0ms) {
    pollfd poll{mailbox.descriptor(), POLLIN, 0};
    return ::poll(&poll, 1, static_cast<int>(patience.count())) > 0;
}

}  // namespace

START_TEST(wakes_the_reader_once_for_a_batch) {
    Mailbox mailbox;
    std::vector<Command> batch;
    ck_assert(!readable(mailbox));
    for (std::uint32_t i = 1; i <= 3; ++i) ck_assert(mailbox.post(numbered(0, i)));
    ck_assert(readable(mailbox));
    mailbox.take(batch);
    ck_assert(!readable(mailbox));
    ck_assert_uint_eq(batch.size(), 3);
    for (std::uint32_t i = 0; i < 3; ++i) ck_assert_uint_eq(batch[i].id.generation(), i + 1);
    batch.clear();
    ck_assert(mailbox.post(numbered(0, 4)));
    ck_assert(readable(mailbox));
}
END_TEST

START_TEST(can_be_woken_without_a_request) {
    Mailbox mailbox;
    for (int i = 0; i < 1000; ++i) mailbox.wake();
    ck_assert(readable(mailbox));
    std::vector<Command> batch;
    mailbox.take(batch);
    ck_assert(batch.empty());
    ck_assert(!readable(mailbox));
}
END_TEST

START_TEST(closes_only_when_nothing_would_be_lost) {
    Mailbox mailbox;
    std::vector<Command> batch;
    ck_assert(mailbox.post(numbered(0, 1)));
    ck_assert(!mailbox.close_if_empty());
    mailbox.take(batch);
    ck_assert(mailbox.close_if_empty());
    ck_assert(mailbox.close_if_empty());
    Command late(Command::Kind::send, ConnectionId(0, 0, 2), SharedFrame::join(octets("x"), {}));
    ck_assert(!mailbox.post(std::move(late)));
    ck_assert(late.frame);  // untouched
}
END_TEST

START_TEST(without_memory_the_request_stays_with_its_sender) {
    Mailbox mailbox;
    Command command(Command::Kind::send, ConnectionId(0, 0, 1), SharedFrame::join(octets("x"), {}));
    bool thrown = false;
    {
        const FailingAllocator allocator(0);
        try {
            static_cast<void>(mailbox.post(std::move(command)));
        } catch (const std::bad_alloc&) {
            thrown = true;
        }
    }
    ck_assert(thrown);
    ck_assert(command.frame);
    ck_assert(mailbox.post(std::move(command)));
    ck_assert(readable(mailbox));
}
END_TEST

START_TEST(keeps_the_order_of_each_thread_and_loses_nothing) {
    constexpr std::uint32_t kWriters = 4;
    constexpr std::uint32_t kEach = 20'000;
    Mailbox mailbox;
    std::vector<std::thread> writers;
    for (std::uint32_t writer = 0; writer < kWriters; ++writer) {
        writers.emplace_back([&mailbox, writer] {
            for (std::uint32_t i = 1; i <= kEach; ++i) {
                static_cast<void>(mailbox.post(numbered(writer, i)));
            }
        });
    }
    std::vector<std::uint32_t> last(kWriters, 0);
    std::vector<Command> batch;
    for (std::uint32_t taken = 0; taken < kWriters * kEach;) {
        if (!readable(mailbox, kPatience)) ck_abort_msg("a wake-up is lost");
        mailbox.take(batch);
        for (const Command& command : batch) {
            if (command.id.generation() != ++last[command.id.slot()]) ck_abort_msg("out of order");
        }
        taken += static_cast<std::uint32_t>(batch.size());
        batch.clear();
    }
    for (std::thread& writer : writers) writer.join();
}
END_TEST

WEBSOCKET_TEST_SUITE(mailbox) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, wakes_the_reader_once_for_a_batch);
    tcase_add_test(tests, can_be_woken_without_a_request);
    tcase_add_test(tests, closes_only_when_nothing_would_be_lost);
    tcase_add_test(tests, without_memory_the_request_stays_with_its_sender);
    tcase_add_test(tests, keeps_the_order_of_each_thread_and_loses_nothing);
}
