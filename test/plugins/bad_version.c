/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Claims a version that does not exist: httpd must refuse the configuration.
 */

#include "websocket_plugin.h"

static size_t CALLBACK bad_version_on_message(void* plugin_private, const WebSocketServer* server,
                                              const int type, unsigned char* buffer,
                                              const size_t buffer_size) {
    (void)plugin_private;
    (void)server;
    (void)type;
    (void)buffer;
    return buffer_size;
}

static WebSocketPlugin bad_version_plugin = {
    .size = sizeof(WebSocketPlugin),
    .version = 7,
    .on_message = bad_version_on_message,
};

EXPORT WebSocketPlugin* CALLBACK bad_version_init(void);

EXPORT WebSocketPlugin* CALLBACK bad_version_init(void) { return &bad_version_plugin; }
