// SPDX-License-Identifier: Apache-2.0
// What was said in the rooms of websocket_chat.cpp, where the server keeps it: see WebSocketHistory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <websocket/history.hpp>
#include <websocket/plugin.hpp>

#include "chat_line.hpp"

namespace chat {

/// The server's history of topics, for clients that get it as fast as they read. It lasts longer than any child.
class KeptLines {
public:
    /// How far a client is.
    struct Reader {
        std::optional<websocket::Position> got = {};
        std::uint64_t until = websocket::History::kTop;  ///< what comes later, it gets live
    };

    KeptLines(const websocket::Server& server, std::size_t most) noexcept
        : history_(server), most_(static_cast<std::uint32_t>(most)) {}

    [[nodiscard]] bool keeps(std::string_view topic) const noexcept {
        return most_ > 0 && history_.keeps(topic);
    }

    /// Calls `send(text)` for the lines that the reader has not got, of the last ones. Results that are not ok end it; after
    /// `full`, the same line is the first one the next time. True when there are no more.
    template <class Send>
    bool read(std::string_view topic, Reader& reader, Send send) const {
        bool more = false;
        const auto take = [&](const websocket::Remembered& one) {
            const bool is_new = !reader.got || reader.got->epoch != one.position.epoch ||
                                reader.got->offset < one.position.offset;
            if (more || !is_new || !one.is_text() || Line(one.text()).id.empty()) return;
            const websocket::Result result = send(one.text());
            more = result != websocket::Result::ok;
            if (result != websocket::Result::full) reader.got = one.position;
        };
        const websocket::Recovery now = history_.read(topic, {}, take, most_, reader.until);
        if (reader.until == websocket::History::kTop) reader.until = now.now.offset;
        return !more;
    }

private:
    const websocket::History history_;
    const std::uint32_t most_;
};

}  // namespace chat
