// SPDX-License-Identifier: Apache-2.0
// Addresses of hosts, without waiting for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/address.hpp"
#include "net/reactor.hpp"

namespace websocket::net {

/// Asks the system, and so whatever it is configured to ask: its files, DNS and others. getaddrinfo(3) blocks,
/// for as long as it likes, and cannot be told to stop; so each question has a thread, which nobody waits for
/// and which ends with its answer. One question at a time is listened to. [loop]
class Resolver {
public:
    /// Addresses in the order in which they should be tried; without any, `error` says why.
    using Done = std::function<void(std::vector<Address> addresses, const std::string& error)>;
    /// Questions that were given up and have not been answered yet, at most.
    static constexpr std::size_t kMostRunning = 4;

    /// The reactor outlives it.
    explicit Resolver(Reactor& reactor) noexcept;
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;
    ~Resolver();

    /// Calls `done` once, unless this is destroyed, cancelled or asked again before; for an address in numbers
    /// before it returns. A question that is still under way is not asked a second time. `done` may destroy
    /// this. Throws std::bad_alloc.
    void resolve(const std::string& host, std::uint16_t port, Done done);
    /// Listens to no answer any more.
    void cancel() noexcept;

private:
    class Question;
    struct Listening;

    void listen(std::shared_ptr<Question> question);
    void answered();

    Reactor& reactor_;
    std::vector<std::shared_ptr<Question>> running_;  ///< some of which may have been answered
    std::unique_ptr<Listening> listening_;
    std::uint16_t port_ = 0;
    Done done_;
};

}  // namespace websocket::net
