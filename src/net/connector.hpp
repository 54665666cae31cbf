// SPDX-License-Identifier: Apache-2.0
// A TCP connection to a host that may have several addresses.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/descriptor.hpp"
#include "net/address.hpp"
#include "net/reactor.hpp"

#include "net/timer.hpp"

namespace websocket::net {

/// Tries one address after the other, IPv6 and IPv4 in turn. The next one begins when one has failed or has been
/// silent for a while, without giving that up (RFC 8305): the first that answers wins. It waits for as long as
/// the system does, minutes; whoever is less patient destroys it. [loop]
class Connector {
public:
    /// A connected socket that does not block, with TCP_NODELAY; or without one, why.
    using Done = std::function<void(base::Descriptor socket, const std::string& error)>;
    /// RFC 8305 section 5.
    static constexpr std::chrono::milliseconds kPatience{250};
    /// More are not tried.
    static constexpr std::size_t kMostAddresses = 16;

    /// Calls `done` once, unless it is destroyed before; never inside of the constructor. `done` may destroy
    /// this. The reactor outlives it. Throws std::bad_alloc.
    Connector(Reactor& reactor, std::vector<Address> addresses, Done done);
    Connector(const Connector&) = delete;
    Connector& operator=(const Connector&) = delete;
    ~Connector();

private:
    struct Attempt;

    void go_on() noexcept;
    void try_next();
    /// Why not; empty when it has begun.
    [[nodiscard]] std::string begin(const Address& address);
    void ready(Attempt& attempt);
    void finish(base::Descriptor socket, const std::string& error);
    void note(const Address& address, const std::string& why) noexcept;

    Reactor& reactor_;
    std::vector<Address> addresses_;
    const Done done_;
    std::size_t next_ = 0;  ///< in addresses_
    std::vector<std::unique_ptr<Attempt>> attempts_;
    std::string errors_;
    Timer timer_;
};

}  // namespace websocket::net
