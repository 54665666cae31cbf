// SPDX-License-Identifier: Apache-2.0
#include "base/sip_hash.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

namespace websocket::base {

namespace {

class State {
public:
    explicit State(const HashKey& key) noexcept
        : v0_(key[0] ^ 0x736f6d6570736575), v1_(key[1] ^ 0x646f72616e646f6d),
          v2_(key[0] ^ 0x6c7967656e657261), v3_(key[1] ^ 0x7465646279746573) {}

    void add(std::uint64_t word) noexcept {
        v3_ ^= word;
        round();
        v0_ ^= word;
    }
    [[nodiscard]] std::uint64_t finish() noexcept {
        v2_ ^= 0xff;
        round();
        round();
        round();
        return v0_ ^ v1_ ^ v2_ ^ v3_;
    }

private:
    void round() noexcept {
        v0_ += v1_;
        v1_ = std::rotl(v1_, 13) ^ v0_;
        v0_ = std::rotl(v0_, 32);
        v2_ += v3_;
        v3_ = std::rotl(v3_, 16) ^ v2_;
        v0_ += v3_;
        v3_ = std::rotl(v3_, 21) ^ v0_;
        v2_ += v1_;
        v1_ = std::rotl(v1_, 17) ^ v2_;
        v2_ = std::rotl(v2_, 32);
    }

    std::uint64_t v0_;
    std::uint64_t v1_;
    std::uint64_t v2_;
    std::uint64_t v3_;
};

/// Up to eight bytes, the first one lowest.
std::uint64_t little_endian(std::string_view bytes) noexcept {
    std::uint64_t word = 0;
    if (std::endian::native == std::endian::little && bytes.size() == sizeof word) {
        std::memcpy(&word, bytes.data(), sizeof word);
        return word;
    }
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        word |= std::uint64_t{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
    }
    return word;
}

}  // namespace

std::uint64_t sip_hash(const HashKey& key, std::string_view bytes) noexcept {
    constexpr std::size_t kWord = sizeof(std::uint64_t);
    State state(key);
    const std::uint64_t length = bytes.size();
    while (bytes.size() >= kWord) {
        state.add(little_endian(bytes.substr(0, kWord)));
        bytes.remove_prefix(kWord);
    }
    state.add(little_endian(bytes) | length << 56);
    return state.finish();
}

}  // namespace websocket::base
