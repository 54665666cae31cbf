// SPDX-License-Identifier: Apache-2.0
// Server-sent events as they are written (HTML, "Server-sent events", section 9.2.5): messages in, text out.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocol/frame.hpp"

namespace websocket::protocol {

/// How the end of a response's body is told (RFC 9112 section 6).
enum class BodyFraming : std::uint8_t {
    bare,     ///< by the end of the connection, or by somebody else
    chunked,  ///< by the last chunk
};

/// One part of a message; most have one only.
struct EventPart {
    MessageType type;
    bool first;
    bool last;
    std::span<const std::uint8_t> bytes;
    std::string_view fields = {};  ///< what event_fields() has made; of the first part
};

/// Makes one event of a message. Text becomes its data line by line, so that what a client gets has LF where
/// CR or CRLF was. Bytes become base64 in one line, of the type "binary" where `fields` name none. Remembers
/// what one part leaves to the next one. [any thread, one at a time]
class EventEncoder {
public:
    /// Bytes that write() will make of this part.
    [[nodiscard]] std::size_t size(const EventPart& part) const noexcept;
    /// Writes them; returns where they end.
    std::uint8_t* write(const EventPart& part, std::uint8_t* to) noexcept;

private:
    template <class Sink>
    void encode(const EventPart& part, Sink& sink) noexcept;
    template <class Sink>
    void encode_text(const EventPart& part, Sink& sink) noexcept;
    template <class Sink>
    void encode_bytes(const EventPart& part, Sink& sink) noexcept;

    bool after_cr_ = false;               ///< an LF would belong to the line end that was written
    std::uint8_t held_count_ = 0;         ///< bytes that are not base64 yet
    std::array<std::uint8_t, 3> held_{};  ///< at most two between parts
};

/// The lines that name an event and give it an id, to stand before its data. Nothing when one of them cannot be
/// written: a type may have no CR or LF, an id no NUL, either, and none of them more than kMaxEventField bytes. An id
/// of nothing makes the client forget the last one. Throws std::bad_alloc. [any thread]
[[nodiscard]] std::optional<std::string> event_fields(std::optional<std::string_view> type,
                                                      std::optional<std::string_view> id);

/// Bytes of a type or an id.
inline constexpr std::size_t kMaxEventField = 255;
/// Bytes of what event_fields() makes: both with their names and line ends.
inline constexpr std::size_t kMaxEventFields = 2 * kMaxEventField + 13;

/// Whether event_fields() was given an id. [any thread]
[[nodiscard]] bool has_event_id(std::string_view fields) noexcept;

/// A comment, which a client ignores: that something comes is all that it says.
inline constexpr std::string_view kEventComment = ":\n\n";

/// How long a client waits before it comes back. Throws std::bad_alloc. [any thread]
[[nodiscard]] std::string retry_field(std::chrono::milliseconds time);

/// The chunk that ends a body.
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// Bytes of the longest line before a chunk.
inline constexpr std::size_t kMaxChunkHeader = 18;
/// What stands before a chunk of so many bytes, at least one; behind it stands CRLF.
class ChunkHeader {
public:
    explicit ChunkHeader(std::size_t size) noexcept;
    [[nodiscard]] std::string_view text() const noexcept { return {text_.data(), size_}; }

private:
    std::array<char, kMaxChunkHeader> text_{};
    std::size_t size_ = 0;
};

}  // namespace websocket::protocol
