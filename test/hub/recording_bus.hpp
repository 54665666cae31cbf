// SPDX-License-Identifier: Apache-2.0
// A bus without other processes.
#pragma once

#include <atomic>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/service.hpp"
#include "hub/bus.hpp"

namespace websocket::test {

/// Remembers what it is told, and insists on the hub's promises.
class RecordingBus final : public hub::Bus {
public:
    void attach(Receiver& receiver, hub::Drops& /*losses*/) noexcept override { to = &receiver; }
    bool add_interest(const hub::TopicKey& key) noexcept override {
        const ForTheTest memory;
        if (!available) return false;
        bool added = false;
        interest.update([&](auto& keys) { added = keys.insert(std::string(key.bytes())).second; });
        if (!added) std::abort();
        return true;
    }
    void remove_interest(const hub::TopicKey& key) noexcept override {
        const ForTheTest memory;
        interest.update([&](auto& keys) {
            if (keys.erase(std::string(key.bytes())) != 1) std::abort();
        });
    }
    void show_subscribers(const hub::TopicKey& key, std::uint64_t count) noexcept override {
        const ForTheTest memory;
        shown.update([&](auto& counts) { counts[std::string(key.bytes())] = count; });
    }
    std::uint64_t subscribers(const hub::TopicKey& /*key*/) const noexcept override {
        return subscribers_elsewhere;
    }
    bool wanted(const hub::TopicKey& /*key*/) const noexcept override { return elsewhere; }
    hub::BusResult publish(const hub::TopicKey& /*key*/,
                           const engine::SharedFrame& frame) noexcept override {
        const ForTheTest memory;
        published.push_back(text_of(frame.bytes()));
        return result;
    }
    void tell_gap(std::string_view key, hub::GapReason why) noexcept override {
        const ForTheTest memory;
        gaps.emplace_back(std::string(key), why);
    }
    bool is_ordered() const noexcept override { return ordered; }
    hub::BusResult order(const hub::TopicKey& /*key*/,
                         const engine::SharedFrame& frame) noexcept override {
        const ForTheTest memory;
        to_order.push_back(frame);
        return order_result;
    }
    void report_soon() noexcept override {}
    void begin_stop() noexcept override {}
    bool stopped() const noexcept override { return true; }

    Receiver* to = nullptr;
    std::atomic<bool> available{true};
    std::atomic<bool> elsewhere{false};
    hub::BusResult result = hub::BusResult::ok;
    std::vector<std::string> published;
    std::atomic<bool> ordered{false};
    hub::BusResult order_result = hub::BusResult::ok;
    std::vector<engine::SharedFrame> to_order;
    std::vector<std::pair<std::string, hub::GapReason>> gaps;  ///< that others are told of
    Awaited<std::set<std::string>> interest;
    Awaited<std::map<std::string, std::uint64_t>> shown;  ///< the last of each topic
    std::atomic<std::uint64_t> subscribers_elsewhere{0};
};

}  // namespace websocket::test
