// SPDX-License-Identifier: Apache-2.0
// What a connection is called outside of its loop: a number that may be kept indefinitely.
#pragma once

#include <cstdint>

namespace websocket::engine {

/// Names a loop, a slot in it and the slot's generation. Once the connection is gone the number
/// stays stale: every call with it answers Gone, also when the slot serves somebody else.
/// The default value names nothing.
class ConnectionId {
public:
    static constexpr unsigned kLoopBits = 12;
    static constexpr unsigned kSlotBits = 20;
    static constexpr std::uint32_t kMaxLoops = 1U << kLoopBits;
    static constexpr std::uint32_t kMaxSlots = 1U << kSlotBits;  ///< connections a loop

    constexpr ConnectionId() noexcept = default;
    constexpr ConnectionId(std::uint32_t loop, std::uint32_t slot,
                           std::uint32_t generation) noexcept
        : value_((std::uint64_t{generation} << 32) | (loop << kSlotBits) | slot) {}

    [[nodiscard]] static constexpr ConnectionId from_value(std::uint64_t value) noexcept {
        ConnectionId id;
        id.value_ = value;
        return id;
    }

    [[nodiscard]] constexpr std::uint32_t generation() const noexcept {
        return static_cast<std::uint32_t>(value_ >> 32);
    }
    [[nodiscard]] constexpr std::uint32_t loop() const noexcept {
        return static_cast<std::uint32_t>(value_) >> kSlotBits;
    }
    [[nodiscard]] constexpr std::uint32_t slot() const noexcept {
        return static_cast<std::uint32_t>(value_) & (kMaxSlots - 1);
    }
    [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }

    constexpr bool operator==(const ConnectionId&) const noexcept = default;

private:
    std::uint64_t value_ = 0;  // generations begin at 1, so 0 names nothing
};

}  // namespace websocket::engine
