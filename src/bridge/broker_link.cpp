// SPDX-License-Identifier: Apache-2.0
#include "bridge/broker_link.hpp"

#include <stdexcept>
#include <utility>

#ifdef WEBSOCKET_HAS_REDIS
#include "bridge/redis_link.hpp"
#endif
#ifdef WEBSOCKET_HAS_NATS
#include "bridge/nats_link.hpp"
#endif

namespace websocket::bridge {

std::unique_ptr<BrokerLink> make_broker_link(net::Reactor& reactor, BrokerLinkOptions options,
                                             BrokerLink::Owner& owner, base::Log& log) {
#ifdef WEBSOCKET_HAS_REDIS
    if (options.url.kind == hub::BrokerUrl::Kind::redis) {
        return std::make_unique<RedisLink>(reactor, std::move(options), owner, log);
    }
#endif
#ifdef WEBSOCKET_HAS_NATS
    if (options.url.kind == hub::BrokerUrl::Kind::nats) {
        return std::make_unique<NatsLink>(reactor, std::move(options), owner, log);
    }
#endif
    throw std::invalid_argument("a broker that this program was not built for");
}

bool knows_broker(hub::BrokerUrl::Kind kind) noexcept {
    switch (kind) {
        case hub::BrokerUrl::Kind::redis:
#ifdef WEBSOCKET_HAS_REDIS
            return true;
#else
            return false;
#endif
        case hub::BrokerUrl::Kind::nats:
#ifdef WEBSOCKET_HAS_NATS
            return true;
#else
            return false;
#endif
    }
    return false;
}

}  // namespace websocket::bridge
