// SPDX-License-Identifier: Apache-2.0
//
// A client's bytes after permessage-deflate was agreed on, in two ways: as they come, and as the
// payload of compressed messages, so that the fuzzer need not learn framing to reach the inflater.
// However they are split, the reader makes the same of them, keeps its limits, and gives its inflater
// back.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "protocol/frame.hpp"
#include "protocol/inflation.hpp"
#include "protocol/message_reader.hpp"

namespace {

using namespace websocket::protocol;
using websocket::base::ByteBuffer;

constexpr ReaderLimits kLimits{
    .max_message_size = 100'000, .max_fragments = 50, .max_empty_fragments = 5};

void require(bool promise) {
    if (!promise) std::abort();
}

class Inflaters final : public InflaterSource {
public:
    Inflaters(bool takeover, unsigned bits) : takeover_(takeover), bits_(bits) {}

    std::unique_ptr<Inflater> take_inflater() override {
        buffer_.clear();
        if (inflater_ == nullptr) return std::make_unique<Inflater>(bits_);
        if (!takeover_) inflater_->reset();
        return std::move(inflater_);
    }
    bool give_back(std::unique_ptr<Inflater> inflater, std::size_t inflated) noexcept override {
        require(inflater != nullptr && inflated <= kLimits.max_message_size);
        inflater_ = std::move(inflater);
        if (!takeover_) return false;
        // As a connection that rests: what it knew has to be enough.
        ByteBuffer history = inflater_->history();
        require(history.size() <= std::size_t{1} << std::max(bits_, 9U));
        inflater_ = std::make_unique<Inflater>(bits_);
        inflater_->set_history(history.bytes());
        return false;
    }
    ByteBuffer& inflate_buffer() noexcept override { return buffer_; }

private:
    bool takeover_;
    unsigned bits_;
    std::unique_ptr<Inflater> inflater_;
    ByteBuffer buffer_;
};

struct Sink {
    Inflaters* source;
    std::string story;  // what happened
    bool ended = false;

    InflaterSource* inflaters() { return source; }
    Next on_message(MessageType type, std::span<std::uint8_t> payload, ByteBuffer* owner) {
        require(!ended && payload.size() <= kLimits.max_message_size);
        require(owner == nullptr || owner->bytes().data() == payload.data());
        story += type == MessageType::text ? 't' : 'b';
        story.append(payload.begin(), payload.end());
        return Next::more;
    }
    Next on_ping(std::span<std::uint8_t> payload) { return control('i', payload); }
    Next on_pong(std::span<std::uint8_t> payload) { return control('o', payload); }
    void on_close(std::uint16_t code, std::string_view) { end("close", code); }
    void on_violation(Violation violation) {
        end(violation.reason, static_cast<unsigned>(violation.code));
    }

private:
    Next control(char kind, std::span<std::uint8_t> payload) {
        require(!ended && payload.size() <= kMaxControlPayload);
        story += kind;
        story.append(payload.begin(), payload.end());
        return Next::more;
    }
    void end(const char* what, unsigned code) {
        require(!ended);
        ended = true;
        story += what + std::to_string(code);
    }
};

std::string read(std::span<const std::uint8_t> bytes, std::size_t step, bool takeover,
                 unsigned bits) {
    Inflaters inflaters(takeover, bits);
    Sink sink{&inflaters, {}};
    MessageReader reader;
    for (std::size_t i = 0; i < bytes.size() && !sink.ended; i += step) {
        const auto part = bytes.subspan(i, std::min(step, bytes.size() - i));
        // Exactly as large as what is in it, for the sanitizer.
        std::vector<std::uint8_t> copy(part.begin(), part.end());
        const std::size_t used = reader.consume(copy, kLimits, sink);
        require(sink.ended || used == copy.size());
    }
    return sink.story;
}

/// `payload` as compressed messages of at most `size` bytes each, in frames of at most `fragment`.
std::vector<std::uint8_t> framed(std::span<const std::uint8_t> payload, std::size_t size,
                                 std::size_t fragment) {
    std::vector<std::uint8_t> bytes;
    while (!payload.empty()) {
        auto message = payload.first(std::min(size, payload.size()));
        payload = payload.subspan(message.size());
        for (bool first = true; first || !message.empty(); first = false) {
            const auto part = message.first(std::min(fragment, message.size()));
            message = message.subspan(part.size());
            // A key of zeroes changes nothing.
            const EncodedHeader header(MaskKey{}, first ? Opcode::binary : Opcode::continuation,
                                       part.size(), message.empty(), first);
            bytes.insert(bytes.end(), header.bytes().begin(), header.bytes().end());
            bytes.insert(bytes.end(), part.begin(), part.end());
        }
    }
    return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t kChoices = 4;
    if (size < kChoices) return 0;
    const std::array<std::uint8_t, kChoices> choices{data[0], data[1], data[2], data[3]};
    const std::span<const std::uint8_t> rest(data + kChoices, size - kChoices);
    const bool takeover = (choices[0] & 1) != 0;
    const unsigned bits = 8 + (choices[0] >> 1) % 8;
    const std::vector<std::uint8_t> bytes =
        (choices[0] & 0x80) != 0
            ? framed(rest, 1 + choices[2] * 8, std::max<std::size_t>(1, choices[3]))
            : std::vector<std::uint8_t>(rest.begin(), rest.end());
    const std::string at_once = read(bytes, std::max<std::size_t>(bytes.size(), 1), takeover, bits);
    const std::string in_steps = read(bytes, 1 + choices[1], takeover, bits);
    // Of a window smaller than its own, zlib remembers what lies in the same output.
    const bool too_far = bits < 15 && in_steps.ends_with("compressed data is corrupt1007");
    require(at_once == in_steps ||
            (too_far && at_once.starts_with(in_steps.substr(0, in_steps.rfind("compressed")))));
    return 0;
}
