// SPDX-License-Identifier: Apache-2.0
// Where a message stands in the history of its topic.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/shared_frame.hpp"

namespace websocket::hub {

/// Offsets of one epoch grow by one with each message; between epochs nothing can be said. An epoch is never 0.
struct Position {
    std::uint64_t epoch = 0;
    std::uint64_t offset = 0;

    [[nodiscard]] explicit operator bool() const noexcept { return epoch != 0; }
    bool operator==(const Position&) const noexcept = default;
};

/// "EPOCH-OFFSET", both in decimal digits: what event streams have as an id. Throws std::bad_alloc.
[[nodiscard]] std::string text_of(const Position& position);

/// Who has published a message that is given its position elsewhere: it does not get it itself.
struct Origin {
    std::uint64_t process = 0;     ///< a random number of the process; 0 for none of this host
    std::uint64_t connection = 0;  ///< engine::ConnectionId::value(); 0 for none

    [[nodiscard]] explicit operator bool() const noexcept { return process != 0; }
    bool operator==(const Origin&) const noexcept = default;
};

/// Kept with the frame, for whoever delivers it: before others have it. Throws std::bad_alloc.
void set_position(const engine::SharedFrame& frame, const Position& position);
/// Nothing of a frame without.
[[nodiscard]] Position position_of(const engine::SharedFrame& frame) noexcept;
/// The same for who has published it.
void set_origin(const engine::SharedFrame& frame, const Origin& origin);
[[nodiscard]] Origin origin_of(const engine::SharedFrame& frame) noexcept;

}  // namespace websocket::hub
