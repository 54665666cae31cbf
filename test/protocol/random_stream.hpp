// SPDX-License-Identifier: Apache-2.0
//
// What a client may send, at random: messages in any fragments, control frames between them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/client_frame.hpp"
#include "protocol/random.hpp"
#include "protocol/recording_sink.hpp"

namespace websocket::test {

/// Octets of a legal stream, what a reader has to make of them, and where each event is complete.
struct Stream {
    std::string bytes;
    Events events;
    std::vector<std::size_t> ends;  ///< offset behind the last octet of each event
};

class StreamMaker {
public:
    /// Payloads are seldom longer than `usual` and never longer than `longest` octets.
    StreamMaker(Random& random, std::size_t usual, std::size_t longest)
        : random_(random), usual_(usual), longest_(longest) {}

    [[nodiscard]] Stream make(std::size_t messages) {
        stream_ = {};
        for (std::size_t i = 0; i < messages; ++i) {
            if (random_.one_in(3)) control();
            message();
        }
        if (random_.one_in(3)) close();
        return std::move(stream_);
    }

private:
    [[nodiscard]] std::size_t payload_size() {
        if (random_.one_in(6)) return 0;
        if (random_.one_in(4))
            return std::min(longest_, random_.pick({125, 126, 127, 65535, 65536}));
        return random_.below(usual_);
    }

    void frame(Opcode opcode, std::string_view payload, bool fin) {
        stream_.bytes += client_frame(
            {.opcode = opcode, .payload = payload, .fin = fin, .mask = random_.mask()});
    }

    void event(std::string kind, std::string bytes, unsigned code = 0) {
        stream_.events.push_back({std::move(kind), std::move(bytes), code});
        stream_.ends.push_back(stream_.bytes.size());
    }

    void control() {
        const bool ping = random_.one_in(2);
        const std::string payload = random_.bytes(random_.one_in(8) ? 125 : random_.below(10));
        frame(ping ? Opcode::ping : Opcode::pong, payload, true);
        event(ping ? "ping" : "pong", payload);
    }

    void close() {
        if (random_.one_in(3)) {
            frame(Opcode::close, {}, true);
            event("close", {}, 1005);
            return;
        }
        const std::string reason = random_.text(random_.below(100));
        frame(Opcode::close, close_payload(1000, reason), true);
        event("close", reason, 1000);
    }

    void message() {
        const bool text = random_.one_in(2);
        const std::size_t size = payload_size();
        const std::string payload = text ? random_.text(size) : random_.bytes(size);
        Opcode opcode = text ? Opcode::text : Opcode::binary;
        std::string_view rest = payload;
        for (std::size_t more = random_.one_in(2) ? random_.below(5) : 0; more > 0; --more) {
            const std::size_t part = random_.below(rest.size() + 1);
            frame(opcode, rest.substr(0, part), false);
            rest.remove_prefix(part);
            opcode = Opcode::continuation;
            if (random_.one_in(3)) control();
        }
        frame(opcode, rest, true);
        event(text ? "text" : "binary", payload);
    }

    Random& random_;
    std::size_t usual_;
    std::size_t longest_;
    Stream stream_;
};

}  // namespace websocket::test
