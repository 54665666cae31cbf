// SPDX-License-Identifier: Apache-2.0
// What the connections of a loop share for compression, so that none has to own any of it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/byte_buffer.hpp"
#include "engine/shared_frame.hpp"
#include "engine/tick.hpp"
#include "protocol/deflate_settings.hpp"
#include "protocol/deflater.hpp"
#include "protocol/fast_deflater.hpp"
#include "protocol/inflater.hpp"

namespace websocket::engine {

/// Compressors and inflaters without context, and buffers. What nobody has used for kIdle is freed.
class SharedDeflate {
public:
    /// After this time without a compressed message there is nothing left to share.
    static constexpr std::chrono::seconds kIdle{30};

    /// The whole frame of a message, compressed without context, or as it is when that is not
    /// smaller or there is no memory for it. Threads do not wait for each other: each uses a
    /// compressor of its own, and as many as usual are kept. Throws std::bad_alloc. [any thread]
    [[nodiscard]] SharedFrame build(protocol::Opcode opcode, std::span<const std::uint8_t> payload,
                                    const protocol::DeflateSettings& settings);

    /// The same for a message that others are sent, too: the first call for a way of compressing
    /// does the work, which takes 10 to 20 ms a MiB, and the frame keeps the result. When two threads
    /// are first at the same time, both do it: that is better than that a loop waits. [any thread]
    [[nodiscard]] SharedFrame wire_form(const SharedFrame& plain,
                                        const protocol::DeflateSettings& settings) noexcept;

    /// Appends a part of a message, compressed without context, to `out`; see Deflater::deflate().
    /// Throws std::bad_alloc. [any thread]
    [[nodiscard]] bool deflate(std::span<const std::uint8_t> part, bool last, base::ByteBuffer& out,
                               std::size_t limit, const protocol::DeflateSettings& settings);

    /// One without history. Throws std::bad_alloc. [loop]
    [[nodiscard]] std::unique_ptr<protocol::Inflater> take_inflater();
    void give_back(std::unique_ptr<protocol::Inflater> inflater) noexcept;  ///< [loop]

    /// Empty, for what comes in and what goes out; each is used for one message at a time. [loop]
    [[nodiscard]] base::ByteBuffer& inflate_buffer() noexcept;
    [[nodiscard]] base::ByteBuffer& deflate_buffer() noexcept;

    /// Frees what was idle for long. [loop]
    void trim(Tick now) noexcept;

private:
    /// Of each kind: enough for the threads that are likely to meet, or messages to overlap.
    static constexpr std::size_t kKept = 4;
    /// A buffer that a large message has used is not kept.
    static constexpr std::size_t kLargestKept = 256U << 10;

    /// The fast one, where it is to be had and gives what the level promises; else zlib's.
    class Compressor {
    public:
        explicit Compressor(const protocol::DeflaterShape& shape);
        [[nodiscard]] const protocol::DeflaterShape& shape() const noexcept { return shape_; }
        /// As Deflater::deflate().
        [[nodiscard]] bool deflate(std::span<const std::uint8_t> part, bool last,
                                   base::ByteBuffer& out, std::size_t limit);
        void reset() noexcept;

        base::ByteBuffer buffer;

    private:
        const protocol::DeflaterShape shape_;
        std::unique_ptr<protocol::FastDeflater> fast_;
        std::optional<protocol::Deflater> plain_;
    };
    [[nodiscard]] SharedFrame deflated(protocol::Opcode opcode,
                                       std::span<const std::uint8_t> payload,
                                       const protocol::DeflateSettings& settings);
    [[nodiscard]] std::unique_ptr<Compressor> take(const protocol::DeflaterShape& shape);
    void give_back(std::unique_ptr<Compressor> compressor) noexcept;

    std::mutex mutex_;  // guards compressors_, for moments
    std::vector<std::unique_ptr<Compressor>> compressors_;
    std::atomic<bool> compressed_{false};  // since trim() looked

    // the loop's own
    std::vector<std::unique_ptr<protocol::Inflater>> inflaters_;
    base::ByteBuffer inflate_buffer_;
    base::ByteBuffer deflate_buffer_;
    bool inflated_ = false;  // since trim() looked
    Tick last_use_ = 0;      // as far as trim() knows
};

}  // namespace websocket::engine
