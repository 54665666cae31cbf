// SPDX-License-Identifier: Apache-2.0
#include "bridge/channel.hpp"

#include <cstdint>

namespace websocket::bridge {

std::string channel_of(std::string_view prefix, std::string_view key) {
    std::string_view rest = key;
    const auto size = static_cast<std::size_t>(static_cast<std::uint8_t>(rest.front()));
    std::string_view scope = rest.substr(1, size);
    rest.remove_prefix(1 + size);

    std::string channel(prefix);
    channel.reserve(prefix.size() + key.size() + 16);
    if (scope.starts_with('=')) {
        scope.remove_prefix(1);
        if (scope.starts_with('@')) {
            channel += "%40";
            scope.remove_prefix(1);
        }
    } else {
        channel += '@';
    }
    for (const char c : scope) {
        switch (c) {
            case '%': channel += "%25"; break;
            case ':': channel += "%3A"; break;
            default: channel += c;
        }
    }
    channel += ':';
    channel += rest;
    return channel;
}

}  // namespace websocket::bridge
