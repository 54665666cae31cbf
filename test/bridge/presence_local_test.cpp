// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "bridge/presence_local.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/presence_message.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::bridge::LocalPresence;
using websocket::bridge::PresenceChange;
using websocket::bridge::PresenceMessage;
using websocket::hub::PresenceStore;
using websocket::hub::TopicKey;
using websocket::test::fail_each_allocation;

namespace {

std::size_t count_changes(const std::optional<std::string>& text) {
    std::size_t count = 0;
    std::string_view changes = text ? PresenceMessage::of_message(*text).value().changes : "";
    while (PresenceChange::take(changes)) ++count;
    return count;
}

}  // namespace

START_TEST(what_memory_runs_out_for_is_told_later_or_seen_to_be_missing) {
    constexpr std::size_t kMembers = 20;
    PresenceStore store = PresenceStore::create(std::size_t{1} << 20, 8);
    const PresenceStore::Self self = store.claim().value();
    const TopicKey lobby = TopicKey::make("=www", "lobby", {}).value();
    LocalPresence local(store, {});
    std::size_t members = 0;
    std::uint64_t before = 0;
    const auto more_come = [&] {
        for (std::size_t i = 0; i < kMembers; ++i) {
            ck_assert(store.enter(lobby, self, std::to_string(++members), "1") ==
                      PresenceStore::Result::ok);
        }
        local.look_at(lobby.bytes());
        before = local.sequence();
    };
    more_come();
    const std::size_t failures = fail_each_allocation(
        [&] { static_cast<void>(local.next(0ms)); },
        [&](bool failed) {
            const std::optional<std::string> next = local.next(0ms);
            const bool is_missing = local.sequence() > before + (next ? 1 : 0);
            ck_assert(!failed || count_changes(next) == kMembers || is_missing);
            more_come();
        });
    ck_assert_uint_gt(failures, 0);
}
END_TEST

WEBSOCKET_TEST_SUITE(presence_local) {
    tcase_add_test(tests, what_memory_runs_out_for_is_told_later_or_seen_to_be_missing);
}
