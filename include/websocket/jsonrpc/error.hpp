// SPDX-License-Identifier: Apache-2.0
// The errors of JSON-RPC. Part of websocket/jsonrpc.hpp.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "value.hpp"

namespace websocket::jsonrpc {

/// Section 5.1 of the specification, and what this server adds in the range that is left to servers. From
/// -32768 to -32000 all others are reserved; a service may use any other number.
enum ErrorCode : std::int32_t {
    kParseError = -32700,
    kInvalidRequest = -32600,
    kMethodNotFound = -32601,
    kInvalidParams = -32602,
    kInternalError = -32603,
    kTooManyRequests = -32000,  ///< more are being handled than `in_flight` allows
    kTooManySessions = -32001,
    kRequestTimeout = -32002,  ///< never on the wire: the client has not answered in time
    kSessionGone = -32003,     ///< never on the wire: the client cannot be asked, or asked any more
    kUnknownSession = 40007,   ///< the session of a reconnection is not there any more
};

/// Thrown by a method, it is what the client gets: code, message, and `data` unless that is null. Of other
/// exceptions the client learns nothing but -32603.
class Error : public std::runtime_error {
public:
    Error(std::int32_t error_code, const std::string& message, Value error_data = {},
          std::string error_type = {})
        : std::runtime_error(message), code(error_code), data(std::move(error_data)),
          type(std::move(error_type)) {}

    std::int32_t code;
    Value data;
    std::string type;  ///< a member of Kurento's; left out when empty
};

/// The arguments of a call are not what the method takes.
class InvalidParams : public Error {
public:
    explicit InvalidParams(const std::string& what)
        : Error(kInvalidParams, "Invalid params", Value(what)) {}
};

}  // namespace websocket::jsonrpc
