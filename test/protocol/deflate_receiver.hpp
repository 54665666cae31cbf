// SPDX-License-Identifier: Apache-2.0
//
// A reader that has agreed on permessage-deflate.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/client_frame.hpp"
#include "protocol/inflation.hpp"
#include "protocol/message_reader.hpp"
#include "protocol/recording_sink.hpp"
#include "protocol/require.hpp"

namespace websocket::test {

/// Gives out at most one inflater at a time, and insists on getting it back.
class TestInflaters final : public protocol::InflaterSource {
public:
    explicit TestInflaters(bool takeover, unsigned window_bits = 15)
        : takeover_(takeover), window_bits_(window_bits) {}

    std::unique_ptr<protocol::Inflater> take_inflater() override {
        require(!taken_, "");
        taken_ = true;
        buffer_.clear();
        if (inflater_ == nullptr) return std::make_unique<protocol::Inflater>(window_bits_);
        if (!takeover_) inflater_->reset();
        return std::move(inflater_);
    }
    bool give_back(std::unique_ptr<protocol::Inflater> inflater,
                   std::size_t inflated) noexcept override {
        require(taken_, "");
        taken_ = false;
        inflater_ = std::move(inflater);
        inflated_ += inflated;
        return inflated_ >= tired_at;
    }
    base::ByteBuffer& inflate_buffer() noexcept override { return buffer_; }

    std::size_t tired_at = SIZE_MAX;
    [[nodiscard]] bool taken() const noexcept { return taken_; }

private:
    bool takeover_;
    unsigned window_bits_;
    bool taken_ = false;
    std::size_t inflated_ = 0;
    std::unique_ptr<protocol::Inflater> inflater_;
    base::ByteBuffer buffer_;
};

struct DeflateSink : RecordingSink {
    TestInflaters* source = nullptr;

    [[nodiscard]] protocol::InflaterSource* inflaters() const noexcept { return source; }
};

template <class Reader = protocol::MessageReader>
struct BasicDeflateReceiver {
    explicit BasicDeflateReceiver(bool takeover = true, const protocol::ReaderLimits& most = {})
        : source(takeover), limits(most) {
        sink.source = &source;
    }

    TestInflaters source;
    protocol::ReaderLimits limits;
    DeflateSink sink;
    Reader reader;

    /// As Receiver::feed().
    std::size_t feed(std::string_view bytes) {
        if (sink.ended || bytes.empty()) return bytes.size();
        std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
        const std::size_t used = reader.consume(copy, limits, sink);
        require(used <= bytes.size(), "");
        return used;
    }
    void feed_in_steps(std::string_view bytes, std::size_t step) {
        for (std::size_t i = 0; i < bytes.size(); i += step) feed(bytes.substr(i, step));
    }
};

using DeflateReceiver = BasicDeflateReceiver<>;

/// A frame with RSV1.
[[nodiscard]] inline std::string compressed_frame(Opcode opcode, std::string_view payload,
                                                  bool fin = true) {
    return client_frame({.opcode = opcode, .payload = payload, .fin = fin, .rsv = 4});
}

/// What a reader makes of a stream that ends with or without a violation, however it is split.
inline void assert_inflated(std::string_view bytes, const Events& expected, bool takeover = true,
                            const protocol::ReaderLimits& limits = {}) {
    {
        DeflateReceiver receiver(takeover, limits);
        receiver.feed(bytes);
        assert_events(receiver.sink.events, expected, "at once");
    }
    for (std::size_t split = 1; split < bytes.size(); ++split) {
        DeflateReceiver receiver(takeover, limits);
        receiver.feed(bytes.substr(0, split));
        receiver.feed(bytes.substr(split));
        assert_events(receiver.sink.events, expected, "split at " + std::to_string(split));
    }
    DeflateReceiver receiver(takeover, limits);
    receiver.feed_in_steps(bytes, 1);
    assert_events(receiver.sink.events, expected, "byte by byte");
}

}  // namespace websocket::test
