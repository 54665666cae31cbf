/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lets a client drive every function of the server table but send types (hostile.cpp has those).
 *
 * Request headers:
 *   X-Refuse-Connection: anything   refuse
 *   X-Choose-Subprotocol: I         choose the subprotocol offered at index I
 * Response header: X-Debug-Header: true
 * Text messages and what they do or send back:
 *   close            close() without a status
 *   header: NAME     value of the request header, or <null>
 *   version          version of the server table
 *   size             size of the server table
 *   proto-count      number of subprotocols offered
 *   proto-index: I   the one at index I, or <null>
 * Everything else is ignored.
 */

#include "text_message.h"

static char connected; /* its address stands for any accepted client */

static void* CALLBACK debug_on_connect(const WebSocketServer* server) {
    const char* choice = server->header_get(server, "X-Choose-Subprotocol");

    if (server->header_get(server, "X-Refuse-Connection") != NULL) {
        /* These must not show up in the refusal. */
        server->header_set(server, "X-Debug-Header", "refused");
        return NULL;
    }
    server->header_set(server, "X-Debug-Header", "true");
    if (choice != NULL) {
        const char* protocol = server->protocol_index(server, strtoul(choice, NULL, 10));

        if (protocol != NULL) {
            server->protocol_set(server, protocol);
        }
    }
    return &connected;
}

static const char* or_null(const char* text) { return text != NULL ? text : "<null>"; }

static void run_command(const WebSocketServer* server, const char* command) {
    const char* argument;

    if (strcmp(command, "close") == 0) {
        server->close(server);
    } else if (strcmp(command, "version") == 0) {
        send_format(server, "%u", server->version);
    } else if (strcmp(command, "size") == 0) {
        send_format(server, "%u", server->size);
    } else if (strcmp(command, "proto-count") == 0) {
        send_format(server, "%zu", server->protocol_count(server));
    } else if ((argument = text_after(command, "proto-index: ")) != NULL) {
        send_text(server, or_null(server->protocol_index(server, strtoul(argument, NULL, 10))));
    } else if ((argument = text_after(command, "header: ")) != NULL) {
        send_text(server, or_null(server->header_get(server, argument)));
    }
}

static size_t CALLBACK debug_on_message(void* plugin_private, const WebSocketServer* server,
                                        const int type, unsigned char* buffer,
                                        const size_t buffer_size) {
    char command[1024];

    (void)plugin_private;
    if (type == MESSAGE_TYPE_TEXT) {
        copy_text(command, sizeof(command), buffer, buffer_size);
        run_command(server, command);
    }
    return buffer_size;
}

static WebSocketPlugin debug_plugin = {
    .size = sizeof(WebSocketPlugin),
    .version = WEBSOCKET_PLUGIN_VERSION_0,
    .on_connect = debug_on_connect,
    .on_message = debug_on_message,
};

EXPORT WebSocketPlugin* CALLBACK debug_init(void);

EXPORT WebSocketPlugin* CALLBACK debug_init(void) { return &debug_plugin; }
