// SPDX-License-Identifier: Apache-2.0
// Frames as a client writes them: masked, each with a key of its own (RFC 6455 section 5.3).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/byte_buffer.hpp"
#include "protocol/frame.hpp"
#include "protocol/masking.hpp"

namespace websocket::protocol {

/// Fills `bytes` with what nobody can predict. Throws std::runtime_error when the system has none.
/// [any thread]
void fill_randomly(std::span<std::uint8_t> bytes);

/// Keys that are used once each. Who chose a payload must not be able to choose what of it is on the wire
/// (RFC 6455 section 10.3), so they come from OpenSSL's generator: many at a time, because a call of it
/// costs more than a small frame. What is made before a fork is not to be used on both sides of it.
/// [one thread]
class MaskKeys {
public:
    /// Throws as fill_randomly() does.
    [[nodiscard]] MaskKey next() {
        if (left_ == 0) refill();
        return keys_[--left_];
    }

private:
    void refill();

    std::array<MaskKey, 64> keys_{};
    std::size_t left_ = 0;
};

/// [one thread]
class ClientFrameWriter {
public:
    /// Appends one frame, which ends its message or does not; `compressed` marks the first frame of a
    /// compressed message. Throws std::bad_alloc, or as fill_randomly() does; then `out` is as before.
    void append(base::ByteBuffer& out, Opcode opcode, std::span<const std::uint8_t> payload,
                bool fin = true, bool compressed = false);

private:
    MaskKeys keys_;
};

}  // namespace websocket::protocol
