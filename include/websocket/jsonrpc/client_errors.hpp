// SPDX-License-Identifier: Apache-2.0
// What goes wrong with a client. Part of websocket/jsonrpc_client.hpp. An error that the server has answered with is an
// Error, of jsonrpc/error.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "error.hpp"

namespace websocket::jsonrpc {

/// A configuration or an argument is not allowed; the text says which, and what is.
class ConfigurationError : public std::invalid_argument {
public:
    using std::invalid_argument::invalid_argument;
};

/// A connection could not be made, or has been lost while a request was under way: the server may have carried it out.
class ConnectionError : public std::runtime_error {
public:
    ConnectionError(const std::string& what, std::uint16_t close_code)
        : std::runtime_error(what), code(close_code) {}

    std::uint16_t code;  ///< of the WebSocket's end; 1006 if it ended without a Close
};

/// No answer came in time. The server may have carried out the request.
class RequestTimeoutError : public std::runtime_error {
public:
    RequestTimeoutError(std::string of_method, std::chrono::milliseconds after)
        : std::runtime_error("Request has timed out: no answer to \"" + of_method + "\" in " +
                             std::to_string(after.count()) + " ms"),
          method(std::move(of_method)), time(after) {}

    std::string method;
    std::chrono::milliseconds time;
};

/// The client has been closed, by its user or for good by the server.
class ClosedError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// As much waits as may wait; the text names the limit.
class QueueFullError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The server has sent what is no JSON-RPC 2.0.
class ProtocolError : public std::runtime_error {
public:
    ProtocolError(const std::string& what, std::string_view text)
        : std::runtime_error(what), received(text.substr(0, 200)) {}

    std::string received;  ///< how it begins
};

/// A request of the server has been answered before.
class AlreadyAnsweredError : public std::logic_error {
public:
    explicit AlreadyAnsweredError(const std::string& method)
        : std::logic_error("the request \"" + method + "\" has been answered already") {}
};

}  // namespace websocket::jsonrpc
