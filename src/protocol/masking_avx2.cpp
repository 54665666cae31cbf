// SPDX-License-Identifier: Apache-2.0
#include "protocol/masking_avx2.hpp"

#if defined(__x86_64__)

#include <immintrin.h>

namespace websocket::protocol {

namespace {

/// Within this much of the first byte that is not ASCII.
constexpr std::size_t kBoundBlock = 64;

const bool kSupported = __builtin_cpu_supports("avx2") != 0;

}  // namespace

bool has_avx2() noexcept { return kSupported; }

[[gnu::target("avx2")]] std::size_t unmask_avx2(std::span<std::uint8_t> bytes,
                                                std::uint32_t key) noexcept {
    const __m256i keys = _mm256_set1_epi32(static_cast<int>(key));
    const __m256i high_bits = _mm256_set1_epi8(static_cast<char>(0x80));
    std::size_t ascii = bytes.size();
    for (std::size_t i = 0; i < bytes.size(); i += kAvx2Stride) {
        auto* p = reinterpret_cast<__m256i*>(bytes.data() + i);
        const __m256i a = _mm256_xor_si256(_mm256_loadu_si256(p), keys);
        const __m256i b = _mm256_xor_si256(_mm256_loadu_si256(p + 1), keys);
        const __m256i c = _mm256_xor_si256(_mm256_loadu_si256(p + 2), keys);
        const __m256i d = _mm256_xor_si256(_mm256_loadu_si256(p + 3), keys);
        _mm256_storeu_si256(p, a);
        _mm256_storeu_si256(p + 1, b);
        _mm256_storeu_si256(p + 2, c);
        _mm256_storeu_si256(p + 3, d);
        const __m256i first = _mm256_or_si256(a, b);
        const __m256i all = _mm256_or_si256(first, _mm256_or_si256(c, d));
        if (_mm256_testz_si256(all, high_bits) == 0 && ascii == bytes.size()) {
            ascii = _mm256_testz_si256(first, high_bits) == 0 ? i : i + kBoundBlock;
        }
    }
    return ascii;
}

}  // namespace websocket::protocol

#else

namespace websocket::protocol {

bool has_avx2() noexcept { return false; }
std::size_t unmask_avx2(std::span<std::uint8_t> /*bytes*/, std::uint32_t /*key*/) noexcept {
    __builtin_unreachable();
}

}  // namespace websocket::protocol

#endif
