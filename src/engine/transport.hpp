// SPDX-License-Identifier: Apache-2.0
// What carries the bytes of one connection.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace websocket::engine {

enum class IoStatus : std::uint8_t {
    done,         ///< `count` octets, at least one
    would_block,  ///< none now; the descriptor will become ready
    closed,       ///< the peer will send no more
    failed,       ///< the connection is unusable
};

struct IoResult {
    IoStatus status;
    std::size_t count = 0;
};

/// Never blocks, never throws, raises no signal. Owned and called by one loop. [loop]
class Transport {
public:
    virtual ~Transport() = default;

    [[nodiscard]] virtual IoResult read(std::span<std::uint8_t> into) noexcept = 0;

    /// Writes from the front of `from`; a short count is not an error.
    [[nodiscard]] virtual IoResult write(std::span<const iovec> from) noexcept = 0;

    /// Tells the peer that nothing more will come; reading goes on.
    virtual void shutdown_write() noexcept = 0;

    /// What to poll for readiness; valid as long as the transport.
    [[nodiscard]] virtual int descriptor() const noexcept = 0;
};

}  // namespace websocket::engine
