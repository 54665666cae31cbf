// SPDX-License-Identifier: Apache-2.0
// Publications from one other process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "base/byte_buffer.hpp"
#include "base/descriptor.hpp"
#include "engine/shared_frame.hpp"
#include "hub/registry.hpp"
#include "hub/topic_key.hpp"

namespace websocket::hub {

/// Reads records; what is not complete when the other process dies is forgotten. Not safe for
/// threads.
class IncomingLink {
public:
    /// What the records are for.
    class Sink {
    public:
        virtual ~Sink() = default;
        virtual void on_record(const TopicKey& key, const engine::SharedFrame& frame) noexcept = 0;
        /// A record was skipped because memory ran out.
        virtual void on_lost_record() noexcept = 0;
    };

    IncomingLink(base::Descriptor socket, const Registry& registry) noexcept
        : socket_(std::move(socket)), registry_(registry) {}

    [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }

    /// Reads once, into `buffer` or where the bytes will stay. False when the other process is
    /// gone, or is none of this httpd's.
    [[nodiscard]] bool read(std::span<std::uint8_t> buffer, Sink& sink) noexcept;

private:
    enum class State : std::uint8_t { hello, head, key, frame, skipping };

    [[nodiscard]] bool consume(std::span<const std::uint8_t> bytes, Sink& sink);
    [[nodiscard]] bool take_hello(std::span<const std::uint8_t> bytes) noexcept;
    [[nodiscard]] bool take_head(std::span<const std::uint8_t> bytes) noexcept;
    [[nodiscard]] bool take_key(std::span<const std::uint8_t> bytes, Sink& sink) noexcept;
    [[nodiscard]] bool take_frame_part(std::span<const std::uint8_t> bytes, Sink& sink) noexcept;
    [[nodiscard]] std::size_t wanted() const noexcept;

    base::Descriptor socket_;
    const Registry& registry_;
    State state_ = State::hello;
    base::ByteBuffer partial_;  // of a hello, a head, or a key with fields and place
    std::size_t frame_size_ = 0;
    std::size_t key_size_ = 0;
    std::size_t fields_size_ = 0;
    std::size_t place_size_ = 0;
    std::optional<TopicKey> key_;
    engine::SharedFrame frame_;
    std::size_t received_ = 0;  // of the frame
};

}  // namespace websocket::hub
