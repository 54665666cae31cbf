// SPDX-License-Identifier: Apache-2.0
// Written with the compiler's portable vectors: gcc 12 does not vectorise the obvious byte loop, and
// at -O2 vectorises a 64-bit one badly.
#include "protocol/masking.hpp"

#include <cstring>

namespace websocket::protocol {

namespace {

using Vector [[gnu::vector_size(16)]] = std::uint64_t;

constexpr std::size_t kBlock = 4 * sizeof(Vector);
constexpr std::uint64_t kHighBits = 0x8080808080808080U;

template <class T>
T load(const std::uint8_t* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <class T>
void store(std::uint8_t* to, const T& value) noexcept {
    std::memcpy(to, &value, sizeof value);
}

}  // namespace

std::size_t unmask(std::span<std::uint8_t> bytes, MaskKey key) noexcept {
    std::uint8_t* const begin = bytes.data();
    const std::size_t size = bytes.size();
    std::uint32_t key32;
    std::memcpy(&key32, key.data(), sizeof key32);
    const std::uint64_t key64 = (std::uint64_t{key32} << 32) | key32;
    const Vector key_vector = {key64, key64};

    std::size_t ascii = size;
    std::size_t i = 0;
    for (; size - i >= kBlock; i += kBlock) {
        std::uint8_t* p = begin + i;
        const Vector a = load<Vector>(p) ^ key_vector;
        const Vector b = load<Vector>(p + 16) ^ key_vector;
        const Vector c = load<Vector>(p + 32) ^ key_vector;
        const Vector d = load<Vector>(p + 48) ^ key_vector;
        store(p, a);
        store(p + 16, b);
        store(p + 32, c);
        store(p + 48, d);
        const Vector any = a | b | c | d;
        if (((any[0] | any[1]) & kHighBits) != 0 && ascii == size) {
            ascii = i;
        }
    }
    for (; size - i >= sizeof(std::uint64_t); i += sizeof(std::uint64_t)) {
        const std::uint64_t plain = load<std::uint64_t>(begin + i) ^ key64;
        store(begin + i, plain);
        if ((plain & kHighBits) != 0 && ascii == size) {
            ascii = i;
        }
    }
    for (std::size_t k = 0; i < size; ++i, ++k) {
        begin[i] ^= key[k & 3];
        if (begin[i] >= 0x80 && ascii == size) {
            ascii = i;
        }
    }
    return ascii;
}

}  // namespace websocket::protocol
