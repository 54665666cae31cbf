/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * An echo plugin that holds threads: the text "hold" is sent back when a client has come with the
 * header X-Release, everything else at once.
 */

#define _POSIX_C_SOURCE 200809L

#include <pthread.h>

#include "text_message.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int released;

static void* CALLBACK holding_on_connect(const WebSocketServer* server) {
    static int client;

    if (server->header_get(server, "X-Release") != NULL) {
        pthread_mutex_lock(&mutex);
        released = 1;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&mutex);
    }
    return &client;
}

static size_t CALLBACK holding_on_message(void* plugin_private, const WebSocketServer* server,
                                          const int type, unsigned char* buffer,
                                          const size_t buffer_size) {
    (void)plugin_private;
    if (buffer_size == 4 && memcmp(buffer, "hold", 4) == 0) {
        pthread_mutex_lock(&mutex);
        while (!released) {
            pthread_cond_wait(&changed, &mutex);
        }
        pthread_mutex_unlock(&mutex);
    }
    return server->send(server, type, buffer, buffer_size);
}

static WebSocketPlugin holding_plugin = {
    .size = sizeof(WebSocketPlugin),
    .version = WEBSOCKET_PLUGIN_VERSION_0,
    .on_connect = holding_on_connect,
    .on_message = holding_on_message,
};

EXPORT WebSocketPlugin* CALLBACK holding_init(void);

EXPORT WebSocketPlugin* CALLBACK holding_init(void) { return &holding_plugin; }
