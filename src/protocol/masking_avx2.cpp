// SPDX-License-Identifier: Apache-2.0
#include "protocol/masking_avx2.hpp"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <bit>

namespace websocket::protocol {

namespace {

/// Bytes that are unmasked at a time where there are so many.
constexpr std::size_t kWideStride = 4 * kLeastAvx2;

[[gnu::target("avx2")]] inline __m256i load_unmasked(const std::uint8_t* from,
                                                     __m256i keys) noexcept {
    return _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)), keys);
}

[[gnu::target("avx2")]] inline void store_wide(std::uint8_t* to, __m256i bytes) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bytes);
}

}  // namespace

const bool detail::kHasAvx2 = __builtin_cpu_supports("avx2") != 0;

// As unmask_by(): the last vector is read before anything is written and may overlap the one before.
[[gnu::target("avx2")]] std::size_t unmask_avx2(std::span<std::uint8_t> bytes,
                                                std::uint32_t key) noexcept {
    const __m256i keys = _mm256_set1_epi32(static_cast<int>(key));
    const __m256i high_bits = _mm256_set1_epi8(static_cast<char>(0x80));
    const std::size_t size = bytes.size();
    std::uint8_t* const begin = bytes.data();
    std::uint8_t* const end = begin + size - kLeastAvx2;
    const auto turned = std::rotr(key, 8 * static_cast<int>(size % sizeof key));
    const __m256i last = load_unmasked(end, _mm256_set1_epi32(static_cast<int>(turned)));

    std::size_t ascii = size;
    std::size_t i = 0;
    for (; size - i >= kWideStride; i += kWideStride) {
        std::uint8_t* p = begin + i;
        const __m256i a = load_unmasked(p, keys);
        const __m256i b = load_unmasked(p + 32, keys);
        const __m256i c = load_unmasked(p + 64, keys);
        const __m256i d = load_unmasked(p + 96, keys);
        store_wide(p, a);
        store_wide(p + 32, b);
        store_wide(p + 64, c);
        store_wide(p + 96, d);
        const __m256i all = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
        if (_mm256_testz_si256(all, high_bits) == 0 && ascii == size) {
            ascii = i;
        }
    }
    const std::size_t rest = i;
    __m256i any = last;
    for (; size - i >= kLeastAvx2; i += kLeastAvx2) {
        const __m256i plain = load_unmasked(begin + i, keys);
        store_wide(begin + i, plain);
        any = _mm256_or_si256(any, plain);
    }
    store_wide(end, last);
    return _mm256_testz_si256(any, high_bits) == 0 ? std::min(rest, ascii) : ascii;
}

}  // namespace websocket::protocol

#else

namespace websocket::protocol {

const bool detail::kHasAvx2 = false;

std::size_t unmask_avx2(std::span<std::uint8_t> /*bytes*/, std::uint32_t /*key*/) noexcept {
    __builtin_unreachable();
}

}  // namespace websocket::protocol

#endif
