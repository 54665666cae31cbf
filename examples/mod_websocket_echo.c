/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The smallest useful plugin: sends every message back to the client that sent it.
 *
 *     cc -shared -fPIC -I../include -o mod_websocket_echo.so mod_websocket_echo.c
 *
 *     <Location "/echo">
 *         SetHandler websocket-handler
 *         WebSocketHandler modules/mod_websocket_echo.so echo_init
 *     </Location>
 */

#include "websocket_plugin.h"

static size_t CALLBACK echo_on_message(void* plugin_private, const WebSocketServer* server,
                                       const int type, unsigned char* buffer,
                                       const size_t buffer_size) {
    (void)plugin_private;

    /* If the connection is closing, send returns 0; there is nobody left to tell. */
    return server->send(server, type, buffer, buffer_size);
}

/*
 * Nothing has to be kept for a client, so there is no on_connect (which accepts all) and no
 * on_disconnect.
 */
static WebSocketPlugin echo_plugin = {
    .size = sizeof(WebSocketPlugin),
    .version = WEBSOCKET_PLUGIN_VERSION_0,
    .on_message = echo_on_message,
};

EXPORT WebSocketPlugin* CALLBACK echo_init(void);

EXPORT WebSocketPlugin* CALLBACK echo_init(void) { return &echo_plugin; }
