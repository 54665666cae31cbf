// SPDX-License-Identifier: Apache-2.0
// A JSON-RPC server on the loopback that does what a test says, step by step, on the test's own thread.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/descriptor.hpp"
#include "engine/awaiting.hpp"
#include "protocol/close_code.hpp"
#include "protocol/frame.hpp"
#include "protocol/handshake.hpp"
#include "protocol/message_reader.hpp"
#include "unit.hpp"
#include "websocket/jsonrpc/reader.hpp"
#include "websocket/jsonrpc/value.hpp"

namespace websocket::test {

/// One client. Everything waits at most kPatience and then fails the test.
class ServedClient {
public:
    explicit ServedClient(base::Descriptor socket) : socket_(std::move(socket)) {}

    /// The head of its request.
    std::string read_request() {
        std::string head;
        while (head.find("\r\n\r\n") == std::string::npos) {
            ck_assert_msg(read_some(), "the client went away instead of a handshake");
            head.append(bytes_.begin(), bytes_.end());
            bytes_.clear();
        }
        return head;
    }
    /// Does the handshake.
    std::string open() {
        const std::string head = read_request();
        constexpr std::string_view kKey = "Sec-WebSocket-Key: ";
        const std::size_t at = head.find(kKey) + kKey.size();
        const std::string key = head.substr(at, head.find("\r\n", at) - at);
        send_bytes("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                   "Upgrade\r\nSec-WebSocket-Accept: " +
                   protocol::accept_value(key) + "\r\n\r\n");
        return head;
    }

    void send_bytes(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            ck_assert_int_gt(sent, 0);
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    void send_frame(protocol::Opcode opcode, std::string_view payload) {
        const protocol::EncodedHeader header(opcode, payload.size());
        send_bytes(std::string(header.bytes().begin(), header.bytes().end()) +
                   std::string(payload));
    }
    void send_text(std::string_view text) { send_frame(protocol::Opcode::text, text); }
    void send_close(std::uint16_t code, std::string_view reason = {}) {
        const auto payload = protocol::ClosePayload(code, reason);
        send_frame(protocol::Opcode::close,
                   {reinterpret_cast<const char*>(payload.bytes().data()), payload.bytes().size()});
    }

    /// The next message.
    std::string text() {
        read_until([this] { return !texts_.empty(); }, "a message");
        std::string first = std::move(texts_.front());
        texts_.erase(texts_.begin());
        return first;
    }
    void expect_text(std::string_view wanted) {
        const std::string got = text();
        ck_assert_msg(got == wanted, "got %s, not %s", got.c_str(), std::string(wanted).c_str());
    }
    /// The next message, a request of this method; its id.
    std::int64_t expect_request(std::string_view method) {
        const std::string got = text();
        const jsonrpc::Value message = jsonrpc::Reader({}).read(got);
        const jsonrpc::Value* name = message.find("method");
        ck_assert_msg(name != nullptr && *name == jsonrpc::Value(method), "%s is no %s",
                      got.c_str(), std::string(method).c_str());
        const jsonrpc::Value* id = message.find("id");
        ck_assert_ptr_nonnull(id);
        return *id->integer<std::int64_t>();
    }
    void answer(std::int64_t id, std::string_view result) {
        send_text(R"({"id":)" + std::to_string(id) + R"(,"result":)" + std::string(result) +
                  R"(,"jsonrpc":"2.0"})");
    }
    void refuse(std::int64_t id, int code) {
        send_text(R"({"id":)" + std::to_string(id) + R"(,"error":{"code":)" + std::to_string(code) +
                  R"(,"message":"no"},"jsonrpc":"2.0"})");
    }
    /// The handshake and the session.
    void welcome(std::string_view session) {
        open();
        answer(expect_request("connect"),
               R"({"value":"OK","sessionId":")" + std::string(session) + "\"}");
    }
    /// The code of its Close, which is answered.
    std::uint16_t expect_close() {
        read_until([this] { return close_code_ != 0; }, "a Close");
        return close_code_;
    }
    void expect_pong(std::string_view payload) {
        read_until([this] { return !pong_.empty(); }, "a Pong");
        ck_assert(pong_ == payload);
    }
    /// Reads and forgets until it has gone.
    void expect_end() {
        while (read_some()) bytes_.clear();
    }
    void disconnect() { const base::Descriptor gone = std::exchange(socket_, base::Descriptor()); }
    /// Answers its Close, and ends the stream.
    void say_goodbye() {
        const std::uint16_t code = expect_close();
        if (code == 1005) {
            send_frame(protocol::Opcode::close, {});
        } else {
            send_close(code);
        }
        disconnect();
    }

private:
    struct Sink {
        protocol::Next on_message(protocol::MessageType, std::span<std::uint8_t> payload,
                                  base::ByteBuffer*) {
            to.texts_.emplace_back(payload.begin(), payload.end());
            return protocol::Next::more;
        }
        protocol::Next on_ping(std::span<std::uint8_t>) { return protocol::Next::more; }
        protocol::Next on_pong(std::span<std::uint8_t> payload) {
            to.pong_.assign(payload.begin(), payload.end());
            return protocol::Next::more;
        }
        void on_close(std::uint16_t code, std::string_view) { to.close_code_ = code; }
        void on_violation(protocol::Violation what) { ck_abort_msg("%s", what.reason); }
        ServedClient& to;
    };

    template <class Condition>
    void read_until(Condition condition, const char* what) {
        while (!condition()) {
            ck_assert_msg(read_some(), "the client went away instead of %s", what);
            Sink sink{*this};
            reader_.consume(bytes_, {}, sink);
            bytes_.clear();
        }
    }
    /// False at the end.
    bool read_some() {
        pollfd poll{socket_.get(), POLLIN, 0};
        constexpr int kMilliseconds =
            static_cast<int>(std::chrono::milliseconds(kPatience).count());
        ck_assert_msg(::poll(&poll, 1, kMilliseconds) == 1, "the client is silent");
        std::array<std::uint8_t, 65536> buffer;
        const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
        if (count <= 0) return false;
        bytes_.insert(bytes_.end(), buffer.begin(), buffer.begin() + count);
        return true;
    }

    base::Descriptor socket_;
    std::vector<std::uint8_t> bytes_;
    protocol::MessageReader reader_;
    std::vector<std::string> texts_;
    std::string pong_;
    std::uint16_t close_code_ = 0;
};

class FakeServer {
public:
    FakeServer() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        ck_assert_int_eq(::bind(listener_.get(), generic, size), 0);
        ck_assert_int_eq(::listen(listener_.get(), 16), 0);
        ck_assert_int_eq(::getsockname(listener_.get(), generic, &size), 0);
        port_ = ntohs(address.sin_port);
    }
    [[nodiscard]] std::string uri(const std::string& path = "/jsonrpc") const {
        return "ws://127.0.0.1:" + std::to_string(port_) + path;
    }
    /// The next client.
    [[nodiscard]] ServedClient accept() const {
        pollfd poll{listener_.get(), POLLIN, 0};
        constexpr int kMilliseconds =
            static_cast<int>(std::chrono::milliseconds(kPatience).count());
        ck_assert_msg(::poll(&poll, 1, kMilliseconds) == 1, "nobody connects");
        return ServedClient(base::Descriptor(::accept(listener_.get(), nullptr, nullptr)));
    }

private:
    base::Descriptor listener_{::socket(AF_INET, SOCK_STREAM, 0)};
    std::uint16_t port_ = 0;
};

}  // namespace websocket::test
