// SPDX-License-Identifier: Apache-2.0
#include "protocol/close_code.hpp"

#include <algorithm>

namespace websocket::protocol {

namespace {

constexpr std::size_t kCodeSize = 2;

bool is_continuation_byte(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

ClosePayload::ClosePayload(std::uint16_t code, std::string_view reason) noexcept {
    bytes_[0] = static_cast<std::uint8_t>(code >> 8);
    bytes_[1] = static_cast<std::uint8_t>(code & 0xFF);
    std::size_t length = std::min(reason.size(), kMaxControlPayload - kCodeSize);
    while (length < reason.size() && length > 0 && is_continuation_byte(reason[length])) {
        --length;
    }
    std::copy_n(reason.begin(), length, bytes_.begin() + kCodeSize);
    size_ = static_cast<std::uint8_t>(kCodeSize + length);
}

}  // namespace websocket::protocol
