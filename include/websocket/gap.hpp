// SPDX-License-Identifier: Apache-2.0
// Gaps in topics, for plugins in C++: include it besides websocket/plugin.hpp. It is the face of a draft, which may change
// with any version of the server: see websocket/ext/draft/gap.h.
//
//     watch_ = gaps_.watch("news", [this](const Gap& gap) { load_anew(gap.why); });
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "connection.hpp"
#include "ext/draft/gap.h"

namespace websocket {

/// Messages may be missing. Valid during the callback.
struct Gap {
    enum class Why : std::uint32_t {
        reconnected = WS_GAP_RECONNECTED,
        hole = WS_GAP_HOLE,
        host_dropped = WS_GAP_HOST_DROPPED,
        busy = WS_GAP_BUSY,
    };
    std::optional<std::string_view> topic;  ///< nothing: all topics
    Why why;

    /// "reconnected", "hole", "host dropped" or "busy"; "unknown" for what a later server says.
    [[nodiscard]] std::string_view why_text() const noexcept {
        switch (why) {
            case Why::reconnected: return "reconnected";
            case Why::hole: return "hole";
            case Why::host_dropped: return "host dropped";
            case Why::busy: return "busy";
        }
        return "unknown";
    }
};

/// Functions may be called on any thread; they throw MissingExtension when the server is too old for them.
class Gaps {
public:
    explicit Gaps(const Server& server) noexcept
        : server_(server), table_(static_cast<const ws_gap_draft_1*>(
                               server.host()->extension(server.host(), WS_GAP_DRAFT_1))) {}

    [[nodiscard]] bool available() const noexcept { return table_ != nullptr; }

    /// Calls `function(gap)` for gaps of a topic, and of all, where timers of the plugin run.
    [[nodiscard]] Listener watch(std::string_view topic,
                                 std::function<void(const Gap&)> function) const {
        if (topic.empty()) detail::check(Result::bad_argument);
        return start(topic.data(), topic.size(), std::move(function));
    }
    /// The same for all topics of the virtual host.
    [[nodiscard]] Listener watch_all(std::function<void(const Gap&)> function) const {
        return start(nullptr, 0, std::move(function));
    }

private:
    [[nodiscard]] Listener start(const char* topic, std::uint64_t size,
                                 std::function<void(const Gap&)> function) const {
        struct Watching {
            const Server& server;
            std::function<void(const Gap&)> function;
            static void run(void* data, const void* topic, std::uint64_t n,
                            std::uint32_t why) noexcept {
                auto& self = *static_cast<Watching*>(data);
                try {
                    Gap gap{{}, Gap::Why{why}};
                    if (n > 0) {
                        gap.topic = {static_cast<const char*>(topic), static_cast<std::size_t>(n)};
                    }
                    self.function(gap);
                } catch (...) {
                    self.server.report_exception("a function that watches for gaps", 0);
                }
            }
            static void done(void* data) noexcept { delete static_cast<Watching*>(data); }
        };
        if (table_ == nullptr) throw MissingExtension(WS_GAP_DRAFT_1);
        auto watching = std::make_unique<Watching>(Watching{server_, std::move(function)});
        std::uint64_t number = 0;
        const Result result{table_->watch(server_.host(), topic, size, Watching::run,
                                          Watching::done, watching.get(), &number)};
        detail::check(result);
        if (!taken(result)) return {};
        static_cast<void>(watching.release());
        return {server_.host(), &server_.topics(), number};
    }

    const Server& server_;
    const ws_gap_draft_1* table_;
};

}  // namespace websocket
