// SPDX-License-Identifier: Apache-2.0
//
// A client for JSON-RPC 2.0 over WebSocket. The connection comes back when it is lost, the session on the server outlives
// it, and the server may call the client as well. docs/jsonrpc.md tells more. Link with
//
//     pkg-config --cflags --libs websocket-jsonrpc-client
//
//     #include <websocket/jsonrpc_client.hpp>
//
//     using namespace websocket::jsonrpc;
//     Client client({.ws = {.uri = "ws://localhost:8080/jsonrpc"}});
//     client.connect();
//     Value sum = client.send("sum", Value::array({1, 2, 3})).get();  // 6, or throws what went wrong
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "jsonrpc/client_configuration.hpp"
#include "jsonrpc/client_errors.hpp"
#include "jsonrpc/convert.hpp"
#include "jsonrpc/server_request.hpp"
#include "jsonrpc/value.hpp"

namespace websocket::client {
class RpcClient;
}

namespace websocket::jsonrpc {

enum class ClientState : std::uint8_t {
    connecting,    ///< there has been no connection yet
    connected,     ///< and the session is there
    reconnecting,  ///< lost; the next one is tried
    disconnected,  ///< for good
};

/// What became of a request: a result or an error.
class Outcome {
public:
    explicit Outcome(Value result) noexcept : result_(std::move(result)) {}
    explicit Outcome(std::exception_ptr error) noexcept : error_(std::move(error)) {}

    [[nodiscard]] explicit operator bool() const noexcept { return error_ == nullptr; }
    /// Throws the error if it is one: Error of the server, RequestTimeoutError, ConnectionError, ClosedError.
    [[nodiscard]] const Value& result() const {
        if (error_ != nullptr) std::rethrow_exception(error_);
        return result_;
    }
    [[nodiscard]] const std::exception_ptr& error() const noexcept { return error_; }

private:
    Value result_;
    std::exception_ptr error_;
};

struct SendOptions {
    /// That the answer may take; nothing: rpc.request_timeout.
    std::optional<std::chrono::milliseconds> timeout = {};
    /// How many times the request is sent again if the connection is lost before the answer. Only for what may be carried
    /// out twice: the answer may be what was lost.
    unsigned retries = 0;
};

/// Calls methods of a server, and is called by it.
///
/// Threads: all functions may be called on any thread, also in callbacks. Callbacks - listeners, methods, those of
/// requests - run on the client's thread, one at a time, and never inside of a function of the client, but its
/// destructor. That thread is the client's own unless Configuration::thread gives one, whose clients have one callback at
/// a time together. It handles no signals. A callback must not block: while it runs, nothing is received and no time runs
/// out. In particular it must not wait for a future of this client, which completes on the same thread.
///
/// Whatever happens, each request is completed once: with a result, the server's error, after its time, when the connection
/// is lost, or with the client's end.
class Client {
public:
    /// Called once for a request.
    using Callback = std::function<void(const Outcome&)>;

    /// Starts its thread and nothing else. Throws ConfigurationError that names what is not allowed; std::system_error
    /// without descriptors or threads.
    explicit Client(Configuration configuration);
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    /// An end at once: the server gets a Close 1001 if it is open and there is room, and nobody waits for its answer;
    /// close() is the friendlier one. Requests that wait complete with ClosedError, their callbacks on this thread or on
    /// the client's before this returns; no other callback is called any more. Waits for a callback that runs, unless
    /// that is what destroys the client: then it goes on when it returns from here, on what it holds itself, and what
    /// other threads have sent while it ran completes behind it.
    ~Client();

    /// Begins to connect; again it does nothing. What was sent before waits for the connection. Throws ClosedError.
    void connect();

    /// Calls a method of the server. `params` is an array or an object, or null for none. While there is no connection, the
    /// request waits for one; its time runs. All errors come by the future: Error of the server, RequestTimeoutError,
    /// ConnectionError, ClosedError, QueueFullError, ConfigurationError for an argument that is not allowed. Throws
    /// std::bad_alloc.
    [[nodiscard]] std::future<Value> send(std::string_view method, const Value& params = {},
                                          const SendOptions& options = {});
    /// The same with a callback. What cannot be begun is thrown, and the callback not called: ClosedError, QueueFullError,
    /// ConfigurationError.
    void send(std::string_view method, const Value& params, Callback callback,
              const SendOptions& options = {});

    /// Tells the server something that it does not answer. While there is no connection, it waits for one. Throws
    /// ClosedError, QueueFullError, ConfigurationError.
    void notify(std::string_view method, const Value& params = {});

    /// Has the server call a function by this name; replaces what had it. Throws ConfigurationError without a name.
    void register_method(std::string name, Method method);
    /// False when there was none.
    bool unregister_method(std::string_view name);

    /// Ends for good, with a Close that has this code and reason, or none (0): with send_close_message the server is told
    /// before. Requests without an answer get a ClosedError. The future tells how the connection ended, after
    /// ws.close_timeout at the latest. Again, it changes nothing. Throws ConfigurationError: codes are 1000 and 3000 to
    /// 4999, reasons have at most 123 bytes.
    std::future<CloseInfo> close(std::uint16_t code = 0, std::string_view reason = {});

    /// Gives up the connection that there is, or the wait for one, and makes another at once. Throws ClosedError.
    void reconnect();
    /// For tests: loses the connection; the next try is after so long, or after a while. Throws ClosedError.
    void force_close(std::optional<std::chrono::milliseconds> retry_in = {});

    [[nodiscard]] ClientState state() const;
    /// What the server calls the session; nothing while there is none.
    [[nodiscard]] std::optional<std::string> session_id() const;
    /// Requests that wait for an answer.
    [[nodiscard]] std::size_t pending_requests() const;
    /// Messages that wait for a connection.
    [[nodiscard]] std::size_t queued_messages() const;

private:
    std::shared_ptr<websocket::client::RpcClient> client_;
};

}  // namespace websocket::jsonrpc
