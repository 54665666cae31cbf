// SPDX-License-Identifier: Apache-2.0
#include "protocol/utf8.hpp"

#include <simdjson.h>

#include <algorithm>

#include "protocol/wide_word.hpp"

namespace websocket::protocol {

namespace {

/// Below this the call into the SIMD validator costs more than it saves.
constexpr std::size_t kSimdThreshold = 24;

/// simdjson finds out what the processor can do, and allocates, when it is first called: here, while
/// the module is loaded, and not when a client has sent its first long text.
[[maybe_unused]] const bool kSimdjsonIsReady = simdjson::validate_utf8("", 0);

/// Length of the sequence that `lead` begins; 1 for everything that begins none.
std::size_t sequence_length(std::uint8_t lead) {
    if (lead < 0xC2) return 1;
    if (lead < 0xE0) return 2;
    if (lead < 0xF0) return 3;
    return lead < 0xF5 ? 4 : 1;
}

/// Bytes at the end of `bytes` that begin a sequence without ending it (0 to 3).
std::size_t unfinished_tail(std::span<const std::uint8_t> bytes) {
    const std::size_t reach = std::min<std::size_t>(3, bytes.size());
    for (std::size_t back = 1; back <= reach; ++back) {
        const std::uint8_t byte = bytes[bytes.size() - back];
        if ((byte & 0xC0) != 0x80) {
            return sequence_length(byte) > back ? back : 0;
        }
    }
    return 0;
}

/// Bytes at the front that are ASCII, in whole blocks but for the last one.
std::size_t ascii_front(std::span<const std::uint8_t> text) noexcept {
    constexpr std::size_t kWide = sizeof(WideWord);
    constexpr std::size_t kBlock = 8 * kWide;
    const std::uint8_t* const begin = text.data();
    const std::size_t size = text.size();
    std::size_t i = 0;
    for (; size - i >= kBlock; i += kBlock) {
        // Written out, as gcc 12 does not unroll this at -O2.
        const auto at = [p = begin + i](std::size_t word) {
            return load<WideWord>(p + word * kWide);
        };
        if (has_high_bit(at(0) | at(1) | at(2) | at(3) | at(4) | at(5) | at(6) | at(7))) {
            return i;
        }
    }
    const std::size_t rest = i;
    if (size >= kWide) {
        auto any = load<WideWord>(begin + size - kWide);  // may overlap
        for (; size - i >= kWide; i += kWide) {
            any |= load<WideWord>(begin + i);
        }
        return has_high_bit(any) ? rest : size;
    }
    while (i < size && begin[i] < 0x80) {
        ++i;
    }
    return i;
}

}  // namespace

bool is_utf8(std::span<const std::uint8_t> text) noexcept {
    const std::size_t ascii = ascii_front(text);
    if (ascii == text.size()) {
        return true;
    }
    Utf8Validator validator;
    return validator.update(text.subspan(ascii)) && validator.complete();
}

bool Utf8Validator::step(std::uint8_t byte) noexcept {
    if (missing_ > 0) {
        if (byte < lowest_ || byte > highest_) {
            return false;
        }
        --missing_;
        lowest_ = 0x80;
        highest_ = 0xBF;
        return true;
    }
    if (byte < 0x80) {
        return true;
    }
    const std::size_t length = sequence_length(byte);
    if (length == 1) {
        return false;
    }
    missing_ = static_cast<std::uint8_t>(length - 1);
    lowest_ = 0x80;
    highest_ = 0xBF;
    switch (byte) {
        case 0xE0: lowest_ = 0xA0; break;   // overlong
        case 0xED: highest_ = 0x9F; break;  // surrogates
        case 0xF0: lowest_ = 0x90; break;   // overlong
        case 0xF4: highest_ = 0x8F; break;  // above U+10FFFF
        default: break;
    }
    return true;
}

bool Utf8Validator::update(std::span<const std::uint8_t> bytes) noexcept {
    if (failed_) {
        return false;
    }
    std::size_t i = 0;
    while (i < bytes.size() && missing_ > 0) {
        if (!step(bytes[i++])) {
            failed_ = true;
            return false;
        }
    }
    const std::size_t tail = unfinished_tail(bytes.subspan(i));
    const std::size_t whole = bytes.size() - i - tail;
    if (whole >= kSimdThreshold) {
        if (!simdjson::validate_utf8(reinterpret_cast<const char*>(bytes.data() + i), whole)) {
            failed_ = true;
            return false;
        }
        i += whole;
    }
    for (; i < bytes.size(); ++i) {
        if (!step(bytes[i])) {
            failed_ = true;
            return false;
        }
    }
    return true;
}

}  // namespace websocket::protocol
