// SPDX-License-Identifier: Apache-2.0
#include "bridge/broker_kinds.hpp"

#include <stdexcept>
#include <utility>

#ifdef WEBSOCKET_HAS_REDIS
#include "bridge/redis_link.hpp"
#endif
#ifdef WEBSOCKET_HAS_NATS
#include "bridge/nats_link.hpp"
#endif

namespace websocket::bridge {

namespace {

using BrokerKind = hub::BrokerUrl::Kind;

#ifdef WEBSOCKET_HAS_REDIS
constexpr bool kHasRedis = true;
#else
constexpr bool kHasRedis = false;
#endif
#ifdef WEBSOCKET_HAS_NATS
constexpr bool kHasNats = true;
#else
constexpr bool kHasNats = false;
#endif

}  // namespace

bool knows_broker(BrokerKind kind) noexcept {
    return kind == BrokerKind::redis ? kHasRedis : kHasNats;
}

std::unique_ptr<BrokerLink> make_broker_link(net::Reactor& reactor, BrokerLinkOptions options,
                                             BrokerLink::Owner& owner, base::Log& log) {
#ifdef WEBSOCKET_HAS_REDIS
    if (options.url.kind == BrokerKind::redis) {
        return std::make_unique<RedisLink>(reactor, std::move(options), owner, log);
    }
#endif
#ifdef WEBSOCKET_HAS_NATS
    if (options.url.kind == BrokerKind::nats) {
        return std::make_unique<NatsLink>(reactor, std::move(options), owner, log);
    }
#endif
    throw std::invalid_argument("this program was built without what the broker needs");
}

}  // namespace websocket::bridge
