// SPDX-License-Identifier: Apache-2.0
// What callbacks get and what calls return. Part of the C++ face of websocket/plugin.h; include
// websocket/plugin.hpp.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include "extensions.h"
#include "plugin.h"

namespace websocket {

enum class Type : std::uint32_t { text = WS_TEXT, binary = WS_BINARY };

enum class Result : std::int32_t {
    ok = WS_OK,
    queued = WS_QUEUED,  ///< taken, but much is waiting: on_writable tells when not
    full = WS_FULL,      ///< not taken: too much is waiting; on_writable tells when not
    gone = WS_GONE,
    too_big = WS_TOO_BIG,
    bad_argument = WS_BAD_ARG,
    no_memory = WS_NO_MEMORY,
};

/// True when it was done, be it that much is waiting.
[[nodiscard]] constexpr bool taken(Result result) noexcept {
    return static_cast<std::int32_t>(result) >= 0;
}

/// Integers, but neither truth nor characters.
template <class T>
concept Number = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
                 !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> &&
                 !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

/// Codes of RFC 6455 section 7.4 and of IANA's registry. Those from 4000 to 4999 are the plugin's own.
enum class CloseCode : std::uint16_t {
    normal = 1000,
    going_away = 1001,
    protocol_error = 1002,
    unsupported_data = 1003,
    no_status = 1005,  ///< never sent: the Close had none
    abnormal = 1006,   ///< never sent: there was no Close
    invalid_data = 1007,
    policy_violation = 1008,
    too_big = 1009,
    internal_error = 1011,
    service_restart = 1012,
    try_again_later = 1013,
    bad_gateway = 1014,  ///< of a gateway: the answer of the server behind it was not valid
};

using Bytes = std::span<const std::uint8_t>;

[[nodiscard]] inline Bytes bytes_of(std::string_view text) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string_view text_of(Bytes bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A whole message; valid during the callback. The bytes may be modified.
struct Message {
    Type type;
    std::span<std::uint8_t> bytes;

    [[nodiscard]] bool is_text() const noexcept { return type == Type::text; }
    [[nodiscard]] std::string_view text() const noexcept { return text_of(bytes); }
};

/// A message of a topic; valid during the callback.
struct Published {
    Type type;
    Bytes bytes;

    [[nodiscard]] bool is_text() const noexcept { return type == Type::text; }
    [[nodiscard]] std::string_view text() const noexcept { return text_of(bytes); }
};

/// What has come of a message; valid during the callback.
struct Fragment {
    Type type;
    bool first;
    bool last;
    std::span<std::uint8_t> bytes;  ///< text may end inside a character here
};

/// How a connection ended; valid during the callback.
struct Close {
    std::uint16_t code;  ///< 1005: the Close had none; 1006: there was no Close
    std::string_view reason;
    bool by_peer;
    bool clean;  ///< the peer has sent a Close

    [[nodiscard]] bool is(CloseCode which) const noexcept {
        return code == static_cast<std::uint16_t>(which);
    }
};

/// Thrown by a plugin's check() or constructor: the administrator gets to read it.
class OptionError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Thrown when the server lacks what is asked of it.
class MissingExtension : public std::runtime_error {
public:
    explicit MissingExtension(const char* name)
        : std::runtime_error("the server does not have " + std::string(name)) {}
};

/// The WebSocketOption lines of the location. Valid as long as the plugin.
class Options {
public:
    Options(const ws_option* options, std::uint64_t count) noexcept
        : options_(options, static_cast<std::size_t>(count)) {}

    [[nodiscard]] bool has(std::string_view name) const noexcept { return find(name) != nullptr; }

    /// The value, or `fallback`.
    [[nodiscard]] std::string_view text(std::string_view name,
                                        std::string_view fallback = {}) const noexcept {
        const ws_option* option = find(name);
        return option != nullptr ? value_of(*option) : fallback;
    }

    /// The value as a number from `least` to `most`, or `fallback`, of the type that is wanted:
    /// `number<std::size_t>("history", 50, 0, 1000)`. Throws OptionError.
    template <Number T = std::int64_t>
    [[nodiscard]] T number(std::string_view name, std::type_identity_t<T> fallback,
                           std::type_identity_t<T> least, std::type_identity_t<T> most) const {
        const ws_option* option = find(name);
        if (option == nullptr) {
            return fallback;
        }
        const std::string_view text = value_of(*option);
        T value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size() || value < least ||
            value > most) {
            throw OptionError("option " + std::string(name) + ": \"" + std::string(text) +
                              "\" is not a number from " + std::to_string(least) + " to " +
                              std::to_string(most));
        }
        return value;
    }

    /// Throws OptionError when there is an option that is not among `known`.
    void allow_only(std::initializer_list<std::string_view> known) const {
        allow_only(std::span(known.begin(), known.size()));
    }
    void allow_only(std::span<const std::string_view> known) const {
        for (const ws_option& option : options_) {
            bool found = false;
            std::string list;
            for (const std::string_view name : known) {
                found = found || name == name_of(option);
                list += list.empty() ? std::string(name) : ", " + std::string(name);
            }
            if (!found) {
                throw OptionError("option \"" + std::string(name_of(option)) +
                                  "\" is unknown; there are: " + list);
            }
        }
    }

private:
    [[nodiscard]] static std::string_view name_of(const ws_option& option) noexcept {
        return {option.name, static_cast<std::size_t>(option.name_size)};
    }
    [[nodiscard]] static std::string_view value_of(const ws_option& option) noexcept {
        return {option.value, static_cast<std::size_t>(option.value_size)};
    }
    [[nodiscard]] const ws_option* find(std::string_view name) const noexcept {
        for (const ws_option& option : options_) {
            if (name_of(option) == name) {
                return &option;
            }
        }
        return nullptr;
    }

    std::span<const ws_option> options_;
};

}  // namespace websocket
