// SPDX-License-Identifier: Apache-2.0
#include "protocol/message_reader.hpp"

namespace websocket::protocol {

template <Role kRole>
bool BasicMessageReader<kRole>::is_utf8(std::span<const std::uint8_t> text,
                                        std::size_t ascii) noexcept {
    if (ascii == text.size()) {
        return true;
    }
    Utf8Validator validator;
    return validator.update(text.subspan(ascii)) && validator.complete();
}

template <Role kRole>
std::optional<Violation>
BasicMessageReader<kRole>::check_close(std::span<const std::uint8_t> payload,
                                       const ReaderLimits& limits) noexcept {
    if (payload.empty()) {
        return {};
    }
    if (payload.size() == 1) {
        return Violation{CloseCode::protocol_error, "Close with half a status code"};
    }
    const std::uint16_t code = close_code_of(payload);
    if (is_prohibited(code) || (is_reserved(code) && !limits.allow_reserved_close_codes)) {
        return Violation{CloseCode::protocol_error,
                         "Close with a status code that may not be sent"};
    }
    if (!is_utf8(payload.subspan(2), 0)) {
        return Violation{CloseCode::invalid_payload, "Close reason is not UTF-8"};
    }
    return {};
}

template <Role kRole>
HeaderResult BasicMessageReader<kRole>::take_header(std::span<std::uint8_t>& bytes,
                                                    const ReaderLimits& limits) {
    Partial& partial = *partial_;
    const std::size_t had = partial.header_size;
    const std::size_t taken = std::min(bytes.size(), partial.header_bytes.size() - had);
    std::copy_n(bytes.begin(), taken,
                partial.header_bytes.begin() + static_cast<std::ptrdiff_t>(had));
    partial.header_size = static_cast<std::uint8_t>(had + taken);
    auto* const decode = partial.message.compressible ? decode_compressible_frame_header<kRole>
                                                      : decode_frame_header<kRole>;
    const HeaderResult result =
        decode({partial.header_bytes.data(), had + taken}, partial.message, limits);
    if (result.status == HeaderStatus::complete) {
        bytes = bytes.subspan(result.header.size - had);
    } else {
        bytes = bytes.subspan(taken);
    }
    return result;
}

template <Role kRole>
void BasicMessageReader<kRole>::begin_payload(const FrameHeader& frame) {
    Partial& partial = *partial_;
    partial.frame = frame;
    partial.remaining = frame.payload_length;
    partial.in_payload = true;
    if (!is_control(frame.opcode)) {
        partial.message.add(frame);
    }
}

template <Role kRole>
void BasicMessageReader<kRole>::reserve_payload(std::size_t count) {
    // What a peer announces costs it nothing; what it has sent counts.
    constexpr std::size_t kUnproven = 32U << 10;
    constexpr std::size_t kCredit = 4;
    base::ByteBuffer& payload = partial_->payload;
    const std::size_t received = payload.size() + count;
    const std::uint64_t announced = payload.size() + partial_->remaining;
    // Its header, too: so 64 KiB that were read at once vouch for 256 KiB.
    const std::size_t credible = std::max(kUnproven, kCredit * (received + kMaxHeader<kRole>));
    if (received > payload.capacity()) {
        payload.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(announced, credible)));
    }
}

template <Role kRole>
bool BasicMessageReader<kRole>::accept_payload(std::size_t count) {
    Partial& partial = *partial_;
    const std::span<std::uint8_t> chunk = partial.payload.bytes().last(count);
    const MaskKey key =
        rotate(partial.frame.mask, partial.frame.payload_length - partial.remaining);
    partial.remaining -= count;
    const std::size_t ascii = unmask_payload(chunk, key);
    if (partial.message.type == MessageType::binary) {
        return true;
    }
    return partial.utf8.update(chunk.subspan(partial.utf8.at_boundary() ? ascii : 0));
}

template <Role kRole>
std::optional<Violation> BasicMessageReader<kRole>::inflate_payload(std::span<std::uint8_t> chunk,
                                                                    const ReaderLimits& limits) {
    Partial& partial = *partial_;
    const MaskKey key =
        rotate(partial.frame.mask, partial.frame.payload_length - partial.remaining);
    partial.remaining -= chunk.size();
    static_cast<void>(unmask_payload(chunk, key));
    return partial.inflating.add(chunk, partial.payload, limits);
}

template <Role kRole>
void BasicMessageReader<kRole>::release_if_idle() noexcept {
    if (!partial_->message.open && partial_->header_size == 0 && !partial_->in_payload) {
        partial_.reset();
    }
}

template <Role kRole>
std::span<std::uint8_t> BasicMessageReader<kRole>::receive_window(std::size_t least,
                                                                  std::size_t most) {
    if (partial_ == nullptr || !partial_->in_payload || is_control(partial_->frame.opcode) ||
        partial_->message.compressed || partial_->remaining < least) {
        return {};
    }
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(partial_->remaining, most));
    reserve_payload(wanted);
    return partial_->payload.space(wanted).first(wanted);
}

template class BasicMessageReader<Role::server>;
template class BasicMessageReader<Role::client>;

}  // namespace websocket::protocol
