// SPDX-License-Identifier: Apache-2.0
#include "bridge/nats_errors.hpp"

#include "bridge/printable.hpp"

namespace websocket::bridge {

namespace {

const char* meaning_of(natsStatus status) noexcept {
    switch (status) {
        case NATS_NO_SERVER: return "it cannot be connected to";
        case NATS_TIMEOUT: return "it does not answer";
        case NATS_CONNECTION_CLOSED:
        case NATS_IO_ERROR: return "it has ended the connection";
        case NATS_STALE_CONNECTION: return "it has heard nothing for too long";
        case NATS_CONNECTION_AUTH_FAILED:
            return "it does not know this user, password or token: WebSocketBrokerPasswordFile, or "
                   "user:password@ or token@ in WebSocketBroker";
        case NATS_SECURE_CONNECTION_REQUIRED: return "it wants TLS: WebSocketBroker nats+tls://...";
        case NATS_SECURE_CONNECTION_WANTED: return "it has no TLS: WebSocketBroker nats://...";
        case NATS_SSL_ERROR: return "its certificate is not accepted, or TLS fails otherwise";
        case NATS_PROTOCOL_ERROR: return "it does not speak the protocol of NATS";
        case NATS_NO_MEMORY: return "memory ran out";
        default: return "it says";
    }
}

/// The library puts where in its own source it says so before what it says: "(conn.c:2088): ".
std::string_view without_place(std::string_view words) noexcept {
    const std::size_t end = words.find("): ");
    return words.starts_with('(') && end != std::string_view::npos ? words.substr(end + 3) : words;
}

}  // namespace

std::string explain_nats(natsStatus status, std::string_view words) {
    if (words.empty()) {
        words = natsStatus_GetText(status);
    }
    return std::string(meaning_of(status)) + " (" + printable(without_place(words)) + ')';
}

}  // namespace websocket::bridge
