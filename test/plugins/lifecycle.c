/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Counts what the server does with its clients and checks that it keeps the promised order. Counts
 * are per process. Needs the headers of httpd and APR.
 *
 * Request header X-Ask-Environment: NAME; its answer, found in on_connect, is the response header
 * X-Environment.
 * Text messages and what they send back:
 *   counts        "CONNECTS MESSAGES DISCONNECTS LIVE", this message included
 *   violations    number of broken promises: on_message after or during on_disconnect or during
 *                 another on_message of this client, on_disconnect twice, another server pointer
 *                 than in on_connect, the request's pool cleared before on_disconnect
 *   request       what the request_rec says, lines of KEY=VALUE, <null> where it has none
 *   headers-in, headers-out, env
 *                 its tables, lines of KEY=VALUE
 *   pool          allocates from its pool and registers a cleanup there; "pool ok"
 *   cleanups      number of these cleanups that have run
 * Everything else is sent back.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* apr.h uses names of it */
#endif

#include <stdatomic.h>

#include <httpd.h>
#include <apr_strings.h>
#include <apr_tables.h>

#include "text_message.h"

/* Kept until destroy, so that calls for a client that is gone are seen and not crashed on. */
typedef struct Client {
    struct Client* next;
    const WebSocketServer* server;
    atomic_int running; /* callbacks inside now */
    atomic_int over;    /* on_disconnect was called */
} Client;

static _Atomic(Client*) clients; /* pushed to by on_connect, taken by destroy */
static atomic_ulong connects;
static atomic_ulong messages;
static atomic_ulong disconnects;
static atomic_ulong violations;
static atomic_ulong cleanups;

static void expect(int kept) {
    if (!kept) {
        atomic_fetch_add(&violations, 1);
    }
}

/* ---- The request ----------------------------------------------------------------------------- */

typedef struct {
    char text[16384];
    size_t length;
} Lines;

/* Adds one line; what does not fit is cut. Its shape is what apr_table_do wants. */
static int add_line(void* argument, const char* key, const char* value) {
    Lines* lines = argument;
    size_t room = sizeof(lines->text) - lines->length;
    int length = snprintf(lines->text + lines->length, room, "%s=%s\n", key,
                          value != NULL ? value : "<null>");

    if (length < 0 || (size_t)length >= room) {
        return 0;
    }
    lines->length += (size_t)length;
    return 1;
}

static void send_table(const WebSocketServer* server, const apr_table_t* table) {
    Lines lines = {.length = 0};

    apr_table_do(add_line, &lines, table, NULL);
    lines.text[lines.length] = '\0';
    send_text(server, lines.text);
}

static void send_request(const WebSocketServer* server) {
    const request_rec* request = server->request(server);
    Lines lines = {.length = 0};

    add_line(&lines, "method", request->method);
    add_line(&lines, "the_request", request->the_request);
    add_line(&lines, "unparsed_uri", request->unparsed_uri);
    add_line(&lines, "uri", request->uri);
    add_line(&lines, "args", request->args);
    add_line(&lines, "hostname", request->hostname);
    add_line(&lines, "user", request->user);
    add_line(&lines, "useragent_ip", request->useragent_ip);
    add_line(&lines, "protocol", request->protocol);
    add_line(&lines, "handler", request->handler);
    lines.text[lines.length] = '\0';
    send_text(server, lines.text);
}

static apr_status_t on_pool_cleared(void* argument) {
    Client* client = argument;

    expect(atomic_load(&client->over));
    atomic_fetch_add(&cleanups, 1);
    return APR_SUCCESS;
}

static void use_pool(Client* client, const WebSocketServer* server) {
    apr_pool_t* pool = server->request(server)->pool;

    apr_pool_cleanup_register(pool, client, on_pool_cleared, apr_pool_cleanup_null);
    send_text(server, apr_pstrcat(pool, "pool ", "ok", NULL));
}

