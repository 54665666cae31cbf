// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "hub/topic_table.hpp"

#include <set>
#include <string>

#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::base::HashKey;
using websocket::engine::ConnectionId;
using websocket::hub::TopicKey;
using websocket::hub::TopicTable;

namespace {

TopicKey key(std::string_view name) { return *TopicKey::make("scope", name, HashKey{}); }

ConnectionId connection(std::uint32_t loop, std::uint32_t slot) { return {loop, slot, 1}; }

std::size_t subscribers(const TopicTable::Entry& topic, std::uint32_t loop) {
    for (const auto& share : topic.second.shares) {
        if (share.loop == loop) return share.subscribers;
    }
    return 0;
}

}  // namespace

START_TEST(finds_topics_by_scope_and_name) {
    TopicTable table;
    ck_assert(table.find(key("a")) == nullptr);
    TopicTable::Entry& a = table.find_or_add(key("a"));
    TopicTable::Entry& b = table.find_or_add(key("b"));
    ck_assert(&table.find_or_add(key("a")) == &a);
    ck_assert(table.find(key("b")) == &b);
    ck_assert(table.find(*TopicKey::make("other", "a", HashKey{})) == nullptr);
    ck_assert(TopicTable::bytes(a) == key("a").bytes());
    ck_assert_uint_eq(table.topics(), 2);
    table.drop(a);
    ck_assert(table.find(key("a")) == nullptr);
    ck_assert_uint_eq(table.topics(), 1);
}
END_TEST

START_TEST(a_group_is_never_used_again) {
    TopicTable table;
    std::set<std::uint64_t> groups;
    for (int i = 0; i < 100; ++i) {
        TopicTable::Entry& topic = table.find_or_add(key("same"));
        ck_assert(groups.insert(topic.second.group).second);
        table.drop(topic);
    }
    ck_assert(groups.count(0) == 0);
}
END_TEST

START_TEST(knows_who_subscribes_and_on_which_loops) {
    TopicTable table;
    TopicTable::Entry& a = table.find_or_add(key("a"));
    TopicTable::Entry& b = table.find_or_add(key("b"));
    table.subscribe(connection(0, 1), a);
    table.subscribe(connection(0, 2), a);
    table.subscribe(connection(3, 1), a);
    table.subscribe(connection(0, 1), b);
    ck_assert_uint_eq(subscribers(a, 0), 2);
    ck_assert_uint_eq(subscribers(a, 3), 1);
    ck_assert_uint_eq(subscribers(b, 0), 1);
    ck_assert_uint_eq(table.subscriptions(), 4);
    ck_assert_uint_eq(table.subscriptions_of(connection(0, 1)), 2);
    ck_assert(table.is_subscribed(connection(0, 2), a));
    ck_assert(!table.is_subscribed(connection(0, 2), b));
    ck_assert(!table.is_subscribed(connection(9, 9), a));

    table.unsubscribe(connection(0, 1), a);
    ck_assert(!table.is_subscribed(connection(0, 1), a));
    ck_assert(table.any_of(connection(0, 1)) == &b);
    table.unsubscribe(connection(3, 1), a);
    ck_assert_uint_eq(a.second.shares.size(), 1);
    table.unsubscribe(connection(0, 2), a);
    ck_assert(a.second.shares.empty());
    table.unsubscribe(connection(0, 1), b);
    ck_assert(table.any_of(connection(0, 1)) == nullptr);
    ck_assert_uint_eq(table.subscriptions(), 0);
}
END_TEST

START_TEST(subscribing_without_memory_changes_nothing) {
    for (const bool first : {true, false}) {
        const std::size_t failures = fail_each_allocation(
            [first] {
                TopicTable table;
                TopicTable::Entry* topic = nullptr;
                {
                    const FailingAllocator::Nested memory;
                    topic = &table.find_or_add(key("a"));
                    if (!first) table.subscribe(connection(0, 7), *topic);
                }
                const std::size_t before = topic->second.shares.size();
                try {
                    table.subscribe(connection(1, 1), *topic);
                    if (!table.is_subscribed(connection(1, 1), *topic)) std::abort();
                } catch (const std::bad_alloc&) {
                    const bool unchanged = topic->second.shares.size() == before &&
                                           table.any_of(connection(1, 1)) == nullptr &&
                                           table.subscriptions() == before;
                    if (!unchanged) std::abort();
                }
            },
            [](bool) {});
        ck_assert_uint_gt(failures, 2);
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(topic_table) {
    tcase_add_test(tests, finds_topics_by_scope_and_name);
    tcase_add_test(tests, a_group_is_never_used_again);
    tcase_add_test(tests, knows_who_subscribes_and_on_which_loops);
    tcase_add_test(tests, subscribing_without_memory_changes_nothing);
}
