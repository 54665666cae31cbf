// SPDX-License-Identifier: Apache-2.0
#include "plugin/v1/v1_loader.hpp"

#include <algorithm>
#include <cstring>

namespace websocket::plugin {

namespace {

std::string objection_to(const ws_plugin& plugin) {
    const bool on_loop = (plugin.flags & WS_NEVER_BLOCKS) != 0;
    const bool in_pool = (plugin.flags & WS_POOL) != 0;
    constexpr std::uint32_t kKnown =
        WS_NEVER_BLOCKS | WS_POOL | WS_WANTS_FRAGMENTS | WS_KEEP_REQUEST;
    if (plugin.name == nullptr || *plugin.name == '\0') {
        return "name is missing";
    }
    if (on_loop == in_pool) {
        return "flags need either WS_NEVER_BLOCKS or WS_POOL";
    }
    if ((plugin.flags & ~kKnown) != 0) {
        return "unknown flags; the plugin needs a newer mod_websocket";
    }
    if ((plugin.flags & WS_WANTS_FRAGMENTS) != 0) {
        return plugin.on_fragment != nullptr ? "" : "on_fragment handler is NULL";
    }
    return plugin.on_message != nullptr ? "" : "on_message handler is NULL";
}

}  // namespace

ws_plugin read_v1_plugin(const WebSocketPlugin& plugin, std::string& objection) {
    ws_plugin known{};
    if (plugin.size < kMinV1Size) {
        objection = "invalid plugin size; check plugin version and compiler";
        return known;
    }
    std::memcpy(&known, &plugin, std::min<std::size_t>(plugin.size, sizeof known));
    objection = objection_to(known);
    return known;
}

}  // namespace websocket::plugin