/* ---- The callbacks --------------------------------------------------------------------------- */

static void* CALLBACK lifecycle_on_connect(const WebSocketServer* server) {
    const char* name = server->header_get(server, "X-Ask-Environment");
    Client* client = calloc(1, sizeof(*client));

    if (client == NULL) {
        return NULL;
    }
    if (name != NULL) {
        const char* value = apr_table_get(server->request(server)->subprocess_env, name);

        server->header_set(server, "X-Environment", value != NULL ? value : "<null>");
    }
    client->server = server;
    client->next = atomic_load(&clients);
    while (!atomic_compare_exchange_weak(&clients, &client->next, client)) {
        /* client->next is up to date again */
    }
    atomic_fetch_add(&connects, 1);
    return client;
}

static void run_command(Client* client, const WebSocketServer* server, unsigned char* buffer,
                        size_t buffer_size) {
    char command[32];

    copy_text(command, sizeof(command), buffer, buffer_size);
    if (strcmp(command, "counts") == 0) {
        unsigned long gone = atomic_load(&disconnects);
        unsigned long come = atomic_load(&connects);

        send_format(server, "%lu %lu %lu %lu", come, atomic_load(&messages), gone, come - gone);
    } else if (strcmp(command, "violations") == 0) {
        send_format(server, "%lu", atomic_load(&violations));
    } else if (strcmp(command, "cleanups") == 0) {
        send_format(server, "%lu", atomic_load(&cleanups));
    } else if (strcmp(command, "request") == 0) {
        send_request(server);
    } else if (strcmp(command, "headers-in") == 0) {
        send_table(server, server->request(server)->headers_in);
    } else if (strcmp(command, "headers-out") == 0) {
        send_table(server, server->request(server)->headers_out);
    } else if (strcmp(command, "env") == 0) {
        send_table(server, server->request(server)->subprocess_env);
    } else if (strcmp(command, "pool") == 0) {
        use_pool(client, server);
    } else {
        server->send(server, MESSAGE_TYPE_TEXT, buffer, buffer_size);
    }
}

static size_t CALLBACK lifecycle_on_message(void* plugin_private, const WebSocketServer* server,
                                            const int type, unsigned char* buffer,
                                            const size_t buffer_size) {
    Client* client = plugin_private;
    int alone = atomic_fetch_add(&client->running, 1) == 0;
    int alive = !atomic_load(&client->over) && server == client->server;

    expect(alone);
    expect(alive);
    atomic_fetch_add(&messages, 1);
    if (alive && type == MESSAGE_TYPE_TEXT) {
        run_command(client, server, buffer, buffer_size);
    } else if (alive) {
        server->send(server, type, buffer, buffer_size);
    }
    atomic_fetch_sub(&client->running, 1);
    return buffer_size;
}

static void CALLBACK lifecycle_on_disconnect(void* plugin_private, const WebSocketServer* server) {
    Client* client = plugin_private;

    expect(atomic_load(&client->running) == 0);
    expect(atomic_exchange(&client->over, 1) == 0);
    expect(server == client->server);
    atomic_fetch_add(&disconnects, 1);
}

static void CALLBACK lifecycle_destroy(WebSocketPlugin* plugin) {
    Client* client = atomic_exchange(&clients, NULL);

    (void)plugin;
    while (client != NULL) {
        Client* next = client->next;

        free(client);
        client = next;
    }
}

static WebSocketPlugin lifecycle_plugin = {
    .size = sizeof(WebSocketPlugin),
    .version = WEBSOCKET_PLUGIN_VERSION_0,
    .destroy = lifecycle_destroy,
    .on_connect = lifecycle_on_connect,
    .on_message = lifecycle_on_message,
    .on_disconnect = lifecycle_on_disconnect,
};

EXPORT WebSocketPlugin* CALLBACK lifecycle_init(void);

EXPORT WebSocketPlugin* CALLBACK lifecycle_init(void) { return &lifecycle_plugin; }
