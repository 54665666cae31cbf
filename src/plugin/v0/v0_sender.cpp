// SPDX-License-Identifier: Apache-2.0
#include "plugin/v0/v0_sender.hpp"

#include <cstdint>
#include <utility>

namespace websocket::plugin {

namespace {

constinit thread_local const V0Session* callback_of = nullptr;
// Of a thread of the plugin's own.
constinit thread_local std::uint64_t first_client = 0;
constinit thread_local bool has_several_clients = false;

}  // namespace

V0Sender::Callback::Callback(const V0Session& session) noexcept
    : outer_(std::exchange(callback_of, &session)) {}

V0Sender::Callback::~Callback() { callback_of = outer_; }

void V0Sender::note(engine::ConnectionId client) noexcept {
    if (callback_of != nullptr || first_client == client.value()) {
        return;
    }
    has_several_clients = has_several_clients || first_client != 0;
    first_client = client.value();
}

bool V0Sender::in_callback_of(const V0Session& session) noexcept { return callback_of == &session; }

bool V0Sender::holds_up_others(const V0Session& session) noexcept {
    return callback_of != nullptr ? callback_of != &session : has_several_clients;
}

}  // namespace websocket::plugin
