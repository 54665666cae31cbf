// SPDX-License-Identifier: Apache-2.0
// Inflating what a client has compressed (RFC 7692 section 7.2.2).
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/byte_buffer.hpp"
#include "protocol/zlib_memory.hpp"

namespace websocket::protocol {

/// One compressed stream, which takes about 7 Ki bytes and a window. [one thread at a time]
class Inflater {
public:
    enum class Status : std::uint8_t {
        done,     ///< all input is used and what came of it is out
        full,     ///< no more room; there may be more to come
        corrupt,  ///< this is no deflate stream, or it refers to what was not sent
    };

    /// `window_bits` is 8 to 15. Throws std::bad_alloc.
    explicit Inflater(unsigned window_bits);
    ~Inflater();
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    /// Takes from the front of `in` and fills the front of `out`; both are what is left then. A
    /// final block (BFINAL) may be followed by others. Throws std::bad_alloc.
    [[nodiscard]] Status inflate(std::span<const std::uint8_t>& in, std::span<std::uint8_t>& out);

    /// Ends a message whose bytes have all been used: supplies the empty block that senders leave
    /// out. False when the message ended inside a block.
    [[nodiscard]] bool end_message();

    /// Forgets everything: the next message may not refer to earlier ones.
    void reset() noexcept;

    /// What the next message may refer to, at most one window. Between messages only. Throws
    /// std::bad_alloc.
    [[nodiscard]] base::ByteBuffer history();
    /// Of a new or reset stream. Throws std::bad_alloc.
    void set_history(std::span<const std::uint8_t> history);

private:
    ZlibMemory memory_;
    z_stream stream_;
    bool ended_ = false;  ///< the last byte so far was that of a final block
};

}  // namespace websocket::protocol
