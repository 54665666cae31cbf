/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sets response headers as a careless plugin of version 0 would, before it accepts, or refuses.
 *
 * Request headers:
 *   X-Way: function    with header_set and protocol_set
 *   X-Way: request     in headers_out and err_headers_out of request()
 *   X-Refuse: yes      refuses then
 */

#include <httpd.h>

#include <apr_tables.h>

#include "text_message.h"

struct header {
    const char* name;
    const char* value;
};

static const struct header headers[] = {
    {"X-Good", " a\t\xC3\xBC "},
    {"X-Empty", ""},
    {"", "x"},
    {"X-Space In", "x"},
    {"X-Colon: y\r\nX-Injected", "x"},
    {"X-C: d", "x"},
    {"X-\xC3\xBC", "x"},
    {"X-Line", "x\r\nX-Injected: x"},
    {"X-Feed", "x\nX-Injected: x"},
    {"X-Return", "x\rX-Injected: x"},
    {"X-Delete", "\x7F"},
    {"Sec-WebSocket-Accept", "x"},
    {"Sec-WebSocket-Accept: x", "x"},
    {"sec-websocket-extensions", "x"},
    {"Sec-WebSocket-Version", "99"},
    {"Sec-WebSocket-Anything", "x"},
    {"UPGRADE", "h2c"},
    {"connection", "keep-alive"},
    {"Keep-Alive", "timeout=5"},
    {"Content-Length", "5"},
    {"Transfer-Encoding", "chunked"},
    {"Trailer", "x"},
};

static void* CALLBACK headers_on_connect(const WebSocketServer* server) {
    static char connected;
    const char* way = server->header_get(server, "X-Way");
    request_rec* r = way != NULL && *way == 'r' ? server->request(server) : NULL;
    size_t i;

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); ++i) {
        if (r != NULL) {
            apr_table_set(r->headers_out, headers[i].name, headers[i].value);
            apr_table_set(r->err_headers_out, headers[i].name, headers[i].value);
        } else {
            server->header_set(server, headers[i].name, headers[i].value);
        }
    }
    if (r != NULL) {
        apr_table_add(r->headers_out, "Set-Cookie", "a=1");
        apr_table_add(r->headers_out, "Set-Cookie", "b=2");
        apr_table_set(r->headers_out, "Sec-WebSocket-Protocol", "never offered");
    } else {
        server->protocol_set(server, "b");
        server->protocol_set(server, "never offered");
        server->protocol_set(server, "b, a");
        server->header_set(server, "sec-websocket-protocol", "B");
    }
    return server->header_get(server, "X-Refuse") == NULL ? &connected : NULL;
}

static size_t CALLBACK headers_on_message(void* self, const WebSocketServer* server, const int type,
                                          unsigned char* buffer, const size_t buffer_size) {
    (void)self;
    return server->send(server, type, buffer, buffer_size);
}

static WebSocketPlugin plugin = {
    sizeof(plugin), WEBSOCKET_PLUGIN_VERSION_0, NULL, headers_on_connect, headers_on_message, NULL,
};

EXPORT WebSocketPlugin* CALLBACK headers_init(void);
EXPORT WebSocketPlugin* CALLBACK headers_init(void) { return &plugin; }
