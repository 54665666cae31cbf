// SPDX-License-Identifier: Apache-2.0
// What was said in the rooms of websocket_chat.cpp, where the server keeps it: see WebSocketHistory.
#pragma once

#include <algorithm>
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
        std::uint64_t until = 0;  ///< what comes later, it gets live
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
        if (!reader.got) begin(topic, reader);
        bool more = false;
        while (!more && reader.got->offset < reader.until) {
            const std::uint64_t end = std::min(reader.got->offset + kPiece, reader.until);
            const auto take = [&](const websocket::Remembered& one) {
                if (more || one.position.epoch != reader.got->epoch) return;
                if (one.is_text() && !Line(one.text()).id.empty()) {
                    const websocket::Result result = send(one.text());
                    more = result != websocket::Result::ok;
                    if (result == websocket::Result::full) return;
                }
                reader.got = one.position;
            };
            const auto most = static_cast<std::uint32_t>(end - reader.got->offset);
            const websocket::Recovery now = history_.read(topic, {}, take, most, end);
            if (!taken(now.result) || now.now.epoch != reader.got->epoch) return true;  // forgotten
            if (!more) reader.got->offset = end;
        }
        return !more;
    }

private:
    /// Lines that are read at once: memory that all children share is locked while they are copied.
    static constexpr std::uint64_t kPiece = 16;

    void begin(std::string_view topic, Reader& reader) const {
        const websocket::Recovery what = history_.read(
            topic, {}, [](const auto&) {}, 0);
        const websocket::Position& now = what.now;
        reader.got = {now.epoch, now.offset - std::min<std::uint64_t>(most_, now.offset)};
        reader.until = now.offset;
    }

    const websocket::History history_;
    const std::uint32_t most_;
};

}  // namespace chat
