// SPDX-License-Identifier: Apache-2.0
// What httpd's parent process says to the program while it runs.
#pragma once

#include "net/reactor.hpp"

namespace websocket::bridge {

/// A message with a descriptor: the new error log, after a restart. The end: httpd and its children are gone. [loop]
class Control final : private net::EventHandler {
public:
    /// Closes the descriptor when it is destroyed. The reactor outlives it.
    Control(net::Reactor& reactor, int descriptor) noexcept;
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;
    ~Control();

    [[nodiscard]] bool ended() const noexcept { return ended_; }

private:
    void on_ready(std::uint32_t events) override;

    net::Reactor& reactor_;
    const base::Descriptor socket_;
    bool ended_ = false;
};

}  // namespace websocket::bridge
