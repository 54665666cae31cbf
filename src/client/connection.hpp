// SPDX-License-Identifier: Apache-2.0
// One WebSocket, from the name of its host to its end, as a client has it (RFC 6455).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_buffer.hpp"
#include "client/event_thread.hpp"
#include "client/uri.hpp"
#include "net/any_transport.hpp"
#include "net/connector.hpp"
#include "net/resolver.hpp"
#include "net/timer.hpp"
#include "net/tls_client.hpp"
#include "protocol/client_frame_writer.hpp"
#include "protocol/client_handshake.hpp"
#include "protocol/message_reader.hpp"

namespace websocket::client {

/// Who wants to know. May drop the connection in any of these. [loop]
class ConnectionListener {
public:
    /// Messages may go.
    virtual void on_open() = 0;
    virtual void on_message(protocol::MessageType type, std::string_view payload) = 0;
    /// unsent() has become less.
    virtual void on_sent() = 0;

    struct End {
        std::uint16_t code;  ///< of the server's Close, 1005 if it had none; 1006 without a Close
        std::string reason;  ///< of that Close, or what went wrong
        bool clean;          ///< there was a Close from both sides
        bool opened;         ///< on_open() had been called
    };
    /// The last of all.
    virtual void on_end(const End& end) = 0;

protected:
    ~ConnectionListener() = default;
};

struct ConnectionSettings {
    Uri uri;
    protocol::ClientOffer offer;                 ///< target and host are those of the URI
    const net::TlsClientContext* tls = nullptr;  ///< for wss; outlives the connection
    std::chrono::milliseconds connect_timeout;
    std::chrono::milliseconds close_timeout;
    std::chrono::milliseconds idle_timeout;  ///< 0: none
    std::size_t max_message_size;
};

/// Never blocks. Is held by a shared_ptr, as whoever is told may let go of it meanwhile. [loop]
class Connection final : public net::EventHandler, public std::enable_shared_from_this<Connection> {
public:
    /// All but the settings outlive it, or drop() comes before their end.
    Connection(EventThread& thread, net::Resolver& resolver, ConnectionListener& listener,
               ConnectionSettings settings);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() { drop({}); }

    /// Once, at first. Throws std::bad_alloc.
    void dial();
    /// It is open, and neither side has sent a Close.
    [[nodiscard]] bool writable() const noexcept { return phase_ == Phase::open; }
    /// UTF-8, when writable. Leaves when the tasks and events at hand are done, with others that come meanwhile. Throws
    /// std::bad_alloc.
    void send_text(std::string_view text);
    /// Bytes that the system has not taken yet.
    [[nodiscard]] std::size_t unsent() noexcept { return out_.size(); }
    /// Sends a Close, with nothing in it without a code, and waits so long for the answer; on_end() follows. When it is
    /// not open, at once. Throws std::bad_alloc.
    void close(std::optional<std::uint16_t> code, std::string_view reason,
               std::chrono::milliseconds within);
    /// The end at once, of which nobody is told; with a code, the server gets a Close if it can have one now.
    void drop(std::optional<std::uint16_t> code) noexcept;

    void on_ready(std::uint32_t events) override;

private:
    enum class Phase : std::uint8_t { dialling, tls, handshake, open, closing, ended };
    struct Received {
        protocol::MessageType type;
        std::string payload;
    };
    struct Sink;

    template <class Step>
    void guarded(Step step) noexcept;
    void resolved(std::vector<net::Address> addresses, const std::string& error);
    void connected(base::Descriptor socket, const std::string& error);
    void step_tls();
    void begin_handshake();
    void opened();

    void read();
    void process(std::span<std::uint8_t> bytes);
    void process_frames(std::span<std::uint8_t> bytes);
    void peer_shut();
    void send_frame(protocol::Opcode opcode, std::span<const std::uint8_t> payload);
    void send_close(std::span<const std::uint8_t> payload, std::chrono::milliseconds within);
    void flush_later();
    void write();
    void poll();

    void time_is_over();
    void look_at_idleness();
    void fail(std::string reason);
    void end(std::uint16_t code, std::string reason, bool clean);
    void release() noexcept;

    EventThread& thread_;
    net::Resolver& resolver_;
    ConnectionListener* listener_;  ///< null: nobody is told any more
    const ConnectionSettings settings_;
    Phase phase_ = Phase::dialling;
    bool opened_ = false;
    bool close_sent_ = false;
    bool shut_ = false;  ///< our side of the stream
    bool flush_posted_ = false;
    std::optional<ConnectionListener::End> peer_close_;  ///< what the server's Close says

    std::unique_ptr<net::Connector> connector_;
    std::unique_ptr<net::TlsClientHandshake> tls_;
    std::optional<net::AnyTransport> transport_;
    int polled_ = -1;           ///< the descriptor that the reactor has
    std::uint32_t events_ = 0;  ///< that it is polled for
    std::optional<protocol::ClientHandshake> handshake_;
    protocol::ClientMessageReader reader_;
    protocol::ClientFrameWriter writer_;
    base::ByteBuffer out_;
    std::vector<Received> received_;      ///< not handed on yet
    std::chrono::milliseconds heard_{0};  ///< when something came, of the reactor's clock
    net::Timer timer_;                    ///< of the way to open, and of the way from there
    net::Timer idle_timer_;
};

}  // namespace websocket::client
