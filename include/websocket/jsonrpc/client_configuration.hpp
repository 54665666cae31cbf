// SPDX-License-Identifier: Apache-2.0
// What a client is told. Part of websocket/jsonrpc_client.hpp. Names and defaults are those of the JavaScript client.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client_errors.hpp"
#include "server_request.hpp"

namespace websocket::client {
class EventThread;
}

namespace websocket::jsonrpc {

/// How a connection, or a try to get one, ended.
struct CloseInfo {
    std::uint16_t code;  ///< as on the wire; 1005 if the Close had none, 1006 if there was no Close
    std::string reason;  ///< of the Close; without one, what went wrong
    bool was_clean;      ///< both sides have sent a Close
    bool final;          ///< there will be no other connection
    std::optional<std::chrono::milliseconds> retry_in;  ///< until the next try; nothing if final
};

struct ConnectedInfo {
    std::optional<std::string>
        session_id;  ///< nothing if the server has none, or `session` is false
};

struct ReconnectedInfo {
    std::optional<std::string> session_id;
    /// The server still has what it kept for this client. If not, what it was told has to be told again.
    bool same_session;
};

/// When a lost connection is tried again.
struct ReconnectionOptions {
    std::chrono::milliseconds min_delay{1000};   ///< the window of the first try after a loss
    std::chrono::milliseconds max_delay{30000};  ///< the largest window
    double factor = 2;  ///< what the window grows by with each try, 1 to 100
    /// The part of the window in which the time is chosen by chance, so that clients do not come back all at once: 0
    /// for its end always, 1 for anywhere in it.
    double jitter = 1;
    /// Tries in a row without a connection that held; then the end is final. Nothing: no end. 0: never again.
    std::optional<unsigned> max_retries = {};
    /// How long a connection has to be open for the next loss to begin with min_delay again.
    std::chrono::milliseconds stable_after{5000};
};

/// Of wss. Files are PEM, and are read when the client is made.
struct TlsOptions {
    /// The certificate of the server is signed by somebody who is trusted, and is for its host. False accepts any
    /// certificate, also one that signs itself; then nobody is kept from reading along who is in between.
    bool verify = true;
    std::string ca_file = {};           ///< who is trusted; empty: whom the system trusts
    std::string certificate_file = {};  ///< of the client, for servers that ask for one
    std::string key_file = {};          ///< of the same; empty: it is in certificate_file
};

/// The socket, and who is told of it. Functions are called on the client's thread, one at a time.
struct WsConfiguration {
    std::string uri = {};  ///< ws: or wss: (or http:, https:), with host and path
    std::vector<std::string> protocols = {};  ///< subprotocols, the preferred one first
    /// More fields of the handshake, such as Authorization or Origin.
    std::vector<std::pair<std::string, std::string>> headers = {};
    TlsOptions tls = {};
    ReconnectionOptions reconnection = {};
    /// For addresses, TCP, TLS and the handshake of the WebSocket together.
    std::chrono::milliseconds connect_timeout{10000};
    /// For the answers to closeSession and to a Close together.
    std::chrono::milliseconds close_timeout{5000};
    /// A connection on which nothing at all comes for so long is given up; 0: never. Servers of this project send Pings.
    std::chrono::milliseconds idle_timeout{0};
    /// Codes of the server after which the client does not come back.
    std::vector<std::uint16_t> final_close_codes = {1002, 1003, 1007, 1008, 1010};
    std::size_t max_buffered_bytes = std::size_t{16}
                                     << 20;  ///< may wait, for connection or network
    std::size_t max_message_size = std::size_t{16}
                                   << 20;  ///< bytes that a message of the server may have
    /// Asked for the address of each connection but the first. What it throws is a try that failed.
    std::function<std::string()> new_ws_uri_on_reconnection = {};

    /// The first connection is there, and its session.
    std::function<void(const ConnectedInfo&)> on_connected = {};
    /// A connection is there again.
    std::function<void(const ReconnectedInfo&)> on_reconnected = {};
    /// The connection has been lost; the next is being tried.
    std::function<void(const CloseInfo&)> on_reconnecting = {};
    /// A try to connect has failed, or the server has given no session. Others follow, or on_disconnect.
    std::function<void(const ConnectionError&)> on_connection_failed = {};
    /// There will be no connection any more: closed by its user, given up, or ended for good by the server.
    std::function<void(const CloseInfo&)> on_disconnect = {};
    /// What came is no JSON-RPC (ProtocolError), pings are not answered (ConnectionError), an answer does not fit into
    /// the queue (QueueFullError), or a method, listener or callback threw. Without it, and when it throws itself,
    /// exceptions of listeners and callbacks end the program, as in any other thread; those of methods are answered.
    std::function<void(std::exception_ptr)> on_error = {};
};

struct RpcConfiguration {
    std::chrono::milliseconds request_timeout{5000};  ///< that an answer may take
    /// The same for pings of the heartbeat; nothing: request_timeout, or heartbeat if that is less.
    std::optional<std::chrono::milliseconds> heartbeat_request_timeout = {};
    std::map<std::string, Method> methods = {};  ///< that the server may call
};

/// A thread that serves any number of clients. Copies stand for the same thread; it ends with the last copy and the
/// last client that has one. [any thread]
class ClientThread {
public:
    /// No thread yet: each client makes one of its own.
    ClientThread() noexcept = default;
    /// Throws std::system_error.
    [[nodiscard]] static ClientThread start();

    [[nodiscard]] explicit operator bool() const noexcept { return thread_ != nullptr; }
    [[nodiscard]] const std::shared_ptr<client::EventThread>& get() const noexcept {
        return thread_;
    }

private:
    std::shared_ptr<client::EventThread> thread_;
};

/// Times are positive, and at most 24 days, unless 0 has a meaning.
struct Configuration {
    /// Between requests `ping`; nothing: there are none. One that is not answered makes the client reconnect.
    std::optional<std::chrono::milliseconds> heartbeat = {};
    bool send_close_message = false;  ///< close() has the server forget the session at once
    bool session =
        true;  ///< begin each connection with `connect`, and keep the session over connections
    std::size_t max_pending_requests = 1000;  ///< that wait for an answer, of either side
    std::size_t max_queued_messages = 1000;   ///< that wait for a connection
    WsConfiguration ws = {};
    RpcConfiguration rpc = {};
    ClientThread thread = {};  ///< to share one among clients
};

}  // namespace websocket::jsonrpc
