// SPDX-License-Identifier: Apache-2.0
// The local bus of the bridge to other hosts, and what the other processes tell it.
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "engine/awaiting.hpp"
#include "engine/service.hpp"
#include "hub/interest_sink.hpp"
#include "hub/local_bus.hpp"
#include "unit.hpp"

using websocket::engine::SharedFrame;
using websocket::hub::Bus;
using websocket::hub::BusResult;
using websocket::hub::Drops;
using websocket::hub::GapReason;
using websocket::hub::InterestSink;
using websocket::hub::LocalBus;
using websocket::hub::Registry;
using websocket::hub::TopicKey;
using websocket::test::Awaited;
using websocket::test::RecordingLog;

namespace {

/// A process' end of the bus, in this process.
struct End : Bus::Receiver, InterestSink {
    explicit End(const Registry& registry, bool is_bridge = false, std::size_t buffer = 16U << 20)
        : drops(log),
          bus(registry, {.buffer = buffer, .interests = is_bridge ? this : nullptr}, log) {
        bus.attach(*this, drops);
    }
    void receive(const TopicKey& /*key*/, const SharedFrame& frame) noexcept override {
        received.update([&](auto& all) {
            all.insert(std::string(frame.payload().begin(), frame.payload().end()));
        });
    }
    bool on_gap(std::string_view key, GapReason why) noexcept override {
        gaps.update([&](auto& all) { all.emplace(std::string(key), why); });
        return true;
    }
    void list_interests(const std::function<void(std::string_view)>& each) override {
        for (const std::string& key : subscribed.get()) each(key);
    }
    void on_interest(std::uint64_t link, const TopicKey& key, bool wanted) noexcept override {
        wants.update([&](auto& all) {
            if (wanted) {
                all.emplace(std::string(key.bytes()), link);
            } else {
                all.erase(std::string(key.bytes()));
            }
        });
    }
    void on_link_gone(std::uint64_t link) noexcept override {
        wants.update([&](auto& all) {
            std::erase_if(all, [&](const auto& one) { return one.second == link; });
        });
    }
    void subscribe(const TopicKey& key) {
        subscribed.update([&](auto& all) { all.emplace(key.bytes()); });
        ck_assert(bus.add_interest(key));
    }
    void await_gap(std::string_view key, GapReason why) {
        gaps.await(
            [&](const auto& all) {
                return all.contains({std::string(key), why});
            },
            "a gap to be told");
    }
    void await_wants(std::size_t count) {
        wants.await([&](const auto& all) { return all.size() == count; }, "what is wanted");
    }

    RecordingLog log;
    Drops drops;
    Awaited<std::set<std::string>> subscribed;
    Awaited<std::set<std::string>> received;
    Awaited<std::set<std::pair<std::string, GapReason>>> gaps;
    Awaited<std::multimap<std::string, std::uint64_t>> wants;
    LocalBus bus;  // its thread uses the others
};

TopicKey key_of(const Registry& registry, const std::string& name) {
    return TopicKey::make("=www", name, registry.hash_key()).value();
}

SharedFrame text(const std::string& words) {
    return SharedFrame::build(websocket::protocol::Opcode::text,
                              {reinterpret_cast<const std::uint8_t*>(words.data()), words.size()});
}

}  // namespace

START_TEST(a_bridge_gets_all_and_hears_what_is_wanted_before_it_came_and_later) {
    const Registry registry = Registry::create(4);
    End child(registry);
    child.subscribe(key_of(registry, "early"));
    ck_assert(!child.bus.wanted(key_of(registry, "any")));
    End bridge(registry, true);
    ck_assert(bridge.bus.become_bridge());
    ck_assert(child.bus.wanted(key_of(registry, "any")));
    bridge.await_wants(1);
    child.subscribe(key_of(registry, "late"));
    bridge.await_wants(2);
    child.bus.remove_interest(key_of(registry, "late"));
    bridge.await_wants(1);

    ck_assert(child.bus.publish(key_of(registry, "any"), text("up")) == BusResult::ok);
    bridge.received.await([](const auto& all) { return all.contains("up"); }, "what was published");
    ck_assert(bridge.bus.publish(key_of(registry, "early"), text("down")) == BusResult::ok);
    child.received.await([](const auto& all) { return all.contains("down"); }, "what came");
}
END_TEST

