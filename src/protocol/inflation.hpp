// SPDX-License-Identifier: Apache-2.0
// Compressed messages on their way through a reader: inflated as they come, with every limit checked
// as early as it can be.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/byte_buffer.hpp"
#include "protocol/frame_header.hpp"
#include "protocol/inflater.hpp"
#include "protocol/utf8.hpp"

namespace websocket::protocol {

/// Bytes of a message that may come of any amount of compressed ones: for these, the limit of the
/// ratio is not asked.
constexpr std::size_t kInflatedUnchecked = std::size_t{1} << 20;

/// Where a reader gets inflaters from. Who implements it knows whether the client's messages refer
/// to earlier ones, and what may be kept in memory.
class InflaterSource {
public:
    /// For a message that begins now. Throws std::bad_alloc.
    [[nodiscard]] virtual std::unique_ptr<Inflater> take_inflater() = 0;

    /// The message has ended and has `inflated` bytes. True when the reader should let others have
    /// their turn.
    [[nodiscard]] virtual bool give_back(std::unique_ptr<Inflater> inflater,
                                         std::size_t inflated) noexcept = 0;

    /// An empty buffer for a message that came at once; in use until take_inflater() is called again.
    [[nodiscard]] virtual base::ByteBuffer& inflate_buffer() noexcept = 0;

protected:
    ~InflaterSource() = default;
};

/// One compressed message that is coming in.
class InflatingMessage {
public:
    InflatingMessage() noexcept = default;
    InflatingMessage(MessageType type, std::unique_ptr<Inflater> inflater) noexcept
        : inflater_(std::move(inflater)), type_(type) {}

    /// Inflates the next bytes of the message and appends what comes of them to `payload`. Throws
    /// std::bad_alloc.
    [[nodiscard]] std::optional<Violation> add(std::span<const std::uint8_t> compressed,
                                               base::ByteBuffer& payload,
                                               const ReaderLimits& limits);

    /// All bytes have come. Throws std::bad_alloc.
    [[nodiscard]] std::optional<Violation> finish();

    [[nodiscard]] std::unique_ptr<Inflater> release() noexcept { return std::move(inflater_); }

    /// Bytes that have come of it so far.
    [[nodiscard]] std::size_t inflated() const noexcept {
        return static_cast<std::size_t>(inflated_);
    }

private:
    [[nodiscard]] std::optional<Violation> check(std::span<const std::uint8_t> inflated,
                                                 const ReaderLimits& limits);

    std::unique_ptr<Inflater> inflater_;
    std::uint64_t compressed_ = 0;  ///< bytes so far
    std::uint64_t inflated_ = 0;    ///< bytes that came of them
    MessageType type_ = MessageType::binary;
    Utf8Validator utf8_;
};

}  // namespace websocket::protocol
