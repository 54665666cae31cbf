/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Stands for a binary from before: an echo plugin that includes no header of this project. The
 * structures are written down here by hand, member for member as plugins have always seen them, and
 * are never to be changed. The text "layout" is answered with what the server table says of itself
 * and what this file expects.
 */

#include <stdio.h>
#include <string.h>

struct old_server {
    unsigned int size;
    unsigned int version;
    void* state;
    void* (*request)(const struct old_server*);
    const char* (*header_get)(const struct old_server*, const char*);
    void (*header_set)(const struct old_server*, const char*, const char*);
    size_t (*protocol_count)(const struct old_server*);
    const char* (*protocol_index)(const struct old_server*, size_t);
    void (*protocol_set)(const struct old_server*, const char*);
    size_t (*send)(const struct old_server*, int, const unsigned char*, size_t);
    void (*close)(const struct old_server*);
};

struct old_plugin {
    unsigned int size;
    unsigned int version;
    void (*destroy)(struct old_plugin*);
    void* (*on_connect)(const struct old_server*);
    size_t (*on_message)(void*, const struct old_server*, int, unsigned char*, size_t);
    void (*on_disconnect)(void*, const struct old_server*);
};

enum { old_text = 0 };

static const char layout_command[] = "layout";
static char connected; /* its address stands for any accepted client */

static void old_destroy(struct old_plugin* plugin) { plugin->version = 0; }

static void* old_on_connect(const struct old_server* server) {
    server->header_set(server, "X-Old-Layout", "true");
    return &connected;
}

static void send_layout(const struct old_server* server) {
    char text[128];
    int length = snprintf(text, sizeof(text), "size %u version %u expected %zu 1", server->size,
                          server->version, sizeof(struct old_server));

    server->send(server, old_text, (const unsigned char*)text, (size_t)length);
}

static size_t old_on_message(void* plugin_private, const struct old_server* server, int type,
                             unsigned char* buffer, size_t buffer_size) {
    if (plugin_private != &connected) {
        server->close(server);
        return 0;
    }
    if (type == old_text && buffer_size == sizeof(layout_command) - 1 &&
        memcmp(buffer, layout_command, buffer_size) == 0) {
        send_layout(server);
        return buffer_size;
    }
    return server->send(server, type, buffer, buffer_size);
}

static void old_on_disconnect(void* plugin_private, const struct old_server* server) {
    (void)plugin_private;
    (void)server;
}

static struct old_plugin plugin = {
    sizeof(struct old_plugin), 0, old_destroy, old_on_connect, old_on_message, old_on_disconnect,
};

__attribute__((visibility("default"))) struct old_plugin* old_layout_init(void);

__attribute__((visibility("default"))) struct old_plugin* old_layout_init(void) { return &plugin; }
