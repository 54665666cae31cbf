// SPDX-License-Identifier: Apache-2.0
// JSON-RPC 2.0 on the wire, one message a text, as a client writes and reads it. https://www.jsonrpc.org/specification
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "websocket/jsonrpc/client_errors.hpp"
#include "websocket/jsonrpc/reader.hpp"
#include "websocket/jsonrpc/value.hpp"

namespace websocket::client {

using jsonrpc::Value;

/// Of a request, or of a notification without an id. Members have the order of kurento-jsonrpc's. Throws
/// jsonrpc::ConfigurationError when method or params are none, or something is not UTF-8. [any thread]
[[nodiscard]] std::string request_text(std::string_view method, const Value& params,
                                       std::optional<std::int64_t> id);
/// Throws jsonrpc::ConfigurationError when a text in it is not UTF-8. [any thread]
[[nodiscard]] std::string result_text(const Value& id, const Value& result);
[[nodiscard]] std::string error_text(const Value& id, const jsonrpc::Error& error);
/// With U+FFFD for each byte that is not UTF-8. [any thread]
[[nodiscard]] std::string well_formed(std::string_view text);

/// A request of the server, or a notification when it has no id.
struct ServerCall {
    std::optional<Value> id;
    std::string method;
    Value params;
};
/// An answer. Ids of ours are integers; others are nobody's.
struct ServerAnswer {
    Value id;
    std::optional<jsonrpc::Error> error;
    Value result;
};
/// None of both. The id is that of the request that it was to answer, if that can be seen.
struct NoMessage {
    jsonrpc::ProtocolError error;
    std::optional<std::int64_t> id;
};

/// What a server sends. Throws std::bad_alloc. [any thread]
[[nodiscard]] std::variant<ServerCall, ServerAnswer, NoMessage>
read_message(const jsonrpc::Reader& reader, std::string_view text);

}  // namespace websocket::client
