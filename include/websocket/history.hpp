// SPDX-License-Identifier: Apache-2.0
// Topics that remember, for plugins in C++: include it besides websocket/plugin.hpp. It is the face of a draft, which may
// change with any version of the server: see websocket/ext/draft/history.h.
//
//     void on_open(Connection client, State& state) {
//         const Recovery recovery = history_.subscribe(client, "news", state.since);
//         if (!recovery.complete) client.send("load the page anew");
//     }
#pragma once

#include <charconv>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "connection.hpp"
#include "ext/draft/history.h"

namespace websocket {

/// Of a message in its topic.
struct Position {
    std::uint64_t epoch = 0;
    std::uint64_t offset = 0;

    bool operator==(const Position&) const = default;

    /// "EPOCH-OFFSET", what event streams have as ids. In JSON it has to be a string: numbers of JavaScript are too small.
    [[nodiscard]] std::string text() const {
        return std::to_string(epoch) + '-' + std::to_string(offset);
    }
    /// Nothing when it is none.
    [[nodiscard]] static std::optional<Position> parse(std::string_view text) noexcept {
        Position position;
        const char* const end = text.data() + text.size();
        const auto [dash, first] = std::from_chars(text.data(), end, position.epoch);
        if (first != std::errc{} || dash == end || *dash != '-' || position.epoch == 0) return {};
        const auto [stop, second] = std::from_chars(dash + 1, end, position.offset);
        if (second != std::errc{} || stop != end) return {};
        return position;
    }
};

/// A message of a topic with history; valid during the callback.
struct Remembered : Published {
    Position position;
};

/// What has come of a return to a topic.
struct Recovery {
    Result result = Result::ok;
    bool complete = false;  ///< nothing was missed; else the client has to load its state anew
    Position now = {};      ///< what comes next is behind it
};

/// Functions may be called on any thread; they throw MissingExtension when the server has no history.
class History {
public:
    static constexpr std::uint32_t kAll = std::numeric_limits<std::uint32_t>::max();
    static constexpr std::uint64_t kTop = std::numeric_limits<std::uint64_t>::max();

    explicit History(const Server& server) noexcept
        : server_(server), table_(static_cast<const ws_history_draft_1*>(
                               server.host()->extension(server.host(), WS_HISTORY_DRAFT_1))) {}

    [[nodiscard]] bool available() const noexcept { return table_ != nullptr; }
    /// Whether the topic has one; false when the server has none at all.
    [[nodiscard]] bool keeps(std::string_view topic) const noexcept {
        return table_ != nullptr && table_->keeps(server_.host(), topic.data(), topic.size()) != 0;
    }

    /// Subscribes a client to a topic that keeps(), and sends it first what it has missed, as it was published.
    Recovery subscribe(Connection client, std::string_view topic,
                       const std::optional<Position>& since = {}) const {
        Recovery recovery;
        ws_position now{};
        std::uint32_t recovered = 0;
        const Since from(since);
        recovery.result = Result{table().subscribe(server_.host(), client.id(), topic.data(),
                                                   topic.size(), from.get(), &now, &recovered)};
        return finished(recovery, now, recovered);
    }

    /// Position: nothing when the message was not kept, or the broker of all hosts gives it one later.
    Result publish(std::string_view topic, Type type, Bytes bytes,
                   std::optional<Position>& position, ws_conn except = 0) const {
        ws_position at{};
        const Result result{table().publish(server_.host(), topic.data(), topic.size(),
                                            static_cast<std::uint32_t>(type), bytes.data(),
                                            bytes.size(), except, &at)};
        position = at.epoch != 0 ? std::optional(Position{at.epoch, at.offset}) : std::nullopt;
        return result;
    }

    /// Calls function(message) for what is kept: what is behind `since`, or else the last ones; in order, at most `most`, and
    /// none behind `until`. An exception of the function ends it, and is thrown when the server has returned.
    Recovery read(std::string_view topic, const std::optional<Position>& since,
                  const std::function<void(const Remembered&)>& function, std::uint32_t most = kAll,
                  std::uint64_t until = kTop) const {
        struct Reader {
            const std::function<void(const Remembered&)>& function;
            std::exception_ptr error = {};
            static void take(void* data, std::uint32_t type, const void* bytes, std::uint64_t n,
                             const ws_position* at) noexcept {
                auto& self = *static_cast<Reader*>(data);
                if (self.error) return;
                try {
                    self.function(remembered(type, bytes, n, at));
                } catch (...) {
                    self.error = std::current_exception();
                }
            }
        };
        Reader reader{function};
        Recovery recovery;
        ws_position now{};
        std::uint32_t recovered = 0;
        const Since from(since);
        recovery.result =
            Result{table().read(server_.host(), topic.data(), topic.size(), from.get(), until, most,
                                Reader::take, &reader, &now, &recovered)};
        if (reader.error) std::rethrow_exception(reader.error);
        return finished(recovery, now, recovered);
    }

    /// As Server::listen(), with positions; epoch 0 where the topic has no history.
    [[nodiscard]] Listener listen(std::string_view topic,
                                  std::function<void(const Remembered&)> function) const {
        struct Listening {
            const Server& server;
            std::function<void(const Remembered&)> function;
            static void run(void* data, std::uint32_t type, const void* bytes, std::uint64_t n,
                            const ws_position* at) noexcept {
                auto& self = *static_cast<Listening*>(data);
                try {
                    self.function(remembered(type, bytes, n, at));
                } catch (...) {
                    self.server.report_exception("a listener of a topic", 0);
                }
            }
            static void done(void* data) noexcept { delete static_cast<Listening*>(data); }
        };
        auto listening = std::make_unique<Listening>(Listening{server_, std::move(function)});
        std::uint64_t number = 0;
        const Result result{table().listen(server_.host(), topic.data(), topic.size(),
                                           Listening::run, Listening::done, listening.get(),
                                           &number)};
        detail::check(result);
        if (!taken(result)) return {};
        static_cast<void>(listening.release());
        return {server_.host(), &server_.topics(), number};
    }

private:
    class Since {
    public:
        explicit Since(const std::optional<Position>& since) noexcept
            : position_(since ? ws_position{since->epoch, since->offset} : ws_position{}),
              given_(since) {}
        [[nodiscard]] const ws_position* get() const noexcept {
            return given_ ? &position_ : nullptr;
        }

    private:
        const ws_position position_;
        const bool given_;
    };
    static Remembered remembered(std::uint32_t type, const void* bytes, std::uint64_t n,
                                 const ws_position* at) noexcept {
        return {
            {Type{type}, {static_cast<const std::uint8_t*>(bytes), static_cast<std::size_t>(n)}},
            at != nullptr ? Position{at->epoch, at->offset} : Position{}};
    }
    static Recovery finished(Recovery recovery, const ws_position& now, std::uint32_t recovered) {
        detail::check(recovery.result);
        recovery.now = {now.epoch, now.offset};
        recovery.complete = recovered != 0;
        return recovery;
    }
    [[nodiscard]] const ws_history_draft_1& table() const {
        if (table_ == nullptr) throw MissingExtension(WS_HISTORY_DRAFT_1);
        return *table_;
    }

    const Server& server_;
    const ws_history_draft_1* table_;
};

}  // namespace websocket
