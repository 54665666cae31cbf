// SPDX-License-Identifier: Apache-2.0
// Notices that the process is to end while a thread of httpd sits in a handler for long.
#pragma once

#include <csignal>

#include "engine/descriptor.hpp"
#include "httpd/child.hpp"
#include "httpd/relay.hpp"

namespace websocket::httpd {

/// Has the child close its connections when the MPM wants it to end. Where the only thread of
/// httpd is this one (prefork), the signal that ends the process at once has to wait until the watch
/// is gone, so that clients are told first. [httpd worker]
class StopWatch final : public RelayWatch {
public:
    explicit StopWatch(Child& child) noexcept;
    ~StopWatch() override;
    StopWatch(const StopWatch&) = delete;
    StopWatch& operator=(const StopWatch&) = delete;

    [[nodiscard]] bool look() noexcept override;
    [[nodiscard]] int descriptor() const noexcept override {
        return stopping_ ? -1 : signals_.get();
    }

private:
    [[nodiscard]] bool must_stop() const noexcept;

    Child& child_;
    engine::Descriptor signals_;  ///< readable when a signal waits; invalid with other MPMs
    sigset_t before_{};
    bool stopping_ = false;
};

}  // namespace websocket::httpd
