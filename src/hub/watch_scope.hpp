// SPDX-License-Identifier: Apache-2.0
// Where changes of who is present in a topic are told.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "hub/topic_key.hpp"

namespace websocket::hub {

inline constexpr char kWatchMark = '@';

/// Of the scope of a topic: nothing is published there but that, under the topic's name, and no scope of topics is called
/// like it. Throws std::bad_alloc.
[[nodiscard]] inline std::string watch_scope(std::string_view scope) {
    return kWatchMark + std::string(scope);
}

/// Whether a topic is of that kind.
[[nodiscard]] inline bool is_watch_scope(std::string_view scope) noexcept {
    return scope.starts_with(kWatchMark);
}

/// The topic of which the other one tells.
[[nodiscard]] inline std::optional<TopicKey> watched_topic(const TopicKey& key,
                                                           const base::HashKey& hash_key) noexcept {
    if (!is_watch_scope(key.scope())) {
        return {};
    }
    return TopicKey::make(key.scope().substr(1), key.name(), hash_key);
}

}  // namespace websocket::hub
