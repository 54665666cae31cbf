// SPDX-License-Identifier: Apache-2.0
#include "hub/history.hpp"

#include <algorithm>
#include <chrono>

namespace websocket::hub {

/// The same in all processes, and it never goes back.
HistoryStore::Time History::now() noexcept {
    return std::chrono::duration_cast<HistoryStore::Time>(
        std::chrono::steady_clock::now().time_since_epoch());
}

const HistoryLimits* History::limits_of(const TopicKey& key) const noexcept {
    if (key.is_of_process()) {
        return nullptr;
    }
    const auto holds = [&](const HistoryRule& rule) {
        return (rule.scope.empty() || rule.scope == key.scope()) &&
               rule.pattern.matches(key.name());
    };
    const auto rule = std::ranges::find_if(rules_, holds);
    return rule != rules_.end() ? &rule->limits : nullptr;
}

template <class Answer>
Answer History::checked(Answer answer) noexcept {
    if (!answer) {
        log_.print(base::LogLevel::error, "WS0511: the memory of topics' history could not be "
                                          "used: a process was stopped while it had it");
    }
    return answer;
}

std::optional<Position> History::append(const TopicKey& key, const HistoryLimits& limits,
                                        protocol::Opcode opcode,
                                        std::span<const std::uint8_t> payload,
                                        std::string_view fields) noexcept {
    return checked(store_.append(key, limits, opcode, payload, fields, now()));
}

Placed History::append_at(const TopicKey& key, const HistoryLimits& limits,
                          const OrderedMessage& message) noexcept {
    return store_.append_at(key, limits, message, now());
}

std::optional<OrderState> History::order_of(const TopicKey& key) noexcept {
    return checked(store_.order_of(key));
}

std::optional<Position> History::start_of(const TopicKey& key) noexcept {
    return checked(store_.start_of(key));
}

std::optional<Position> History::top(const TopicKey& key, const HistoryLimits& limits) noexcept {
    return checked(store_.top(key, limits, now()));
}

std::optional<HistoryExcerpt> History::read(const TopicKey& key, const HistoryLimits& limits,
                                            const HistoryRange& range) {
    return checked(store_.read(key, limits, range, now()));
}

}  // namespace websocket::hub
