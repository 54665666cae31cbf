// SPDX-License-Identifier: Apache-2.0
// What a Redis server answers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace websocket::bridge {

struct Reply {
    enum class Type : std::uint8_t { nil, string, status, error, integer, array };
    Type type = Type::nil;
    long long integer = 0;
    std::string text;  ///< of a string, a status or an error
    std::vector<Reply> elements;

    [[nodiscard]] bool is_error() const noexcept { return type == Type::error; }
};

}  // namespace websocket::bridge
