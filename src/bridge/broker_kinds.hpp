// SPDX-License-Identifier: Apache-2.0
// Which brokers this program was built for.
#pragma once

#include <memory>

#include "base/log.hpp"
#include "bridge/broker_link.hpp"
#include "hub/broker_url.hpp"
#include "net/reactor.hpp"

namespace websocket::bridge {

/// Whether this program was built with what the kind needs.
[[nodiscard]] bool knows_broker(hub::BrokerUrl::Kind kind) noexcept;

/// Of the kind that the URL says, which is known. The reactor, the owner and the log outlive it. Throws
/// std::system_error without a thread or a descriptor.
[[nodiscard]] std::unique_ptr<BrokerLink> make_broker_link(net::Reactor& reactor,
                                                           BrokerLinkOptions options,
                                                           BrokerLink::Owner& owner,
                                                           base::Log& log);

}  // namespace websocket::bridge
