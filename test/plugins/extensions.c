/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tells a client what a plugin can see of the extensions that were agreed on, and tries to change
 * them. Echoes every other message.
 *
 * Request headers:
 *   X-Change-Extensions: VALUE   on_connect sets this Sec-WebSocket-Extensions
 * Text messages and what they send back:
 *   header        Sec-WebSocket-Extensions of the response as on_connect saw it, or <null>
 *   environment   WEBSOCKET_DEFLATE in the environment of request() now, or <null>
 */

#include <httpd.h>

#include <apr_tables.h>
#include <stdlib.h>

#include "text_message.h"

static const char* or_null(const char* text) { return text != NULL ? text : "<null>"; }

static void* CALLBACK extensions_on_connect(const WebSocketServer* server) {
    request_rec* r = server->request(server);
    const char* changed = server->header_get(server, "X-Change-Extensions");
    char* seen = malloc(256);

    if (seen != NULL) {
        const char* value =
            r != NULL ? apr_table_get(r->headers_out, "Sec-WebSocket-Extensions") : NULL;

        snprintf(seen, 256, "%s", or_null(value));
        if (changed != NULL) {
            server->header_set(server, "Sec-WebSocket-Extensions", changed);
        }
    }
    return seen;
}

static size_t CALLBACK extensions_on_message(void* seen, const WebSocketServer* server,
                                             const int type, unsigned char* buffer,
                                             const size_t buffer_size) {
    char command[32];
    request_rec* r = server->request(server);

    copy_text(command, sizeof(command), buffer, buffer_size);
    if (strcmp(command, "header") == 0) {
        return send_text(server, (const char*)seen);
    }
    if (strcmp(command, "environment") == 0) {
        return send_text(
            server,
            or_null(r != NULL ? apr_table_get(r->subprocess_env, "WEBSOCKET_DEFLATE") : NULL));
    }
    return server->send(server, type, buffer, buffer_size);
}

static void CALLBACK extensions_on_disconnect(void* seen, const WebSocketServer* server) {
    (void)server;
    free(seen);
}

static WebSocketPlugin plugin = {
    sizeof(plugin),        WEBSOCKET_PLUGIN_VERSION_0, NULL,
    extensions_on_connect, extensions_on_message,      extensions_on_disconnect};

EXPORT WebSocketPlugin* CALLBACK extensions_init(void) { return &plugin; }
