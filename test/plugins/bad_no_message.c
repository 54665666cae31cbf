/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Has no on_message, which is required: httpd must refuse the configuration.
 */

#include "websocket_plugin.h"

static WebSocketPlugin bad_no_message_plugin = {
    .size = sizeof(WebSocketPlugin),
    .version = WEBSOCKET_PLUGIN_VERSION_0,
    .on_message = NULL,
};

EXPORT WebSocketPlugin* CALLBACK bad_no_message_init(void);

EXPORT WebSocketPlugin* CALLBACK bad_no_message_init(void) { return &bad_no_message_plugin; }
