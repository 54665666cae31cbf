// SPDX-License-Identifier: Apache-2.0
#include "plugin/v1/v1_delivery.hpp"

#include "plugin/v1/v1_session.hpp"

namespace websocket::plugin {

void deliver(engine::Loop& loop, const V1Call::Ref& call, std::uint32_t events) noexcept {
    if (call->owner().generation() == 0) {
        call->instance().call(call, events);
        return;
    }
    engine::Channel* channel = loop.serving(call->owner());
    if (channel == nullptr) {
        return;
    }
    // A plugin may name connections of others, which may be of another version.
    auto* session = dynamic_cast<V1Session*>(channel->session());
    if (session == nullptr) {
        return;
    }
    if (!channel->is_connection()) {
        session->call(call,
                      events);  // what it sends to an event stream leaves at the end of the turn
        return;
    }
    const engine::Corked corked(loop.cork(), *static_cast<engine::Connection*>(channel));
    session->call(call, events);
}

bool is_open(V1Instance& instance, engine::ConnectionId owner) noexcept {
    return owner.value() == 0 || instance.host().engine.queued(owner).has_value();
}

}  // namespace websocket::plugin
