// SPDX-License-Identifier: Apache-2.0
// Nothing may leave these functions but their result: the callers are C.
#include "plugin/v0/v0_server.hpp"

#include "base/ascii.hpp"
#include "plugin/v0/v0_session.hpp"

namespace websocket::plugin {

namespace {

struct request_rec* CALLBACK request(const WebSocketServer* server) {
    V0Session* session = V0Session::of(server);
    return session != nullptr ? session->request().native() : nullptr;
}

const char* CALLBACK header_get(const WebSocketServer* server, const char* key) {
    V0Session* session = V0Session::of(server);
    return session != nullptr && key != nullptr ? session->request().header(key) : nullptr;
}

void CALLBACK protocol_set(const WebSocketServer* server, const char* protocol) {
    V0Session* session = V0Session::of(server);
    if (session != nullptr && protocol != nullptr) {
        session->request().choose_subprotocol(protocol);
    }
}

void CALLBACK header_set(const WebSocketServer* server, const char* key, const char* value) {
    V0Session* session = V0Session::of(server);
    if (session == nullptr || key == nullptr || value == nullptr) {
        return;
    }
    if (base::equals_ignoring_case(key, "Sec-WebSocket-Protocol")) {
        protocol_set(server, value);
    } else {
        session->request().set_response_header(key, value);
    }
}

size_t CALLBACK protocol_count(const WebSocketServer* server) {
    V0Session* session = V0Session::of(server);
    return session != nullptr ? session->request().subprotocol_count() : 0;
}

const char* CALLBACK protocol_index(const WebSocketServer* server, const size_t index) {
    V0Session* session = V0Session::of(server);
    return session != nullptr ? session->request().subprotocol(index) : nullptr;
}

size_t CALLBACK send(const WebSocketServer* server, const int type, const unsigned char* buffer,
                     const size_t buffer_size) {
    V0Session* session = V0Session::of(server);
    return session != nullptr ? session->send(type, {buffer, buffer != nullptr ? buffer_size : 0})
                              : 0;
}

void CALLBACK close(const WebSocketServer* server) {
    if (V0Session* session = V0Session::of(server)) {
        session->close({});
    }
}

}  // namespace

WebSocketServer make_v0_server(V0Session& session) noexcept {
    return {sizeof(WebSocketServer),
            WEBSOCKET_SERVER_VERSION_1,
            reinterpret_cast<struct _WebSocketState*>(&session),
            request,
            header_get,
            header_set,
            protocol_count,
            protocol_index,
            protocol_set,
            send,
            close};
}

}  // namespace websocket::plugin
