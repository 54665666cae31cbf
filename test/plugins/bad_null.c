/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Its initialization function fails: httpd must refuse the configuration.
 */

#include "websocket_plugin.h"

EXPORT WebSocketPlugin* CALLBACK bad_null_init(void);

EXPORT WebSocketPlugin* CALLBACK bad_null_init(void) { return NULL; }
