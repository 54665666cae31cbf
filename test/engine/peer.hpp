// SPDX-License-Identifier: Apache-2.0
// The client's end of a connection: TCP over the loopback, so that FIN and RST are real.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/descriptor.hpp"
#include "engine/awaiting.hpp"
#include "protocol/client_frame.hpp"
#include "protocol/frame.hpp"
#include "protocol/frame_decoding.hpp"
#include "protocol/random.hpp"
#include "unit.hpp"

namespace websocket::test {

using base::Descriptor;

[[nodiscard]] inline std::string text_of(std::span<const std::uint8_t> bytes) {
    return {bytes.begin(), bytes.end()};
}

/// A legal frame as a client writes it.
[[nodiscard]] inline std::string masked(Opcode opcode, std::string_view payload, bool fin = true) {
    return client_frame({.opcode = opcode, .payload = payload, .fin = fin});
}

/// Two ends of one connection.
struct SocketPair {
    Descriptor server;
    Descriptor client;
};

/// `buffer` bytes of socket buffers, roughly, or as many as the system likes.
[[nodiscard]] inline SocketPair tcp_pair(int buffer = 0) {
    const Descriptor listener(::socket(AF_INET, SOCK_STREAM, 0));
    Descriptor client(::socket(AF_INET, SOCK_STREAM, 0));
    if (buffer > 0) {
        ::setsockopt(listener.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
        ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
        ::setsockopt(client.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
        ::setsockopt(client.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    ck_assert_int_eq(::bind(listener.get(), generic, size), 0);
    ck_assert_int_eq(::listen(listener.get(), 1), 0);
    ck_assert_int_eq(::getsockname(listener.get(), generic, &size), 0);
    ck_assert_int_eq(::connect(client.get(), generic, size), 0);
    Descriptor server(::accept(listener.get(), nullptr, nullptr));
    ck_assert(server.valid());
    const int on = 1;
    ::setsockopt(server.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return {std::move(server), std::move(client)};
}

struct Frame {
    Opcode opcode{};
    std::string payload;
    std::uint8_t bits = protocol::kFin;  ///< FIN and RSV1
};

/// Everything waits at most kPatience and then fails the test. [one thread]
class Peer {
public:
    explicit Peer(Descriptor socket) noexcept : socket_(std::move(socket)) {}

    [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }

    void send(std::string_view bytes) {
        while (!bytes.empty()) {
            ck_assert_msg(ready(POLLOUT), "the server does not read");
            bytes.remove_prefix(send_some(bytes));
        }
    }
    /// What the socket takes now, possibly nothing.
    [[nodiscard]] std::size_t send_some(std::string_view bytes) {
        const ssize_t count =
            ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        ck_assert_msg(count >= 0 || errno == EAGAIN, "the server is gone: %s",
                      std::strerror(errno));
        return count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    void send(Opcode opcode, std::string_view payload) { send(masked(opcode, payload)); }
    void send_text(std::string_view payload) { send(Opcode::text, payload); }
    void send_close(std::uint16_t code) { send(Opcode::close, close_payload(code)); }

    [[nodiscard]] Frame receive() {
        const protocol::FrameHeader header = receive_header();
        const auto bits = static_cast<std::uint8_t>((header.fin ? protocol::kFin : 0) |
                                                    (header.compressed ? protocol::kRsv1 : 0));
        static_cast<void>(take(header.size));
        return {header.opcode, take(header.payload_length), bits};
    }
    void expect(Opcode opcode, std::string_view payload) {
        const Frame frame = receive();
        ck_assert_int_eq(static_cast<int>(frame.opcode), static_cast<int>(opcode));
        ck_assert_msg(frame.payload == payload, "got %zu bytes \"%.60s\", not \"%.60s\"",
                      frame.payload.size(), frame.payload.c_str(), std::string(payload).c_str());
    }
    void expect_text(std::string_view payload) { expect(Opcode::text, payload); }
    void expect_close(std::uint16_t code) {
        const Frame frame = receive();
        ck_assert_int_eq(static_cast<int>(frame.opcode), static_cast<int>(Opcode::close));
        ck_assert_msg(frame.payload.substr(0, 2) == close_payload(code), "Close says \"%s\"",
                      frame.payload.size() > 1 ? frame.payload.c_str() + 2 : "nothing");
    }
    /// What comes next, whatever it is; empty at the end of the stream.
    [[nodiscard]] std::string receive_some() {
        if (read_.empty()) read_more();
        return std::exchange(read_, {});
    }
    /// What comes next is no frame.
    void expect_bytes(std::string_view wanted) { ck_assert(take(wanted.size()) == wanted); }
    /// The server's FIN, and not one byte before it.
    void expect_end() {
        ck_assert_uint_eq(read_.size(), 0);
        ck_assert_msg(!read_more(), "\"%.20s\" instead of the end", read_.c_str());
    }
    /// Reads and forgets everything until the server's FIN or RST.
    void read_to_end() {
        while (read_more()) read_.clear();
    }
    /// True when the server's FIN or RST is all that comes.
    [[nodiscard]] bool at_end() { return read_.empty() && !read_more(); }
    /// True when something can be read, or the end has come, within `patience`.
    [[nodiscard]] bool readable(std::chrono::milliseconds patience) {
        return !read_.empty() || ready(POLLIN, patience);
    }

    void shut_down() { ::shutdown(socket_.get(), SHUT_WR); }
    void disconnect() { const Descriptor gone = std::exchange(socket_, Descriptor()); }
    /// RST instead of FIN.
    void reset() {
        const linger at_once{1, 0};
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        disconnect();
    }

private:
    [[nodiscard]] bool ready(int events, std::chrono::milliseconds patience = kPatience) const {
        pollfd poll{socket_.get(), static_cast<short>(events), 0};
        return ::poll(&poll, 1, static_cast<int>(patience.count())) > 0;
    }
    bool read_more() {
        std::array<char, 65536> some;
        ck_assert_msg(ready(POLLIN), "the server sends nothing");
        const ssize_t count = ::recv(socket_.get(), some.data(), some.size(), 0);
        read_.append(some.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
        return count > 0;
    }
    /// Of the frame that comes next, which is then not taken yet. Fails the test when a client had to fail
    /// the connection.
    protocol::FrameHeader receive_header() {
        using protocol::HeaderStatus;
        constexpr protocol::ReaderLimits kUnlimited{.max_message_size = INT64_MAX,
                                                    .max_fragments = UINT32_MAX,
                                                    .max_empty_fragments = UINT32_MAX};
        for (;;) {
            const protocol::HeaderResult result =
                protocol::decode_compressible_frame_header<protocol::Role::client>(
                    bytes(read_), message_, kUnlimited);
            ck_assert_msg(result.status != HeaderStatus::violated, "the server sent: %s",
                          result.violation.reason);
            if (result.status == HeaderStatus::complete) {
                if (!protocol::is_control(result.header.opcode)) {
                    message_.compressed =
                        result.header.compressed || (message_.open && message_.compressed);
                    message_.open = !result.header.fin;
                }
                return result.header;
            }
            ck_assert_msg(read_more(), "the end came inside a frame");
        }
    }
    std::string take(std::size_t count) {
        while (read_.size() < count) {
            ck_assert_msg(read_more(), "the end came inside a frame");
        }
        std::string taken = read_.substr(0, count);
        read_.erase(0, count);
        return taken;
    }

    Descriptor socket_;
    std::string read_;
    protocol::MessageProgress message_{.compressible = true};  ///< that comes in
};

}  // namespace websocket::test
