// SPDX-License-Identifier: Apache-2.0
// ws.leader/1
#include <string_view>

#include "hub/leaders.hpp"
#include "plugin/v1/v1_host.hpp"
#include "plugin/v1/v1_instance.hpp"

namespace websocket::plugin {

namespace {

bool is_name(const void* name, uint64_t n) {
    return name != nullptr && n >= 1 && n <= hub::TopicKey::kMaxName;
}

std::string_view view(const void* name, uint64_t n) {
    return {static_cast<const char*>(name), static_cast<std::size_t>(n)};
}

ws_result lead(const ws_host* host, const void* name, uint64_t n) {
    if (host == nullptr || !is_name(name, n)) {
        return WS_BAD_ARG;
    }
    const V1Instance& instance = V1Instance::of(host);
    switch (
        instance.host().leaders->lead(instance.endpoint().topics.scope, view(name, n), &instance)) {
        case hub::Leadership::leads: return WS_OK;
        case hub::Leadership::bad_name:  // names are checked before, and scopes are short
        case hub::Leadership::follows: return WS_FULL;
        case hub::Leadership::no_memory: break;
    }
    return WS_NO_MEMORY;
}

void resign(const ws_host* host, const void* name, uint64_t n) {
    if (host != nullptr && is_name(name, n)) {
        const V1Instance& instance = V1Instance::of(host);
        instance.host().leaders->resign(instance.endpoint().topics.scope, view(name, n), &instance);
    }
}

}  // namespace

const void* leader_extension() noexcept {
    static constexpr ws_leader_1 kTable{sizeof(ws_leader_1), 0, lead, resign};
    return &kTable;
}

}  // namespace websocket::plugin
