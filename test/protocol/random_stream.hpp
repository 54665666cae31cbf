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
#include "protocol/zlib_client.hpp"

namespace websocket::test {

/// Bytes of a legal stream, what a reader has to make of them, and where each event is complete.
struct Stream {
    std::string bytes;
    Events events;
    std::vector<std::size_t> ends;  ///< offset behind the last byte of each event
};

/// Whether some messages are compressed, and whether these may refer to earlier ones.
enum class Compress : std::uint8_t { never, alone, with_takeover };

class StreamMaker {
public:
    /// Payloads are seldom longer than `usual` and never longer than `longest` bytes.
    StreamMaker(Random& random, std::size_t usual, std::size_t longest,
                Compress compress = Compress::never)
        : random_(random), usual_(usual), longest_(longest), compress_(compress) {}

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

    void frame(Opcode opcode, std::string_view payload, bool fin, bool compressed = false) {
        stream_.bytes += client_frame({.opcode = opcode,
                                       .payload = payload,
                                       .fin = fin,
                                       .rsv = static_cast<std::uint8_t>(compressed ? 4 : 0),
                                       .mask = random_.mask()});
    }

    /// The payload of a compressed message, with flushes of all kinds inside.
    [[nodiscard]] std::string deflated(std::string_view plain) {
        if (compress_ == Compress::alone) deflate_.reset();
        std::string payload;
        while (random_.one_in(3)) {
            const std::size_t part = random_.below(plain.size() + 1);
            const std::size_t flush =
                random_.pick({Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK});
            payload += deflate_.feed(plain.substr(0, part), static_cast<int>(flush));
            plain.remove_prefix(part);
        }
        if (random_.one_in(5)) return payload + deflate_.final_message(plain);
        payload += deflate_.feed(plain, Z_SYNC_FLUSH);
        if (payload.ends_with(ZlibDeflate::kTail)) {
            payload.resize(payload.size() - ZlibDeflate::kTail.size());
        }
        return payload.empty() ? std::string(1, '\0') : payload;
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
        bool compressed = compress_ != Compress::never && !random_.one_in(4);
        const std::string wire = compressed ? deflated(payload) : payload;
        std::string_view rest = wire;
        for (std::size_t more = random_.one_in(2) ? random_.below(5) : 0; more > 0; --more) {
            const std::size_t part = random_.below(rest.size() + 1);
            frame(opcode, rest.substr(0, part), false, compressed);
            rest.remove_prefix(part);
            opcode = Opcode::continuation;
            compressed = false;
            if (random_.one_in(3)) control();
        }
        frame(opcode, rest, true, compressed);
        event(text ? "text" : "binary", payload);
    }

    Random& random_;
    std::size_t usual_;
    std::size_t longest_;
    Compress compress_;
    ZlibDeflate deflate_;
    Stream stream_;
};

}  // namespace websocket::test
