// SPDX-License-Identifier: Apache-2.0
// Which topics have a history, and what this process does with the memory in which it is.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "hub/history_store.hpp"
#include "hub/topic_pattern.hpp"

namespace websocket::hub {

/// Of several that match, the first one holds.
struct HistoryRule {
    std::string scope;  ///< empty for all
    TopicPattern pattern;
    HistoryLimits limits;
};

/// Answers nothing when the memory cannot be had, and says so in the log. [any thread]
class History {
public:
    History(const HistoryStore& store, std::vector<HistoryRule> rules, base::Log& log)
        : store_(store), rules_(std::move(rules)), log_(log) {}

    /// Null when the topic has no history.
    [[nodiscard]] const HistoryLimits* limits_of(const TopicKey& key) const noexcept;

    [[nodiscard]] std::optional<Position> append(const TopicKey& key, const HistoryLimits& limits,
                                                 protocol::Opcode opcode,
                                                 std::span<const std::uint8_t> payload,
                                                 std::string_view fields) noexcept;
    // See HistoryStore for these.
    [[nodiscard]] Placed append_at(const TopicKey& key, const HistoryLimits& limits,
                                   const OrderedMessage& message) noexcept;
    [[nodiscard]] bool begin_epoch(const TopicKey& key, const Position& behind, std::uint64_t seen,
                                   std::int64_t broker_time) noexcept {
        return store_.begin_epoch(key, behind, seen, broker_time);
    }
    [[nodiscard]] std::optional<OrderState> order_of(const TopicKey& key) noexcept;
    [[nodiscard]] std::optional<Position> start_of(const TopicKey& key) noexcept;
    /// By the clock of the memory.
    [[nodiscard]] static HistoryStore::Time now() noexcept;
    [[nodiscard]] std::optional<Position> top(const TopicKey& key,
                                              const HistoryLimits& limits) noexcept;
    [[nodiscard]] std::uint64_t appended() const noexcept { return store_.appended(); }
    /// Throws std::bad_alloc.
    [[nodiscard]] std::optional<HistoryExcerpt>
    read(const TopicKey& key, const HistoryLimits& limits, const HistoryRange& range);

private:
    template <class Answer>
    Answer checked(Answer answer) noexcept;

    HistoryStore store_;
    const std::vector<HistoryRule> rules_;
    base::Log& log_;
};

}  // namespace websocket::hub
