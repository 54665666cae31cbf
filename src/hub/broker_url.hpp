// SPDX-License-Identifier: Apache-2.0
// Where the broker is that carries topics between hosts, as administrators write it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace websocket::hub {

struct BrokerUrl {
    enum class Kind : std::uint8_t { redis, nats };
    struct Host {
        std::string name;  ///< or an address, without the brackets of IPv6
        std::uint16_t port;
    };
    Kind kind = Kind::redis;
    bool tls = false;
    std::string socket_path;  ///< of a Unix socket; then there are no hosts
    std::vector<Host> hosts;  ///< one, those of the sentinels, or of a cluster of NATS
    std::string master;       ///< what the sentinels call the server; empty without sentinels
    std::string user;  ///< may be empty with a password: Redis' default user, or a token of NATS
    std::string password;
    std::string sentinel_password;  ///< never in the text of a URL; empty for none
    unsigned database = 0;          ///< channels belong to a server, not to one of its databases

    /// For people; without the password. Throws std::bad_alloc.
    [[nodiscard]] std::string describe() const;
};

struct ParsedBrokerUrl {
    BrokerUrl url;
    std::string error;  ///< what is wrong and what is allowed, without any password; empty: nothing
};

/// Throws std::bad_alloc. [any thread]
[[nodiscard]] ParsedBrokerUrl parse_broker_url(std::string_view text);

}  // namespace websocket::hub