START_TEST(a_process_that_has_ended_wants_nothing) {
    const Registry registry = Registry::create(4);
    End bridge(registry, true);
    ck_assert(bridge.bus.become_bridge());
    {
        End child(registry);
        child.subscribe(key_of(registry, "a"));
        child.subscribe(key_of(registry, "b"));
        bridge.await_wants(2);
    }
    bridge.await_wants(0);
}
END_TEST

START_TEST(another_bridge_waits_for_the_end_of_the_first_and_is_told_all) {
    const Registry registry = Registry::create(4);
    End child(registry);
    for (int i = 0; i < 1000; ++i) child.subscribe(key_of(registry, std::to_string(i)));
    End second(registry, true);
    {
        End first(registry, true);
        ck_assert(first.bus.become_bridge());
        first.await_wants(1000);
        ck_assert(!second.bus.become_bridge());
        ck_assert(child.bus.publish(key_of(registry, "x"), text("first")) == BusResult::ok);
        first.received.await([](const auto& all) { return all.size() == 1; }, "a message");
    }
    ck_assert(second.bus.become_bridge());
    second.await_wants(1000);
    ck_assert(second.received.get().empty());
}
END_TEST

START_TEST(a_process_is_told_that_it_did_not_get_all_of_a_topic) {
    const Registry registry = Registry::create(4);
    End child(registry);
    End bridge(registry, true);
    ck_assert(bridge.bus.become_bridge());
    child.subscribe(key_of(registry, "news"));
    const std::string key(key_of(registry, "news").bytes());
    End narrow(registry, false, 1);  // what waits first is a greeting, and then there is no room
    ck_assert(narrow.bus.publish(key_of(registry, "news"), text("lost")) == BusResult::ok);
    child.await_gap(key, GapReason::busy);
    bridge.await_gap(key, GapReason::busy);
    ck_assert(child.received.get().empty());
    ck_assert_uint_eq(narrow.drops.total(websocket::hub::Drop::busy_process), 2);
}
END_TEST

START_TEST(a_gap_of_one_topic_goes_to_who_wants_it_and_one_of_all_to_everybody) {
    const Registry registry = Registry::create(4);
    End one(registry);
    End other(registry);
    one.subscribe(key_of(registry, "a"));
    other.subscribe(key_of(registry, "b"));
    End bridge(registry, true);
    ck_assert(bridge.bus.become_bridge());
    bridge.await_wants(2);
    const std::string key(key_of(registry, "a").bytes());
    bridge.bus.tell_gap(key, GapReason::hole);
    one.await_gap(key, GapReason::hole);
    bridge.bus.tell_gap(websocket::hub::kAllTopics, GapReason::reconnected);
    one.await_gap(websocket::hub::kAllTopics, GapReason::reconnected);
    other.await_gap(websocket::hub::kAllTopics, GapReason::reconnected);
    ck_assert_uint_eq(other.gaps.get().size(), 1);
}
END_TEST

WEBSOCKET_TEST_SUITE(bridge_side) {
    tcase_set_timeout(tests, websocket::test::kTestTimeout);
    tcase_add_test(tests, a_bridge_gets_all_and_hears_what_is_wanted_before_it_came_and_later);
    tcase_add_test(tests, a_process_that_has_ended_wants_nothing);
    tcase_add_test(tests, another_bridge_waits_for_the_end_of_the_first_and_is_told_all);
    tcase_add_test(tests, a_process_is_told_that_it_did_not_get_all_of_a_topic);
    tcase_add_test(tests, a_gap_of_one_topic_goes_to_who_wants_it_and_one_of_all_to_everybody);
}
