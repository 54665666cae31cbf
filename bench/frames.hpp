// Frames of a load program: written once and sent often, and read without keeping their payloads.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "protocol/client_frame_writer.hpp"
#include "protocol/frame_decoding.hpp"

namespace websocket::bench {

using protocol::Opcode;

[[nodiscard]] inline std::span<const std::uint8_t> bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string masked_frame(Opcode opcode, std::string_view payload, bool compressed = false) {
    static protocol::ClientFrameWriter writer;
    base::ByteBuffer frame;
    writer.append(frame, opcode, bytes(payload), true, compressed);
    return {frame.bytes().begin(), frame.bytes().end()};
}

// Incremental reader of server frames, of any size. The sink has
//   bool frame(Opcode, bool fin, uint64_t length)   a header is complete; false stops with its own error
//   bool payload(std::string_view)                  a piece of that frame's payload
//   bool frame_end()
class FrameReader {
public:
    // False: broken framing (error() says what) or the sink said so (error() is empty).
    template <class Sink>
    [[nodiscard]] bool read(std::string_view bytes, Sink& sink);

    // RSV1 is legal on the first frame of a message, and means that the message is compressed.
    void allow_compression(bool allow) { message_.compressible = allow; }
    // Of the frame whose header is complete.
    [[nodiscard]] bool compressed() const { return compressed_; }

    // Between two frames, with no byte of the next header read.
    [[nodiscard]] bool at_boundary() const { return !in_payload_ && header_size_ == 0; }
    [[nodiscard]] std::uint64_t payload_left() const { return in_payload_ ? left_ : 0; }
    // Payload bytes that the kernel threw away instead of handing them over: at most payload_left().
    template <class Sink>
    bool skip(std::uint64_t bytes, Sink& sink) {
        left_ -= bytes;
        in_payload_ = left_ > 0;
        return in_payload_ || sink.frame_end();
    }
    [[nodiscard]] std::string_view error() const { return error_; }

private:
    // What the server may send is for the sink to say.
    static constexpr protocol::ReaderLimits no_limits{.max_message_size = INT64_MAX,
                                                      .max_fragments = UINT32_MAX,
                                                      .max_empty_fragments = UINT32_MAX};

    // Takes bytes of a header; false when it is broken. Complete: in_payload_ is set.
    [[nodiscard]] bool take_header(std::string_view& bytes);
    void begin(const protocol::FrameHeader& header);

    std::array<std::uint8_t, protocol::kMaxHeader<protocol::Role::client>> header_{};
    std::size_t header_size_ = 0;
    protocol::MessageProgress message_;
    Opcode opcode_ = Opcode::text;  // of the frame whose header is complete
    bool fin_ = true;
    bool compressed_ = false;
    bool in_payload_ = false;
    std::uint64_t left_ = 0;
    std::string_view error_;
};

inline void FrameReader::begin(const protocol::FrameHeader& header) {
    opcode_ = header.opcode;
    fin_ = header.fin;
    compressed_ = header.compressed;
    in_payload_ = true;
    left_ = header.payload_length;
    if (is_control(opcode_)) return;
    if (opcode_ != Opcode::continuation) message_.compressed = compressed_;
    message_.open = !fin_;
}

inline bool FrameReader::take_header(std::string_view& bytes) {
    using protocol::HeaderStatus;
    using protocol::Role;
    const std::size_t had = header_size_;
    const std::size_t taken = std::min(bytes.size(), header_.size() - had);
    std::copy_n(bytes.begin(), taken, header_.data() + had);
    const std::span<const std::uint8_t> so_far(header_.data(), had + taken);
    const protocol::HeaderResult result =
        message_.compressible
            ? protocol::decode_compressible_frame_header<Role::client>(so_far, message_, no_limits)
            : protocol::decode_frame_header<Role::client>(so_far, message_, no_limits);
    if (result.status == HeaderStatus::violated) {
        error_ = result.violation.reason;
        return false;
    }
    if (result.status == HeaderStatus::incomplete) {
        header_size_ = so_far.size();
        bytes = {};
        return true;
    }
    bytes.remove_prefix(result.header.size - had);
    header_size_ = 0;
    begin(result.header);
    return true;
}

template <class Sink>
bool FrameReader::read(std::string_view bytes, Sink& sink) {
    while (true) {
        if (in_payload_) {
            const std::string_view piece =
                bytes.substr(0, std::min<std::uint64_t>(left_, bytes.size()));
            bytes.remove_prefix(piece.size());
            left_ -= piece.size();
            if (!piece.empty() && !sink.payload(piece)) return false;
            if (left_ > 0) return true;
            in_payload_ = false;
            if (!sink.frame_end()) return false;
        }
        if (bytes.empty()) return true;
        if (!take_header(bytes)) return false;
        if (in_payload_ && !sink.frame(opcode_, fin_, left_)) return false;
    }
}

}  // namespace websocket::bench
