/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * An echo plugin that keeps account: when a client is gone it appends the line "NAME HANDLED" to the
 * file of the header X-Tally, where NAME is the client's header X-Name and HANDLED the number of
 * messages that on_message has seen. A message that begins with '*' takes 20 ms.
 */

#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "text_message.h"

typedef struct {
    char* file;
    char* name;
    unsigned long handled;
} Account;

static char* copy_of(const char* text) { return strdup(text != NULL ? text : ""); }

static void* CALLBACK tally_on_connect(const WebSocketServer* server) {
    Account* account = calloc(1, sizeof(*account));

    if (account == NULL) {
        return NULL;
    }
    account->file = copy_of(server->header_get(server, "X-Tally"));
    account->name = copy_of(server->header_get(server, "X-Name"));
    return account;
}

static size_t CALLBACK tally_on_message(void* plugin_private, const WebSocketServer* server,
                                        const int type, unsigned char* buffer,
                                        const size_t buffer_size) {
    static const struct timespec pause = {.tv_sec = 0, .tv_nsec = 20 * 1000 * 1000};
    Account* account = plugin_private;

    account->handled++;
    if (buffer_size > 0 && buffer[0] == '*') {
        nanosleep(&pause, NULL);
    }
    return server->send(server, type, buffer, buffer_size);
}

static void CALLBACK tally_on_disconnect(void* plugin_private, const WebSocketServer* server) {
    Account* account = plugin_private;
    char line[128];
    int length = snprintf(line, sizeof(line), "%s %lu\n", account->name, account->handled);
    int file = open(account->file, O_WRONLY | O_APPEND | O_CLOEXEC);

    (void)server;
    if (file >= 0) {
        /* One write, so lines of several processes do not mix. */
        if (write(file, line, (size_t)length) != length) {
            abort();
        }
        close(file);
    }
    free(account->file);
    free(account->name);
    free(account);
}

static WebSocketPlugin tally_plugin = {
    .size = sizeof(WebSocketPlugin),
    .version = WEBSOCKET_PLUGIN_VERSION_0,
    .on_connect = tally_on_connect,
    .on_message = tally_on_message,
    .on_disconnect = tally_on_disconnect,
};

EXPORT WebSocketPlugin* CALLBACK tally_init(void);

EXPORT WebSocketPlugin* CALLBACK tally_init(void) { return &tally_plugin; }
