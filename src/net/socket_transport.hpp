// SPDX-License-Identifier: Apache-2.0
// Plain TCP.
#pragma once

#include "base/descriptor.hpp"
#include "net/transport.hpp"

namespace websocket::net {

class SocketTransport final : public Transport {
public:
    /// A connected stream socket; is made non-blocking.
    explicit SocketTransport(base::Descriptor socket) noexcept;

    [[nodiscard]] IoResult read(std::span<std::uint8_t> into) noexcept override;
    [[nodiscard]] IoResult write(std::span<const iovec> from) noexcept override;
    [[nodiscard]] bool shutdown_write() noexcept override;
    [[nodiscard]] int descriptor() const noexcept override { return socket_.get(); }

private:
    [[nodiscard]] IoResult write_one(const iovec& from) noexcept;

    base::Descriptor socket_;
};

}  // namespace websocket::net
