// SPDX-License-Identifier: Apache-2.0
// How full a child process is, and when it leaves a new client to a sibling.
#pragma once

#include <atomic>
#include <cstdint>

namespace websocket::httpd {

/// In memory that the children of one generation share: all read it, each writes its own, and anybody may write
/// `doubted_until`. Zeros are a child that takes nobody.
struct ChildLoad {
    std::atomic<std::uint32_t> used;      ///< places of its engine that are taken
    std::atomic<std::uint32_t> capacity;  ///< places, as far as it knows
    std::atomic<bool> waits;              ///< it would take a client at once
    std::atomic<bool> leaves;             ///< it is to end
    /// A client has waited for it in vain: nobody counts on it before this time of the steady clock. It takes
    /// that back when it runs again.
    std::atomic<std::int64_t> doubted_until;

    [[nodiscard]] bool has_room() const noexcept {
        return used.load(std::memory_order_relaxed) < capacity.load(std::memory_order_relaxed) &&
               !leaves.load(std::memory_order_relaxed);
    }
};

/// Places that a child may be ahead of a sibling that waits: 3 %, and some, so that few clients are passed on
/// while there are few at all.
[[nodiscard]] constexpr std::uint32_t allowed_beside(std::uint32_t least) noexcept {
    constexpr std::uint32_t kSome = 4;
    return least + least / 32 + kSome;
}

}  // namespace websocket::httpd
