// SPDX-License-Identifier: Apache-2.0
// Wakes a thread that waits for descriptors.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include "base/descriptor.hpp"

namespace websocket::base {

/// A descriptor that is readable from wake() on.
class WakeEvent {
public:
    /// Throws std::system_error when there is no descriptor for it.
    WakeEvent() : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
        if (!event_.valid()) {
            throw std::system_error(errno, std::generic_category(), "eventfd");
        }
    }

    /// Async-signal-safe. [any thread]
    void wake() const noexcept {
        const std::uint64_t one = 1;
        // Fails only when the counter is full, behind 2^64 of them.
        static_cast<void>(!::write(event_.get(), &one, sizeof one));
    }
    [[nodiscard]] int descriptor() const noexcept { return event_.get(); }

private:
    Descriptor event_;
};

}  // namespace websocket::base
