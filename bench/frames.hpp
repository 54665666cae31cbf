// The two directions of RFC 6455 framing as a client needs them: masked frames built once, and a reader
// of what the server sends that knows no socket.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace websocket::bench {

enum class Opcode : std::uint8_t {
    continuation = 0,
    text = 1,
    binary = 2,
    close = 8,
    ping = 9,
    pong = 10
};

// The first 2, 4 or 10 bytes of an unfragmented frame.
inline std::string frame_header(Opcode opcode, std::uint64_t length, bool masked) {
    std::string header(1, static_cast<char>(0x80U | static_cast<unsigned>(opcode)));
    const unsigned mask_bit = masked ? 0x80 : 0;
    const unsigned width = length < 126 ? 0 : length < 65536 ? 2 : 8;
    const unsigned short_length = width == 0   ? static_cast<unsigned>(length)
                                  : width == 2 ? 126
                                               : 127;
    header += static_cast<char>(mask_bit | short_length);
    for (unsigned i = width; i-- > 0;) header += static_cast<char>(length >> (8 * i) & 0xff);
    return header;
}

inline std::string masked_frame(Opcode opcode, std::string_view payload) {
    constexpr std::string_view mask = "\x9a\x3c\xd1\x57";
    std::string frame = frame_header(opcode, payload.size(), true);
    frame += mask;
    for (std::size_t i = 0; i < payload.size(); ++i)
        frame += static_cast<char>(payload[i] ^ mask[i % mask.size()]);
    return frame;
}

// Incremental reader of server frames. The sink has
//   bool frame(Opcode, bool fin, uint64_t length)   a header is complete; false stops with its own error
//   bool payload(std::string_view)                  a piece of that frame's payload
//   bool frame_end()
class FrameReader {
public:
    // False: broken framing (error() says what) or the sink said so (error() is empty).
    template <class Sink>
    [[nodiscard]] bool read(std::string_view bytes, Sink& sink);

    // RSV1 is legal on the first frame of a message, and means that the message is compressed.
    void allow_compression(bool allow) { compression_ = allow; }
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
    [[nodiscard]] std::size_t header_need() const {
        if (header_size_ < 2) return 2;
        const unsigned length = header_[1] & 0x7fU;
        return length == 126 ? 4 : length == 127 ? 10 : 2;
    }
    template <class Sink>
    [[nodiscard]] bool header_complete(Sink& sink);

    std::array<std::uint8_t, 10> header_{};
    std::size_t header_size_ = 0;
    bool in_payload_ = false;
    bool compression_ = false;
    bool compressed_ = false;
    std::uint64_t left_ = 0;
    std::string_view error_;
};

template <class Sink>
bool FrameReader::header_complete(Sink& sink) {
    compressed_ = compression_ && (header_[0] & 0x40U) != 0;
    if (header_[0] & (compression_ ? 0x30U : 0x70U))
        error_ = "a reserved bit is set";
    else if (header_[1] & 0x80U)
        error_ = "the server masked a frame";
    if (!error_.empty()) return false;
    std::uint64_t length = header_[1] & 0x7fU;
    if (header_size_ > 2) length = 0;
    for (std::size_t i = 2; i < header_size_; ++i) length = length << 8 | header_[i];
    header_size_ = 0;
    in_payload_ = true;
    left_ = length;
    return sink.frame(static_cast<Opcode>(header_[0] & 0x0fU), (header_[0] & 0x80U) != 0, length);
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
        while (header_size_ < header_need() && !bytes.empty()) {
            header_[header_size_++] = static_cast<std::uint8_t>(bytes.front());
            bytes.remove_prefix(1);
        }
        if (header_size_ == header_need() && !header_complete(sink)) return false;
    }
}

}  // namespace websocket::bench
