/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Claims to be smaller than the structure is: httpd must refuse the configuration.
 */

#include "websocket_plugin.h"

static size_t CALLBACK bad_size_on_message(void* plugin_private, const WebSocketServer* server,
                                           const int type, unsigned char* buffer,
                                           const size_t buffer_size) {
    (void)plugin_private;
    (void)server;
    (void)type;
    (void)buffer;
    return buffer_size;
}

static WebSocketPlugin bad_size_plugin = {
    .size = sizeof(WebSocketPlugin) - 1,
    .version = WEBSOCKET_PLUGIN_VERSION_0,
    .on_message = bad_size_on_message,
};

EXPORT WebSocketPlugin* CALLBACK bad_size_init(void);

EXPORT WebSocketPlugin* CALLBACK bad_size_init(void) { return &bad_size_plugin; }
