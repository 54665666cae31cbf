// SPDX-License-Identifier: Apache-2.0
// Written with the compiler's portable vectors: gcc 12 does not vectorise the obvious byte loop, and
// at -O2 vectorises a 64-bit one badly.
#include "protocol/masking.hpp"

#include <algorithm>
#include <bit>
#include <type_traits>

#include "protocol/masking_avx2.hpp"
#include "protocol/wide_word.hpp"

namespace websocket::protocol {

namespace {

using Vector = WideWord;

constexpr std::size_t kStride = 4 * sizeof(Vector);

/// The key as it applies from `offset` on, over and over.
template <class T>
T repeated(MaskKey key, std::size_t offset) noexcept {
    const int shift = 8 * static_cast<int>(offset & 3);
    const auto in_order = load<std::uint32_t>(key.data());
    const std::uint64_t key32 = std::endian::native == std::endian::little
                                    ? std::rotr(in_order, shift)
                                    : std::rotl(in_order, shift);
    const std::uint64_t key64 = (key32 << 32) | key32;
    if constexpr (std::is_same_v<T, Vector>) {
        return Vector{key64, key64};
    } else {
        return key64;
    }
}

/// At least one T. The last one is read before anything is written and may overlap the one before.
template <class T>
std::size_t unmask_by(std::span<std::uint8_t> bytes, MaskKey key) noexcept {
    std::uint8_t* const begin = bytes.data();
    const std::size_t size = bytes.size();
    const T key_block = repeated<T>(key, 0);
    const T last = load<T>(begin + size - sizeof(T)) ^ repeated<T>(key, size - sizeof(T));

    std::size_t ascii = size;
    std::size_t i = 0;
    if constexpr (std::is_same_v<T, Vector>) {
        for (; size - i >= kStride; i += kStride) {
            std::uint8_t* p = begin + i;
            const Vector a = load<Vector>(p) ^ key_block;
            const Vector b = load<Vector>(p + 16) ^ key_block;
            const Vector c = load<Vector>(p + 32) ^ key_block;
            const Vector d = load<Vector>(p + 48) ^ key_block;
            store(p, a);
            store(p + 16, b);
            store(p + 32, c);
            store(p + 48, d);
            if (has_high_bit(a | b | c | d) && ascii == size) {
                ascii = i;
            }
        }
    }
    const std::size_t rest = i;
    T any = last;
    for (; size - i >= sizeof(T); i += sizeof(T)) {
        const T plain = load<T>(begin + i) ^ key_block;
        store(begin + i, plain);
        any |= plain;
    }
    store(begin + size - sizeof(T), last);
    return has_high_bit(any) ? std::min(rest, ascii) : ascii;
}

}  // namespace

std::size_t unmask(std::span<std::uint8_t> bytes, MaskKey key) noexcept {
    return bytes.size() >= kLeastAvx2 && has_avx2()
               ? unmask_avx2(bytes, load<std::uint32_t>(key.data()))
               : unmask_anywhere(bytes, key);
}

std::size_t unmask_anywhere(std::span<std::uint8_t> bytes, MaskKey key) noexcept {
    if (bytes.size() >= sizeof(Vector)) {
        return unmask_by<Vector>(bytes, key);
    }
    if (bytes.size() >= sizeof(std::uint64_t)) {
        return unmask_by<std::uint64_t>(bytes, key);
    }
    std::size_t ascii = bytes.size();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] ^= key[i & 3];
        if (bytes[i] >= 0x80 && ascii == bytes.size()) {
            ascii = i;
        }
    }
    return ascii;
}

}  // namespace websocket::protocol
