// SPDX-License-Identifier: Apache-2.0
// Who is there, for plugins in C++: include it besides websocket/plugin.hpp. It is the face of a draft, which may change
// with any version of the server: see websocket/ext/draft/presence.h.
//
//     void on_open(Connection client, State& state) { presence_.enter(client, "lobby", state.user); }
//     ...
//     watch_ = presence_.watch("lobby", [](const PresenceChange& one) { ... });
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "connection.hpp"
#include "ext/draft/presence.h"

namespace websocket {

/// Valid during the callback.
struct PresenceChange {
    enum class What : std::uint32_t { joined = WS_JOINED, left = WS_LEFT, changed = WS_CHANGED };
    What what;
    std::string_view id;
    std::string_view info;
};

struct PresentMember {
    std::string id;
    std::string info;
};

/// Functions may be called on any thread; they throw MissingExtension when the server is too old for them.
class Presence {
public:
    explicit Presence(const Server& server) noexcept
        : server_(server), table_(static_cast<const ws_presence_draft_1*>(
                               server.host()->extension(server.host(), WS_PRESENCE_DRAFT_1))) {}

    [[nodiscard]] bool available() const noexcept { return table_ != nullptr; }

    /// The client stands for the member `id`, 1 to 255 bytes, until it leaves or ends.
    Result enter(Connection client, std::string_view topic, std::string_view id,
                 std::string_view info = {}) const {
        return Result{table().enter(server_.host(), client.id(), topic.data(), topic.size(),
                                    id.data(), id.size(), info.data(), info.size())};
    }
    Result leave(Connection client, std::string_view topic) const {
        return Result{table().leave(server_.host(), client.id(), topic.data(), topic.size())};
    }

    /// By their ids.
    [[nodiscard]] std::vector<PresentMember> members(std::string_view topic) const {
        std::vector<PresentMember> all;
        const auto add = [](void* data, std::uint32_t /*what*/, const void* id,
                            std::uint64_t id_size, const void* info, std::uint64_t info_size) {
            static_cast<std::vector<PresentMember>*>(data)->push_back(
                {std::string(text(id, id_size)), std::string(text(info, info_size))});
        };
        detail::check(Result{
            table().members(server_.host(), topic.data(), topic.size(), add, &all, nullptr)});
        return all;
    }
    [[nodiscard]] std::uint64_t count(std::string_view topic) const {
        std::uint64_t count = 0;
        detail::check(Result{
            table().members(server_.host(), topic.data(), topic.size(), nullptr, nullptr, &count)});
        return count;
    }

    /// Calls `function(change)` with who is there and then with who comes and goes, where timers of the plugin run.
    [[nodiscard]] Listener watch(std::string_view topic,
                                 std::function<void(const PresenceChange&)> function) const {
        struct Watching {
            const Server& server;
            std::function<void(const PresenceChange&)> function;
            static void run(void* data, std::uint32_t what, const void* id, std::uint64_t id_size,
                            const void* info, std::uint64_t info_size) noexcept {
                auto& self = *static_cast<Watching*>(data);
                try {
                    self.function(
                        {PresenceChange::What{what}, text(id, id_size), text(info, info_size)});
                } catch (...) {
                    self.server.report_exception("a function that watches who is there", 0);
                }
            }
            static void done(void* data) noexcept { delete static_cast<Watching*>(data); }
        };
        auto watching = std::make_unique<Watching>(Watching{server_, std::move(function)});
        std::uint64_t number = 0;
        const Result result{table().watch(server_.host(), topic.data(), topic.size(), Watching::run,
                                          Watching::done, watching.get(), &number)};
        detail::check(result);
        if (!taken(result)) return {};
        static_cast<void>(watching.release());
        return {server_.host(), &server_.topics(), number};
    }

private:
    static std::string_view text(const void* bytes, std::uint64_t n) noexcept {
        return {static_cast<const char*>(bytes), static_cast<std::size_t>(n)};
    }
    [[nodiscard]] const ws_presence_draft_1& table() const {
        if (table_ == nullptr) throw MissingExtension(WS_PRESENCE_DRAFT_1);
        return *table_;
    }

    const Server& server_;
    const ws_presence_draft_1* table_;
};

}  // namespace websocket
