// SPDX-License-Identifier: Apache-2.0
// Where the settings of a request come from.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace websocket::httpd {

/// The sections of the configuration files whose settings were merged, from the outermost to the
/// innermost. Merging is associative, so equal paths mean equal settings, whatever httpd has merged
/// first.
class SectionPath {
public:
    /// Those with a directive of the module, all others do not count.
    static constexpr std::size_t kMaxSections = 8;

    /// Not known: settings that do not last as long as the configuration, or of too many sections.
    constexpr SectionPath() noexcept = default;
    /// Of one section, which is known by its address.
    explicit constexpr SectionPath(const void* section) noexcept : count_(1) {
        sections_[0] = section;
    }

    [[nodiscard]] constexpr bool known() const noexcept { return count_ != 0; }

    /// What `inner` is merged into this.
    constexpr void append(const SectionPath& inner) noexcept {
        if (!known() || !inner.known() || count_ + inner.count_ > kMaxSections) {
            *this = {};
            return;
        }
        std::copy_n(inner.sections_.begin(), inner.count_, sections_.begin() + count_);
        count_ += inner.count_;
    }

    [[nodiscard]] bool operator==(const SectionPath&) const = default;

    [[nodiscard]] std::uint64_t hash() const noexcept {
        std::uint64_t hash = count_;
        for (std::size_t i = 0; i < count_; ++i) {
            hash = (hash ^ reinterpret_cast<std::uintptr_t>(sections_[i])) * 0x9E3779B97F4A7C15U;
            hash ^= hash >> 32;
        }
        return hash;
    }

private:
    std::array<const void*, kMaxSections> sections_{};
    std::size_t count_ = 0;
};

}  // namespace websocket::httpd
