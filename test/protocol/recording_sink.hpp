// SPDX-License-Identifier: Apache-2.0
//
// A MessageSink that writes down what it is told, and ways of feeding a reader that must not make a
// difference to it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/message_reader.hpp"
#include "protocol/require.hpp"
#include "unit.hpp"

namespace websocket::test {

/// One call of the sink.
struct Event {
    std::string kind;   ///< "text", "binary", "ping", "pong", "close" or "violation"
    std::string bytes;  ///< payload, or the reason
    unsigned code = 0;  ///< of a Close or a violation

    bool operator==(const Event&) const = default;
};
using Events = std::vector<Event>;

/// For messages of failed tests.
[[nodiscard]] inline std::string describe(const Events& events) {
    std::string text;
    for (const Event& event : events) {
        text += event.kind + ' ' + std::to_string(event.code) + ' ' +
                std::to_string(event.bytes.size()) + ":\"" + printable(event.bytes.substr(0, 60)) +
                "\"; ";
    }
    return text;
}

inline void assert_events(const Events& actual, const Events& expected, std::string_view how) {
    if (actual == expected) return;
    ck_abort_msg("%s: got %s, expected %s", std::string(how).c_str(), describe(actual).c_str(),
                 describe(expected).c_str());
}

/// Overwrites every payload after it has looked, as it may.
struct RecordingSink {
    Events events;
    bool stops = false;     ///< say stop after every message, Ping and Pong
    bool ended = false;     ///< after a Close or a violation the reader may not be used
    std::size_t owned = 0;  ///< messages that came with their buffer

    protocol::Next on_message(protocol::MessageType type, std::span<std::uint8_t> payload,
                              base::ByteBuffer* owner) {
        if (owner != nullptr) {
            ++owned;
            require(owner->bytes().data() == payload.data(), "");
            require(owner->bytes().size() == payload.size(), "");
        }
        return record(type == protocol::MessageType::text ? "text" : "binary", payload);
    }
    protocol::Next on_ping(std::span<std::uint8_t> payload) { return record("ping", payload); }
    protocol::Next on_pong(std::span<std::uint8_t> payload) { return record("pong", payload); }
    void on_close(std::uint16_t code, std::string_view reason) {
        end({"close", std::string(reason), code});
    }
    void on_violation(protocol::Violation violation) {
        end({"violation", violation.reason, static_cast<unsigned>(violation.code)});
    }

private:
    protocol::Next record(const char* kind, std::span<std::uint8_t> payload) {
        require(!ended, "");
        events.push_back({kind, {payload.begin(), payload.end()}});
        std::fill(payload.begin(), payload.end(), std::uint8_t{0xEE});
        return stops ? protocol::Next::stop : protocol::Next::more;
    }
    void end(Event event) {
        require(!ended, "");
        ended = true;
        events.push_back(std::move(event));
    }
};

/// A reader and its sink.
template <class Reader = protocol::MessageReader>
struct BasicReceiver {
    Reader reader;
    protocol::ReaderLimits limits;
    RecordingSink sink;

    /// Feeds a copy that ends where its memory ends, so that ASan sees a read behind it. Whatever
    /// follows a Close or a violation is not fed. Returns what consume() returned.
    std::size_t feed(std::string_view bytes) {
        if (sink.ended || bytes.empty()) return bytes.size();
        std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
        const std::size_t used = reader.consume(copy, limits, sink);
        require(used <= bytes.size(), "");
        require(used == bytes.size() || sink.ended || sink.stops, "");
        return used;
    }

    void feed_in_steps(std::string_view bytes, std::size_t step) {
        for (std::size_t i = 0; i < bytes.size(); i += step) feed(bytes.substr(i, step));
    }
};

using Receiver = BasicReceiver<>;

/// What a reader makes of `bytes` when they come at once.
template <class Reader = protocol::MessageReader>
[[nodiscard]] Events events_of(std::string_view bytes, const protocol::ReaderLimits& limits = {}) {
    BasicReceiver<Reader> receiver{{}, limits, {}};
    receiver.feed(bytes);
    return receiver.sink.events;
}

/// That it makes the same of them in two parts, whatever the parts are, and byte by byte.
template <class Reader = protocol::MessageReader>
void assert_same_however_split(std::string_view bytes, const Events& expected,
                               const protocol::ReaderLimits& limits = {}) {
    assert_events(events_of<Reader>(bytes, limits), expected, "at once");
    for (std::size_t split = 1; split < bytes.size(); ++split) {
        BasicReceiver<Reader> receiver{{}, limits, {}};
        receiver.feed(bytes.substr(0, split));
        receiver.feed(bytes.substr(split));
        assert_events(receiver.sink.events, expected, "split at " + std::to_string(split));
    }
    BasicReceiver<Reader> receiver{{}, limits, {}};
    receiver.feed_in_steps(bytes, 1);
    assert_events(receiver.sink.events, expected, "byte by byte");
}

}  // namespace websocket::test
