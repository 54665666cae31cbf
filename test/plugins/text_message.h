/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Text messages of the test plugins: commands in, replies out.
 */

#ifndef TEST_PLUGINS_TEXT_MESSAGE_H
#define TEST_PLUGINS_TEXT_MESSAGE_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "websocket_plugin.h"

/* Copies a payload into text as a string, cut to what fits. */
static inline void copy_text(char* text, size_t capacity, const unsigned char* buffer,
                             size_t buffer_size) {
    size_t length = buffer_size < capacity ? buffer_size : capacity - 1;

    if (length > 0) {
        memcpy(text, buffer, length);
    }
    text[length] = '\0';
}

/* What follows prefix in text, or NULL if text does not start with it. */
static inline const char* text_after(const char* text, const char* prefix) {
    size_t length = strlen(prefix);

    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static inline size_t send_text(const WebSocketServer* server, const char* text) {
    return server->send(server, MESSAGE_TYPE_TEXT, (const unsigned char*)text, strlen(text));
}

/* Sends what printf would print, cut to 1023 bytes. */
__attribute__((format(printf, 2, 3))) static inline size_t
send_format(const WebSocketServer* server, const char* format, ...) {
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return send_text(server, text);
}

#endif
