// SPDX-License-Identifier: Apache-2.0
// What a topic is called, in every process of a host: its scope and its name.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/sip_hash.hpp"

namespace websocket::hub {

/// Topics of different scopes have nothing in common, whatever their names. The bytes are the
/// length of the scope, the scope and the name.
class TopicKey {
public:
    static constexpr std::size_t kMaxScope = 255;
    static constexpr std::size_t kMaxName = 255;
    static constexpr std::size_t kMax = 1 + kMaxScope + kMaxName;

    /// Nothing when the scope is longer than kMaxScope or the name not 1 to kMaxName bytes long.
    [[nodiscard]] static std::optional<TopicKey> make(std::string_view scope, std::string_view name,
                                                      const base::HashKey& hash_key) noexcept {
        if (scope.size() > kMaxScope || name.empty() || name.size() > kMaxName) {
            return {};
        }
        TopicKey key;
        key.bytes_[0] = static_cast<char>(static_cast<std::uint8_t>(scope.size()));
        char* end = std::copy(scope.begin(), scope.end(), key.bytes_.data() + 1);
        end = std::copy(name.begin(), name.end(), end);
        key.size_ = static_cast<std::size_t>(end - key.bytes_.data());
        key.hash_ = base::sip_hash(hash_key, key.bytes());
        return key;
    }

    /// The key with these bytes(); nothing when there is none.
    [[nodiscard]] static std::optional<TopicKey> parse(std::string_view bytes,
                                                       const base::HashKey& hash_key) noexcept {
        const std::size_t scope = bytes.empty() ? 0 : static_cast<std::uint8_t>(bytes.front());
        if (bytes.size() < 1 + scope) {
            return {};
        }
        return make(bytes.substr(1, scope), bytes.substr(1 + scope), hash_key);
    }

    [[nodiscard]] std::string_view bytes() const noexcept { return {bytes_.data(), size_}; }
    [[nodiscard]] std::string_view scope() const noexcept {
        return bytes().substr(1, scope_size());
    }
    [[nodiscard]] std::string_view name() const noexcept {
        return bytes().substr(1 + scope_size());
    }
    /// A name that begins with a NUL: other processes are not concerned.
    [[nodiscard]] bool is_of_process() const noexcept { return bytes_[1 + scope_size()] == '\0'; }
    [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

private:
    TopicKey() noexcept = default;
    [[nodiscard]] std::size_t scope_size() const noexcept {
        return static_cast<std::uint8_t>(bytes_[0]);
    }

    std::uint64_t hash_;
    std::size_t size_;
    std::array<char, kMax> bytes_;  // only the first size_ are ever written
};

}  // namespace websocket::hub
