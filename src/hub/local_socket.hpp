// SPDX-License-Identifier: Apache-2.0
// Sockets between processes of one host and one user. They have names without files (the abstract
// namespace of Linux): nothing stays behind when a process is killed, and no directory has to be
// writable.
#pragma once

#include <cerrno>
#include <cstdint>

#include "base/descriptor.hpp"

namespace websocket::hub {

/// A socket that accepts connections to `address`; never blocks. Invalid, and errno tells why,
/// when there is none. [any thread]
[[nodiscard]] base::Descriptor listen_as(std::uint64_t address) noexcept;

/// A socket that is connected to `address`; never blocks. Invalid, and errno tells why:
/// ECONNREFUSED when nobody listens there, EAGAIN when too many wait to be accepted, EPERM when it
/// is somebody else's. [any thread]
[[nodiscard]] base::Descriptor connect_to(std::uint64_t address) noexcept;

/// Whether this errno of connect_to() says that the process has ended. A process listens before
/// anybody learns its address, so a name that nobody has, or another user, was left behind.
[[nodiscard]] constexpr bool has_ended(int error) noexcept {
    return error == ECONNREFUSED || error == EPERM;
}

/// The next connection that waits, if it is from a process of this user. Invalid, and errno tells
/// why; EACCES: somebody else has been turned away. [any thread]
[[nodiscard]] base::Descriptor accept_from(int listener) noexcept;

}  // namespace websocket::hub
