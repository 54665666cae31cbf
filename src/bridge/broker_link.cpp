// SPDX-License-Identifier: Apache-2.0
#include "bridge/broker_link.hpp"

#include <utility>

#include "bridge/redis_link.hpp"

namespace websocket::bridge {

std::unique_ptr<BrokerLink> make_broker_link(net::Reactor& reactor, BrokerLinkOptions options,
                                             BrokerLink::Owner& owner, base::Log& log) {
    return std::make_unique<RedisLink>(reactor, std::move(options), owner, log);
}

}  // namespace websocket::bridge
