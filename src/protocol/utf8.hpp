// SPDX-License-Identifier: Apache-2.0
// Incremental UTF-8 validation (RFC 3629) that fails at the first byte which cannot be right.
#pragma once

#include <cstdint>
#include <span>

namespace websocket::protocol {

/// Feed a message piece by piece; a sequence may be split anywhere.
class Utf8Validator {
public:
    /// False once any byte so far is impossible; stays false. [any thread]
    [[nodiscard]] bool update(std::span<const std::uint8_t> bytes) noexcept;

    /// False inside a sequence: the text may not end here.
    [[nodiscard]] bool complete() const noexcept { return missing_ == 0 && !failed_; }

    /// True between two characters, where a run of ASCII may be skipped.
    [[nodiscard]] bool at_boundary() const noexcept { return missing_ == 0; }

private:
    [[nodiscard]] bool step(std::uint8_t byte) noexcept;

    std::uint8_t missing_ = 0;  ///< continuation bytes still to come
    std::uint8_t lowest_ = 0;   ///< bounds of the next one: they exclude overlong forms,
    std::uint8_t highest_ = 0;  ///< surrogates and everything above U+10FFFF
    bool failed_ = false;
};

/// Whether `text` as a whole is UTF-8. Costs next to nothing where it is ASCII. [any thread]
[[nodiscard]] bool is_utf8(std::span<const std::uint8_t> text) noexcept;

}  // namespace websocket::protocol
