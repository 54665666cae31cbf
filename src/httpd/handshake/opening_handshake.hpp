// SPDX-License-Identifier: Apache-2.0
// Whether a request may become a WebSocket, and what is answered when not.
#pragma once

#include <httpd.h>

#include "httpd/config/endpoints.hpp"
#include "protocol/deflate_offer.hpp"

namespace websocket::httpd {

struct Handshake {
    const char* key;   ///< Sec-WebSocket-Key
    unsigned version;  ///< 7, 8 or 13
};

/// True when the protocols in the request's Upgrade header (RFC 9110 section 7.8) have WebSocket among
/// them, whether or not it is a handshake. [httpd worker]
[[nodiscard]] bool wants_upgrade(const request_rec* r);

/// True when the request is an opening handshake, well-formed or not: it wants an upgrade, and its
/// version of HTTP and its Connection header allow one. [httpd worker]
[[nodiscard]] bool is_handshake(const request_rec* r);

/// The rest of is_handshake(), of a request for which wants_upgrade() is true. [httpd worker]
[[nodiscard]] bool is_handshake_if_wanted(const request_rec* r);

/// The Sec-WebSocket-Version; 0 when there is none, or one that is no number. [httpd worker]
[[nodiscard]] unsigned websocket_version(const request_rec* r);

/// OK when the handshake has no body, which could not be told from frames. Else the status to answer with;
/// the error log says why. [httpd worker]
[[nodiscard]] int check_body(request_rec* r);

/// Checks a handshake in the order: is it well-formed, is there a plugin, is the origin trusted. OK
/// and a filled `handshake`, else the status to answer with; the error log says why. [httpd worker]
[[nodiscard]] int check_handshake(request_rec* r, const Endpoint& endpoint, Handshake& handshake);

/// What to do about compression, of a request that passed check_handshake(). It is logged, and also
/// left in the environment variable WEBSOCKET_DEFLATE. Throws std::bad_alloc. [httpd worker]
[[nodiscard]] protocol::DeflateAgreement
agree_on_deflate(request_rec* r, const Handshake& handshake, const protocol::DeflatePolicy& policy);

/// Replaces the response's headers by those that accept the handshake. [httpd worker]
void set_accepting_headers(request_rec* r, const Handshake& handshake);

/// Tells the client what was agreed on, whatever a plugin has put there. [httpd worker]
void set_extensions_header(request_rec* r, const protocol::DeflateAgreement& agreement);

}  // namespace websocket::httpd
