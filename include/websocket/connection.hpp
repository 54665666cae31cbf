// SPDX-License-Identifier: Apache-2.0
// A client, by its number. Part of the C++ face of websocket/plugin.h; include websocket/plugin.hpp.
#pragma once

#include "server.hpp"

namespace websocket {

/// Sends a message part by part, each as soon as it is there; other messages wait for its end.
/// Finished by the destructor.
class OutgoingMessage {
public:
    OutgoingMessage(const Server& server, ws_conn conn, Type type) noexcept
        : server_(&server), conn_(conn), type_(type) {}
    OutgoingMessage(OutgoingMessage&& other) noexcept
        : server_(std::exchange(other.server_, nullptr)), conn_(other.conn_), type_(other.type_),
          begun_(other.begun_) {}
    OutgoingMessage& operator=(OutgoingMessage&&) = delete;
    ~OutgoingMessage() {
        if (server_ != nullptr && begun_) {
            try {
                finish();
            } catch (...) {
                server_->report_exception("the end of a message in parts", conn_);
            }
        }
    }

    /// Result::full: not taken, to be written again.
    Result write(Bytes bytes) { return send(bytes, false); }
    Result write(std::string_view text) { return write(bytes_of(text)); }
    /// The last part, which may be empty. Nothing can be written after it.
    Result finish(Bytes bytes = {}) {
        const Result result = send(bytes, true);
        if (result != Result::full) {
            server_ = nullptr;
        }
        return result;
    }

private:
    Result send(Bytes bytes, bool last) {
        if (server_ == nullptr) {
            return Result::gone;
        }
        const std::uint32_t part = (begun_ ? 0 : WS_FIRST) | (last ? WS_LAST : 0);
        const Result result{server_->streams().send(server_->host(), conn_,
                                                    static_cast<std::uint32_t>(type_), part,
                                                    bytes.data(), bytes.size())};
        begun_ = begun_ || taken(result);
        return result;
    }

    const Server* server_;
    ws_conn conn_;
    Type type_;
    bool begun_ = false;
};

/// To be copied and kept as one likes, also by other threads: once the client is gone, every call
/// answers Result::gone. [any thread]
class Connection {
public:
    Connection(const Server& server, ws_conn id) noexcept : server_(&server), id_(id) {}

    [[nodiscard]] ws_conn id() const noexcept { return id_; }
    [[nodiscard]] const Server& server() const noexcept { return *server_; }
    bool operator==(const Connection& other) const noexcept { return id_ == other.id_; }

    // Sending; never blocks.
    Result send(std::string_view text) const noexcept { return send(Type::text, bytes_of(text)); }
    Result send(const Message& message) const noexcept { return send(message.type, message.bytes); }
    Result send(Type type, Bytes bytes) const noexcept {
        return send(static_cast<std::uint32_t>(type), bytes);
    }
    Result send(const Prepared& message) const {
        return Result{server_->buffers().send(server_->host(), id_, message.get(), 0)};
    }
    /// For what is compressed already, and for secrets beside text of somebody else: the length of a
    /// compressed message says something of what is in it.
    Result send_uncompressed(Type type, Bytes bytes) const noexcept {
        return send(static_cast<std::uint32_t>(type), bytes, WS_UNCOMPRESSED);
    }
    Result send_uncompressed(const Prepared& message) const {
        return Result{
            server_->buffers().send(server_->host(), id_, message.get(), WS_UNCOMPRESSED)};
    }
    Result ping(std::string_view payload = {}) const noexcept {
        return send(WS_PING, bytes_of(payload));
    }
    [[nodiscard]] OutgoingMessage stream(Type type) const noexcept { return {*server_, id_, type}; }
    /// Bytes that wait for the client.
    [[nodiscard]] std::uint64_t queued() const noexcept {
        std::uint64_t bytes = 0;
        server_->host()->queued(server_->host(), id_, &bytes);
        return bytes;
    }

    Result close(CloseCode code = CloseCode::normal, std::string_view reason = {}) const noexcept {
        return close(static_cast<std::uint16_t>(code), reason);
    }
    /// With a number, also one of 4000 to 4999, which are the plugin's own. Result::bad_argument for
    /// what must not be sent.
    template <Number Code>
    Result close(Code code, std::string_view reason = {}) const noexcept {
        if (!std::in_range<std::uint16_t>(code)) {
            return Result::bad_argument;
        }
        return Result{server_->host()->close(server_->host(), id_, static_cast<std::uint32_t>(code),
                                             reason.data(), reason.size())};
    }
    /// With an enumeration of the plugin.
    template <class Code>
    requires std::is_enum_v<Code> Result close(Code code, std::string_view reason = {})
    const noexcept { return close(static_cast<std::underlying_type_t<Code>>(code), reason); }

    /// Reads nothing more from the client, or again.
    Result pause() const { return Result{server_->flow().pause(server_->host(), id_)}; }
    Result resume() const { return Result{server_->flow().resume(server_->host(), id_)}; }

    Result subscribe(std::string_view topic) const {
        return Result{
            server_->topics().subscribe(server_->host(), id_, topic.data(), topic.size())};
    }
    Result unsubscribe(std::string_view topic) const {
        return Result{
            server_->topics().unsubscribe(server_->host(), id_, topic.data(), topic.size())};
    }

    // On the connection's thread, while it is open.
    [[nodiscard]] Timer after(Server::Duration delay, std::function<void()> function) const {
        return server_->start(id_, delay, Server::Duration::zero(), std::move(function));
    }
    [[nodiscard]] Timer every(Server::Duration period, std::function<void()> function) const {
        return server_->start(id_, period, period, std::move(function));
    }
    [[nodiscard]] Watch watch(int descriptor, std::uint32_t events,
                              std::function<void(std::uint32_t)> function) const {
        return server_->watch(id_, descriptor, events, std::move(function));
    }
    /// False when the client is gone.
    bool post(std::function<void()> function) const {
        return server_->post(id_, std::move(function));
    }

private:
    Result send(std::uint32_t type, Bytes bytes, std::uint32_t flags = 0) const noexcept {
        return Result{
            server_->host()->send(server_->host(), id_, type, bytes.data(), bytes.size(), flags)};
    }

    const Server* server_;
    ws_conn id_;
};

}  // namespace websocket
