// SPDX-License-Identifier: Apache-2.0
// A TlsTransport and its peer, without a loop.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "engine/tls_peer.hpp"

namespace websocket::test {

using net::IoResult;
using net::IoStatus;

/// For tests that run once with each.
constexpr std::array<int, 2> kTlsVersions{TLS1_2_VERSION, TLS1_3_VERSION};

/// A connection that the transport has taken over.
class Ends {
public:
    explicit Ends(const TlsWiring& wiring = {},
                  std::uint32_t records_per_key = TlsTransport::kRecordsPerKey)
        : Ends(TlsHandshake(wiring), {}, records_per_key) {}
    explicit Ends(TlsHandshake handshake, std::string_view received = {},
                  std::uint32_t records_per_key = TlsTransport::kRecordsPerKey)
        : transport(handshake.server.release(), std::move(handshake.sockets.server),
                    buffer_of(received), records_per_key),
          peer(std::move(handshake.client), std::move(handshake.sockets.client)) {}

    /// One read that waits for the descriptor, unless the transport has something to tell at once.
    IoResult read(std::span<std::uint8_t> into) {
        if (transport.pending()) {
            const IoResult result = transport.read(into);
            if (result.status != IoStatus::would_block || result.count > 0) return result;
        }
        await(POLLIN);
        return transport.read(into);
    }
    /// Reads until there are `count` bytes.
    std::string read(std::size_t count) {
        std::string text;
        while (text.size() < count) {
            std::array<std::uint8_t, 100'000> buffer;
            const auto room = std::span(buffer).first(std::min(buffer.size(), count - text.size()));
            const IoResult result = read(room);
            ck_assert(result.status == IoStatus::done || result.status == IoStatus::would_block);
            if (result.status == IoStatus::done) text += text_of(room.first(result.count));
        }
        return text;
    }
    IoStatus read_status() {
        std::array<std::uint8_t, 1000> buffer;
        return read(buffer).status;
    }
    IoResult write(std::string_view text) {
        const iovec part{const_cast<char*>(text.data()), text.size()};
        return transport.write({&part, 1});
    }
    /// Fills the socket past the transport, so that no record of its own is on its way; how many
    /// bytes that took.
    [[nodiscard]] std::size_t fill_socket() const {
        const std::array<char, 10'000> filling{};
        std::size_t filled = 0;
        std::size_t before = 0;
        do {
            before = filled;
            for (std::size_t size = filling.size(); size > 0;) {  // at last, not one byte more
                const ssize_t count =
                    ::send(transport.descriptor(), filling.data(), size, MSG_DONTWAIT);
                size = count < 0 ? size / 10 : size;
                filled += count < 0 ? 0 : static_cast<std::size_t>(count);
            }
            ::poll(nullptr, 0, 100);  // what is under way may still make room
        } while (filled > before);
        return filled;
    }
    /// Has the peer read what fill_socket() has written, and decrypt what follows.
    void drain_socket(std::size_t filled) {
        std::string received;
        while (received.size() < filled) received += peer.tcp().receive_some();
        peer.take_records(received.substr(filled));
        await(POLLOUT);
    }

    void await(short events) const { ck_assert(ready(events, 20'000)); }
    [[nodiscard]] bool ready(short events, int milliseconds = 0) const {
        pollfd poll{transport.descriptor(), events, 0};
        return ::poll(&poll, 1, milliseconds) == 1;
    }

    TlsTransport transport;
    TlsPeer peer;

private:
    static base::ByteBuffer buffer_of(std::string_view text) {
        base::ByteBuffer buffer;
        buffer.append(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
        return buffer;
    }
};

}  // namespace websocket::test
