// SPDX-License-Identifier: Apache-2.0
// Notices that the process is to end while a thread of httpd sits in a handler for long.
#pragma once

#include <csignal>

#include "base/descriptor.hpp"
#include "httpd/takeover/relay.hpp"

namespace websocket::httpd {

/// Whether the process is to end as soon as it can. [any thread]
[[nodiscard]] bool has_to_end() noexcept;

/// Whether a signal that ends the process at once is held back: only where a StopWatch does.
/// [a thread with all signals blocked]
[[nodiscard]] bool stop_signal_waits() noexcept;

/// Where the thread in the handler is httpd's only one (prefork), it is what tells the child to go;
/// elsewhere the MPM does. There, too, the signal that ends the process at once has to wait until the
/// watch is gone, so that clients are told first. [httpd worker]
class StopWatch final : public RelayWatch {
public:
    StopWatch() noexcept;
    ~StopWatch() override { release_signals(); }
    StopWatch(const StopWatch&) = delete;
    StopWatch& operator=(const StopWatch&) = delete;

    [[nodiscard]] bool look() noexcept override;
    [[nodiscard]] int descriptor() const noexcept override {
        return stopping_ ? -1 : signals_.get();
    }

private:
    [[nodiscard]] bool signal_waits() const noexcept;
    void release_signals() noexcept;

    const bool only_thread_;
    base::Descriptor signals_;  ///< readable when a signal waits; invalid when none is held back
    sigset_t before_{};
    bool stopping_ = false;
};

}  // namespace websocket::httpd
