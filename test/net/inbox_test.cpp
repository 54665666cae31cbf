// SPDX-License-Identifier: Apache-2.0
#include "net/inbox.hpp"

#include <memory>
#include <thread>
#include <vector>

#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using namespace std::chrono_literals;
using websocket::net::Inbox;
using websocket::net::Posted;
using websocket::net::Reactor;

namespace {

struct Item {
    std::uint32_t writer;
    std::uint32_t number;
};

/// An inbox and who reads it.
template <class Content>
struct Read {
    Reactor reactor{64ms};
    Inbox<Content> inbox;
    std::vector<Content> batch;

    explicit Read(std::size_t most = SIZE_MAX) : inbox(reactor, most) {}
    bool woken(std::chrono::milliseconds patience = 0ms) { return reactor.wait(patience).woken; }
};

constexpr auto kLongEnough = 60s;

}  // namespace

START_TEST(wakes_the_reader_once_for_a_batch) {
    Read<Item> read;
    ck_assert(!read.woken());
    for (std::uint32_t i = 1; i <= 3; ++i) ck_assert(read.inbox.post({0, i}) == Posted::yes);
    ck_assert(read.woken());
    ck_assert(!read.woken());
    read.inbox.take(read.batch);
    ck_assert_uint_eq(read.batch.size(), 3);
    for (std::uint32_t i = 0; i < 3; ++i) ck_assert_uint_eq(read.batch[i].number, i + 1);
    read.batch.clear();
    ck_assert(read.inbox.post({0, 4}) == Posted::yes);
    ck_assert(read.woken());
}
END_TEST

START_TEST(the_last_item_may_be_made_more_of_while_it_waits) {
    Read<Item> read;
    const auto add = [](Item& last) {
        if (last.writer != 7) return false;
        last.number += 10;
        return true;
    };
    ck_assert(!read.inbox.extend_last(add));
    ck_assert(read.inbox.post({7, 1}) == Posted::yes);
    ck_assert(read.inbox.extend_last(add));
    ck_assert(read.inbox.post({8, 2}) == Posted::yes);
    ck_assert(!read.inbox.extend_last(add));
    read.inbox.take(read.batch);
    ck_assert_uint_eq(read.batch.size(), 2);
    ck_assert_uint_eq(read.batch[0].number, 11);
    ck_assert_uint_eq(read.batch[1].number, 2);
    ck_assert(!read.inbox.extend_last(add));
}
END_TEST

START_TEST(closes_only_when_nothing_would_be_lost) {
    Read<std::unique_ptr<int>> read;
    ck_assert(read.inbox.post(std::make_unique<int>(1)) == Posted::yes);
    ck_assert(!read.inbox.close_if_empty());
    read.inbox.take(read.batch);
    ck_assert(read.inbox.close_if_empty());
    ck_assert(read.inbox.close_if_empty());
    auto late = std::make_unique<int>(2);
    ck_assert(read.inbox.post(std::move(late)) == Posted::closed);
    ck_assert_ptr_nonnull(late.get());  // untouched
}
END_TEST

START_TEST(a_full_inbox_takes_nothing_until_it_was_read) {
    Read<std::unique_ptr<int>> read(100);
    ck_assert(read.inbox.post(std::make_unique<int>(1), 99) == Posted::yes);
    ck_assert(read.inbox.post(std::make_unique<int>(2), 1'000) == Posted::yes);  // one beyond
    auto late = std::make_unique<int>(3);
    ck_assert(read.inbox.post(std::move(late), 1) == Posted::full);
    ck_assert_ptr_nonnull(late.get());  // untouched
    read.inbox.take(read.batch);
    ck_assert_uint_eq(read.batch.size(), 2);
    ck_assert(read.inbox.post(std::move(late), 1) == Posted::yes);
    read.inbox.close();
    ck_assert(read.inbox.post(std::make_unique<int>(4), 1) == Posted::closed);
}
END_TEST

START_TEST(without_memory_the_item_stays_with_its_sender) {
    Read<std::unique_ptr<int>> read;
    auto item = std::make_unique<int>(1);
    bool thrown = false;
    {
        const FailingAllocator allocator(0);
        try {
            static_cast<void>(read.inbox.post(std::move(item)));
        } catch (const std::bad_alloc&) {
            thrown = true;
        }
    }
    ck_assert(thrown);
    ck_assert_ptr_nonnull(item.get());
    ck_assert(read.inbox.post(std::move(item)) == Posted::yes);
    ck_assert(read.woken());
}
END_TEST

START_TEST(keeps_the_order_of_each_thread_and_loses_nothing) {
    constexpr std::uint32_t kWriters = 4;
    constexpr std::uint32_t kEach = 20'000;
    Read<Item> read;
    std::vector<std::thread> writers;
    for (std::uint32_t writer = 0; writer < kWriters; ++writer) {
        writers.emplace_back([&read, writer] {
            for (std::uint32_t i = 1; i <= kEach; ++i) {
                static_cast<void>(read.inbox.post({writer, i}));
            }
        });
    }
    std::vector<std::uint32_t> last(kWriters, 0);
    for (std::uint32_t taken = 0; taken < kWriters * kEach;) {
        if (!read.woken(kLongEnough)) ck_abort_msg("a wake-up is lost");
        read.inbox.take(read.batch);
        for (const Item& item : read.batch) {
            if (item.number != ++last[item.writer]) ck_abort_msg("out of order");
        }
        taken += static_cast<std::uint32_t>(read.batch.size());
        read.batch.clear();
    }
    for (std::thread& writer : writers) writer.join();
}
END_TEST

WEBSOCKET_TEST_SUITE(inbox) {
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, the_last_item_may_be_made_more_of_while_it_waits);
    tcase_add_test(tests, wakes_the_reader_once_for_a_batch);
    tcase_add_test(tests, closes_only_when_nothing_would_be_lost);
    tcase_add_test(tests, a_full_inbox_takes_nothing_until_it_was_read);
    tcase_add_test(tests, without_memory_the_item_stays_with_its_sender);
    tcase_add_test(tests, keeps_the_order_of_each_thread_and_loses_nothing);
}
