/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Requests that are no handshakes: an extension of plugin interface version 1, to be asked for with WS_HTTP_1.
 * websocket/extensions.h says what holds for all of them. Since minor version 3.
 */

#if !defined(WEBSOCKET_EXT_HTTP_H_)
#define WEBSOCKET_EXT_HTTP_H_

#include "../plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WS_HTTP_1 "ws.http/1"

/*
 * What ws_plugin.on_http needs besides ws_request_1. All functions: [httpd worker], the one that runs
 * the callback.
 */
typedef struct ws_http_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Reads the body of the request, all of it. In on_http only; a handshake has none.
     *
     * Waits for the client (mod_reqtimeout says how long), which may have waited for this call before it
     * sends anything (Expect: 100-continue).
     * most: bytes that the plugin wants to have; WebSocketMaxRequestBody holds, too.
     * bytes: gets the address of the body, valid until on_http returns; never NULL.
     * n: gets its length; 0 when there is none.
     * Returns 0, or the status that on_http has to return, with or without a body of its own: 413 when it is
     * larger, which is said before any of it is read if the request tells the length; 400 when it is not
     * well-formed or the client is gone; 408 when it is too slow; 500 without memory. What has failed once
     * fails again; then the connection is closed behind the response.
     */
    uint32_t (*read_body)(ws_request* request, uint64_t most, const void** bytes, uint64_t* n);

    /*
     * Adds a header to the response, beside those of the same name: Set-Cookie, Link. Returns what
     * ws_request_1.set_header returns. In on_upgrade and on_http only.
     */
    ws_result (*add_header)(ws_request* request, const char* name, uint64_t name_size,
                            const char* value, uint64_t value_size);

    /*
     * Whether WebSocketOriginCheck would let a handshake with the Origin of this request pass; without an
     * Origin it would. Returns 1 or 0, and 1 in on_upgrade.
     *
     * A request that changes something and for which the user's cookies or password are enough may come
     * from a page of somebody else: answer it with 403 unless this returns 1.
     */
    uint32_t (*trusts_origin)(const ws_request* request);

    /*
     * Whether httpd would let anybody do this: somebody whom it knows nothing of, who is not logged in, has just
     * some address of the Internet and sends no header but Host. Returns 1 or 0. It is 1 without Require and with
     * Require all granted, and 0 with Require valid-user or Require ip; conditions on the certificate of a client do
     * not count. In on_http only; else 1. Since minor version 4.
     */
    uint32_t (*is_open)(const ws_request* request);
} ws_http_1;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_http_1, read_body) == 8 && offsetof(ws_http_1, add_header) == 16);
WS_LAYOUT_(offsetof(ws_http_1, trusts_origin) == 24 && offsetof(ws_http_1, is_open) == 32);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_HTTP_H_ */
