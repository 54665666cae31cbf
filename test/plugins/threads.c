/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sends from ten threads at once, the way plugins written on APR do: memory and threads come from
 * the pool of the request. Each thread I sends "I: 1000", "I: 999", ... "I: 1"; the one that
 * finishes last closes with 1000. Needs the headers of httpd and APR.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* apr.h uses names of it */
#endif

#include <httpd.h>
#include <apr_atomic.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>

#include "websocket_plugin.h"

enum { thread_count = 10, message_count = 1000 };

typedef struct Client Client;

typedef struct {
    Client* client;
    int index;
    apr_thread_t* thread; /* NULL if it could not be created */
} Sender;

struct Client {
    const WebSocketServer* server;
    volatile apr_uint32_t unfinished;
    Sender senders[thread_count];
};

/* One sender is done, or never was: the last one closes. */
static void finish(Client* client) {
    static const unsigned char normal[] = {1000 >> 8, 1000 & 0xff};

    if (apr_atomic_dec32(&client->unfinished) == 0) {
        client->server->send(client->server, MESSAGE_TYPE_CLOSE, normal, sizeof(normal));
    }
}

static void* APR_THREAD_FUNC run_sender(apr_thread_t* thread, void* argument) {
    Sender* sender = argument;
    const WebSocketServer* server = sender->client->server;
    char text[32];
    int i;

    (void)thread;
    for (i = message_count; i > 0; i--) {
        int length = apr_snprintf(text, sizeof(text), "%d: %d", sender->index, i);

        if (server->send(server, MESSAGE_TYPE_TEXT, (const unsigned char*)text, (size_t)length) !=
            (size_t)length) {
            break;
        }
    }
    finish(sender->client);
    return NULL;
}

static void* CALLBACK threads_on_connect(const WebSocketServer* server) {
    apr_pool_t* pool = server->request(server)->pool;
    Client* client = apr_pcalloc(pool, sizeof(*client));
    int i;

    client->server = server;
    apr_atomic_set32(&client->unfinished, thread_count);
    for (i = 0; i < thread_count; i++) {
        Sender* sender = &client->senders[i];

        sender->client = client;
        sender->index = i;
        if (apr_thread_create(&sender->thread, NULL, run_sender, sender, pool) != APR_SUCCESS) {
            sender->thread = NULL;
            finish(client);
        }
    }
    return client;
}

static size_t CALLBACK threads_on_message(void* plugin_private, const WebSocketServer* server,
                                          const int type, unsigned char* buffer,
                                          const size_t buffer_size) {
    (void)plugin_private;
    (void)server;
    (void)type;
    (void)buffer;
    return buffer_size;
}

static void CALLBACK threads_on_disconnect(void* plugin_private, const WebSocketServer* server) {
    Client* client = plugin_private;
    int i;

    (void)server;
    for (i = 0; i < thread_count; i++) {
        if (client->senders[i].thread != NULL) {
            apr_status_t status;

            apr_thread_join(&status, client->senders[i].thread);
        }
    }
}

static WebSocketPlugin threads_plugin = {
    .size = sizeof(WebSocketPlugin),
    .version = WEBSOCKET_PLUGIN_VERSION_0,
    .on_connect = threads_on_connect,
    .on_message = threads_on_message,
    .on_disconnect = threads_on_disconnect,
};

EXPORT WebSocketPlugin* CALLBACK threads_init(void);

EXPORT WebSocketPlugin* CALLBACK threads_init(void) { return &threads_plugin; }
