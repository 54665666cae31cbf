// SPDX-License-Identifier: Apache-2.0
// The compressed streams of a connection whose messages refer to earlier ones.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "base/byte_buffer.hpp"
#include "engine/tick.hpp"
#include "protocol/deflate_settings.hpp"
#include "protocol/deflater.hpp"
#include "protocol/inflater.hpp"

namespace websocket::engine {

/// Each direction takes memory with its first compressed message. [loop]
class DeflateContext {
public:
    /// Deflater::deflate() of the connection's stream. When the result is of no use, or memory is
    /// missing, the stream begins anew. Throws std::bad_alloc.
    [[nodiscard]] bool deflate(std::span<const std::uint8_t> part, bool last, base::ByteBuffer& out,
                               std::size_t limit, const protocol::DeflateSettings& settings,
                               Tick now);

    /// What was compressed last does not reach the peer.
    void forget_last() noexcept;

    /// Throws std::bad_alloc.
    [[nodiscard]] std::unique_ptr<protocol::Inflater>
    take_inflater(const protocol::DeflateSettings& settings, Tick now);
    void give_back(std::unique_ptr<protocol::Inflater> inflater) noexcept;

    /// After `idle` without a message gives back all memory but that of the history which the
    /// client's next message may refer to. The server's next one then refers to nothing.
    void rest(Tick now, Tick idle) noexcept;

private:
    std::unique_ptr<protocol::Deflater> deflater_;
    std::unique_ptr<protocol::Inflater> inflater_;
    base::ByteBuffer history_;  ///< of the inflater, while there is none
    Tick last_use_ = 0;
};

}  // namespace websocket::engine
