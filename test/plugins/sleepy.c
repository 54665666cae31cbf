/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * An echo plugin that is slow on demand: the text "sleep MS" is sent back after on_message has
 * slept that many milliseconds, everything else at once.
 */

#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <time.h>

#include "text_message.h"

static void sleep_ms(unsigned long ms) {
    struct timespec left;

    left.tv_sec = (time_t)(ms / 1000);
    left.tv_nsec = (long)(ms % 1000) * 1000 * 1000;
    while (nanosleep(&left, &left) == -1 && errno == EINTR) {
        /* left is what remains */
    }
}

static size_t CALLBACK sleepy_on_message(void* plugin_private, const WebSocketServer* server,
                                         const int type, unsigned char* buffer,
                                         const size_t buffer_size) {
    (void)plugin_private;
    if (type == MESSAGE_TYPE_TEXT) {
        char command[32];
        const char* ms;

        copy_text(command, sizeof(command), buffer, buffer_size);
        ms = text_after(command, "sleep ");
        if (ms != NULL) {
            sleep_ms(strtoul(ms, NULL, 10));
        }
    }
    return server->send(server, type, buffer, buffer_size);
}

static WebSocketPlugin sleepy_plugin = {
    .size = sizeof(WebSocketPlugin),
    .version = WEBSOCKET_PLUGIN_VERSION_0,
    .on_message = sleepy_on_message,
};

EXPORT WebSocketPlugin* CALLBACK sleepy_init(void);

EXPORT WebSocketPlugin* CALLBACK sleepy_init(void) { return &sleepy_plugin; }
