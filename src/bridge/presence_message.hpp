// SPDX-License-Identifier: Apache-2.0
// What bridges tell each other of who is present.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace websocket::bridge {

/// Somebody is a member of a topic, with this info, or is not.
struct PresenceChange {
    bool present = false;
    std::string_view key = {};  ///< hub::TopicKey::bytes()
    std::string_view id = {};
    std::string_view info = {};

    /// Throws std::bad_alloc.
    void append_to(std::string& text) const;
    /// The next one, which is taken away, and refers to the text. Nothing at the end, and, when `text` is not empty then, if
    /// what follows is none: the key is not of a topic that goes over hosts, or the id or info too long.
    [[nodiscard]] static std::optional<PresenceChange> take(std::string_view& text) noexcept;
};

/// What is in an Envelope of presence: a kind, flags, and 8 bytes of the host, most significant first. The envelope says
/// which bridge of the host, and how many messages with changes that has sent, this one included.
struct PresenceMessage {
    enum class Kind : std::uint8_t {
        alive = 1,    ///< nothing else
        changes = 2,  ///< some have come or gone
        state = 3,    ///< a part of all who are there
        ask =
            4,  ///< 8 bytes: the host whose state is wanted, or 0: all hosts, say that you are there
        goodbye = 5,  ///< the host is no more
    };
    static constexpr std::uint8_t kFirst = 1;  ///< of state: it begins
    static constexpr std::uint8_t kLast = 2;   ///< of state: it is whole

    Kind kind = Kind::alive;
    std::uint8_t flags = 0;
    std::uint64_t host = 0;
    std::uint64_t asked = 0;
    std::string_view changes = {};  ///< PresenceChange, one behind the other

    /// Throws std::bad_alloc.
    [[nodiscard]] std::string to_message() const;
    /// Refers to `text`. Nothing when a bridge of this version does not write the like, in no change either.
    [[nodiscard]] static std::optional<PresenceMessage> of_message(std::string_view text) noexcept;

    [[nodiscard]] bool has_changes() const noexcept {
        return kind == Kind::changes || kind == Kind::state;
    }
};

}  // namespace websocket::bridge
