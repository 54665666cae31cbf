/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The request: an extension of plugin interface version 1, to be asked for with WS_REQUEST_1.
 * websocket/extensions.h says what holds for all of them.
 */

#if !defined(WEBSOCKET_EXT_REQUEST_H_)
#define WEBSOCKET_EXT_REQUEST_H_

#include "../plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WS_REQUEST_1 "ws.request/1"

/* What ws_request_1.text can be asked for. */
#define WS_REQUEST_METHOD 0u /* "GET" */
#define WS_REQUEST_TARGET 1u /* "/chat?name=x", as the client wrote it */
#define WS_REQUEST_PATH 2u   /* "/chat", decoded; what httpd has rewritten it to */
#define WS_REQUEST_QUERY 3u  /* "name=x", not decoded */
#define WS_REQUEST_HOST 4u   /* of the Host header, without the port */
#define WS_REQUEST_USER 5u   /* who httpd has authenticated */
#define WS_REQUEST_AUTH 6u   /* how: "Basic" */
#define WS_REQUEST_CLIENT 7u /* the client's address, as httpd knows it (mod_remoteip) */
#define WS_REQUEST_PEER 8u   /* address of the other end of the TCP connection */
#define WS_REQUEST_SERVER 9u /* address of this end */
/*
 * "/room/7" of "/chat/room/7" in <Location "/chat">: what of the path lies below the section that has the
 * WebSocketHandler, decoded, behind the match in <LocationMatch>; empty at the section itself. Since minor
 * version 3, before which it is NULL.
 */
#define WS_REQUEST_BELOW 10u

/* What ws_request_1.port can be asked for. */
#define WS_PORT_PEER 0u
#define WS_PORT_SERVER 1u

/*
 * The request that opened a connection, or one for on_http. All functions: [any thread, one at a time]; what they
 * return lives as long as the ws_request. Where a size is returned through a pointer, the pointer
 * may be NULL.
 */
typedef struct ws_request_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * A part of the request; NULL if there is none.
     *
     * what: one of WS_REQUEST_*.
     */
    const char* (*text)(const ws_request* request, uint32_t what, uint64_t* size);

    /*
     * A port number: WS_PORT_PEER or WS_PORT_SERVER; else 0.
     */
    uint32_t (*port)(const ws_request* request, uint32_t which);

    /*
     * The value of a header, repeated ones joined by ", "; NULL if there is none.
     *
     * name: in any case, n bytes.
     */
    const char* (*header)(const ws_request* request, const char* name, uint64_t n, uint64_t* size);

    /*
     * A variable of the request's environment (SetEnv, SetEnvIf, RewriteRule [E=...]); NULL if there
     * is none. With TLS, in on_upgrade, also what mod_ssl knows, such as SSL_CLIENT_S_DN or
     * SSL_CLIENT_CERT; later only what SSLOptions +StdEnvVars or +ExportCertData has put there.
     */
    const char* (*environment)(const ws_request* request, const char* name, uint64_t n,
                               uint64_t* size);

    /*
     * Calls visit for every header, in the order of the request, until it returns something but 0.
     */
    void (*headers)(const ws_request* request,
                    int32_t (*visit)(void* data, const char* name, uint64_t name_size,
                                     const char* value, uint64_t value_size),
                    void* data);

    /*
     * How many subprotocols the client offered.
     */
    uint64_t (*subprotocol_count)(const ws_request* request);

    /*
     * One of them, the one that the client named first is 0; NULL if there is none.
     */
    const char* (*subprotocol)(const ws_request* request, uint64_t index, uint64_t* size);

    /*
     * Chooses a subprotocol, which has to be one that was offered. In on_upgrade only.
     *
     * Returns WS_OK or WS_BAD_ARG.
     */
    ws_result (*choose_subprotocol)(ws_request* request, const char* name, uint64_t n);

    /*
     * Sets a header of the response, be it a 101 or a refusal. In on_upgrade and on_http only.
     *
     * Name and value are copied; one of the same name is replaced. Returns WS_OK or WS_BAD_ARG: a name
     * that is no token, a control character in the value, too late, or a header that the server
     * sets itself: Sec-WebSocket-*, Connection, Content-Length, Keep-Alive, Proxy-Connection,
     * TE, Trailer, Transfer-Encoding, Upgrade.
     */
    ws_result (*set_header)(ws_request* request, const char* name, uint64_t name_size,
                            const char* value, uint64_t value_size);

    /*
     * Sets the body of a refusal, or of the response in on_http. In these only.
     *
     * type: its Content-Type; in on_http none if it is empty. Both are copied. Returns WS_OK, WS_BAD_ARG or WS_NO_MEMORY.
     */
    ws_result (*set_body)(ws_request* request, const char* type, uint64_t type_size,
                          const void* bytes, uint64_t n);
} ws_request_1;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_request_1, text) == 8 && offsetof(ws_request_1, port) == 16);
WS_LAYOUT_(offsetof(ws_request_1, header) == 24 && offsetof(ws_request_1, environment) == 32);
WS_LAYOUT_(offsetof(ws_request_1, headers) == 40);
WS_LAYOUT_(offsetof(ws_request_1, subprotocol_count) == 48);
WS_LAYOUT_(offsetof(ws_request_1, subprotocol) == 56);
WS_LAYOUT_(offsetof(ws_request_1, choose_subprotocol) == 64);
WS_LAYOUT_(offsetof(ws_request_1, set_header) == 72 && offsetof(ws_request_1, set_body) == 80);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_REQUEST_H_ */
