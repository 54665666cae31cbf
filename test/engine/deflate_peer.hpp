// SPDX-License-Identifier: Apache-2.0
// The client's end of a connection that has agreed on permessage-deflate. It uses zlib directly.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/service.hpp"
#include "protocol/deflate_receiver.hpp"
#include "protocol/inflater.hpp"
#include "protocol/message_text.hpp"
#include "protocol/zlib_client.hpp"

namespace websocket::test {

/// What a Shared and a Dedicated connection agree on.
constexpr protocol::DeflateSettings kWithoutContext{
    .server_bits = 15, .client_bits = 15, .min_size = 100};
constexpr protocol::DeflateSettings kWithContext{.server_bits = 15,
                                                 .client_bits = 15,
                                                 .server_takeover = true,
                                                 .client_takeover = true,
                                                 .min_size = 100};

/// What the server makes of a client's message.
[[nodiscard]] inline std::string inflated(protocol::Inflater& inflater, std::string_view payload) {
    std::string room(100'000, '\0');
    std::span<const std::uint8_t> in = bytes(payload);
    std::span<std::uint8_t> out(reinterpret_cast<std::uint8_t*>(room.data()), room.size());
    const bool good =
        inflater.inflate(in, out) == protocol::Inflater::Status::done && inflater.end_message();
    room.resize(room.size() - out.size());
    return good ? room : "corrupt";
}

/// A data message as it came.
struct Received {
    Opcode opcode{};
    std::string payload;  ///< inflated
    bool compressed = false;
    std::size_t frames = 0;
    std::size_t bytes = 0;  ///< of payload on the wire
};

class DeflatePeer {
public:
    DeflatePeer(Peer& peer, const protocol::DeflateSettings& settings)
        : peer_(peer), settings_(settings), inflate_(settings.server_bits),
          deflate_(settings.client_bits) {}

    void send_compressed(std::string_view text) {
        if (!settings_.client_takeover) deflate_.reset();
        peer_.send(compressed_frame(Opcode::text, deflate_.message(text)));
    }

    /// The next message, in spite of Pings and Pongs.
    [[nodiscard]] Received receive() {
        const std::optional<Received> message = receive_unless_closed();
        ck_assert_msg(message.has_value(), "a Close or the end instead of a message");
        return *message;
    }
    /// Nothing when a Close or the end comes first, or in the middle.
    [[nodiscard]] std::optional<Received> receive_unless_closed() {
        Received message;
        std::string payload;
        for (bool last = false; !last;) {
            if (peer_.at_end()) return {};
            const Frame frame = peer_.receive();
            if (frame.opcode == Opcode::close) return {};
            if (protocol::is_control(frame.opcode)) continue;
            if (message.frames++ == 0) {
                message.opcode = frame.opcode;
                message.compressed = (frame.bits & protocol::kRsv1) != 0;
            } else {
                ck_assert_int_eq(static_cast<int>(frame.opcode),
                                 static_cast<int>(Opcode::continuation));
                ck_assert_int_eq(frame.bits & protocol::kRsvBits, 0);
            }
            payload += frame.payload;
            last = (frame.bits & protocol::kFin) != 0;
        }
        message.bytes = payload.size();
        if (message.compressed) {
            if (!settings_.server_takeover) inflate_.reset();
            payload = inflate_.message(payload);
        }
        message.payload = std::move(payload);
        return message;
    }
    Received expect(std::string_view text) {
        Received message = receive();
        ck_assert_msg(message.payload == text, "got %zu bytes \"%.40s\", not %zu \"%.40s\"",
                      message.payload.size(), message.payload.c_str(), text.size(),
                      std::string(text.substr(0, 40)).c_str());
        return message;
    }

private:
    Peer& peer_;
    const protocol::DeflateSettings settings_;
    ZlibInflate inflate_;
    ZlibDeflate deflate_;
};

/// Both modes, for tests that loop.
inline const protocol::DeflateSettings kModes[] = {kWithoutContext, kWithContext};

[[nodiscard]] inline Client connect(Service& service, const protocol::DeflateSettings& deflate,
                                    Behaviour behaviour = {}, Wiring wiring = {}) {
    wiring.deflate = deflate;
    return service.connect(std::move(behaviour), wiring);
}

/// Waits until nothing is queued any more; only then is one byte below the high-water mark.
inline void await_nothing_queued(Service& service, ConnectionId id) {
    await_quietly(
        [&] { return service.engine().send(id, Opcode::ping, bytes("?"), 1) == SendResult::ok; },
        "an empty queue");
}

}  // namespace websocket::test
