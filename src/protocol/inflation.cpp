// SPDX-License-Identifier: Apache-2.0
#include "protocol/inflation.hpp"

#include <algorithm>

namespace websocket::protocol {

namespace {

/// Bytes that are inflated before they are looked at.
constexpr std::size_t kStep = std::size_t{64} << 10;
constexpr std::size_t kMinRoom = 256;
/// What text usually becomes: the first guess.
constexpr std::size_t kUsualRatio = 4;

constexpr Violation kCorrupt{CloseCode::invalid_payload, "compressed data is corrupt"};
constexpr Violation kNotUtf8{CloseCode::invalid_payload, "text is not UTF-8"};

}  // namespace

std::optional<Violation> InflatingMessage::add(std::span<const std::uint8_t> compressed,
                                               base::ByteBuffer& payload,
                                               const ReaderLimits& limits) {
    if (compressed.empty()) {
        return {};
    }
    compressed_ += compressed.size();
    std::size_t wanted = std::clamp(kUsualRatio * compressed.size(), kMinRoom, kStep);
    Inflater::Status status = Inflater::Status::full;
    while (status == Inflater::Status::full) {
        const std::size_t before = payload.size();
        // One byte above the limit tells whether there is more than it allows.
        const std::uint64_t left = limits.max_message_size - inflated_;
        const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(left, kStep - 1) + 1);
        const std::span<std::uint8_t> room = payload.space(wanted);
        std::span<std::uint8_t> out = room.first(std::min(room.size(), most));
        const std::size_t offered = out.size();
        status = inflater_->inflate(compressed, out);
        payload.commit(offered - out.size());
        const std::span<const std::uint8_t> inflated = payload.bytes().subspan(before);
        inflated_ += inflated.size();
        if (const auto violation = check(inflated, limits)) {
            return violation;
        }
        wanted = kStep;
    }
    return status == Inflater::Status::corrupt ? std::optional{kCorrupt} : std::nullopt;
}

std::optional<Violation> InflatingMessage::check(std::span<const std::uint8_t> inflated,
                                                 const ReaderLimits& limits) {
    if (inflated_ > limits.max_message_size) {
        return Violation{CloseCode::too_big, "message too big"};
    }
    if (inflated_ > kInflatedUnchecked && inflated_ / limits.max_inflate_ratio > compressed_) {
        return Violation{CloseCode::too_big, "message is compressed too well"};
    }
    if (type_ == MessageType::text && !utf8_.update(inflated)) {
        return kNotUtf8;
    }
    return {};
}

std::optional<Violation> InflatingMessage::finish() {
    // Some clients send nothing for an empty message, where the RFC has an byte.
    if (compressed_ > 0 && !inflater_->end_message()) {
        return kCorrupt;
    }
    const bool cut = type_ == MessageType::text && !utf8_.complete();
    return cut ? std::optional{kNotUtf8} : std::nullopt;
}

}  // namespace websocket::protocol
