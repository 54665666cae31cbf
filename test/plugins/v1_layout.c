/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Stands for a binary of interface version 1, minor 0: an echo plugin that includes no header of this
 * project. The structures are written down here by hand, member for member as they were published,
 * and are never to be changed. The text "layout" is answered with what the server says of itself.
 */

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct old_host {
    uint32_t size;
    uint32_t minor;
    const char* name;
    const char* version;
    int32_t (*send)(const struct old_host*, uint64_t, uint32_t, const void*, uint64_t, uint32_t);
    int32_t (*close)(const struct old_host*, uint64_t, uint32_t, const char*, uint64_t);
    int32_t (*queued)(const struct old_host*, uint64_t, uint64_t*);
    void (*log)(const struct old_host*, uint32_t, const char*, uint64_t);
    const void* (*extension)(const struct old_host*, const char*);
};

struct old_option {
    const char* name;
    uint64_t name_size;
    const char* value;
    uint64_t value_size;
};

struct old_close_info {
    uint32_t size;
    uint32_t code;
    uint32_t who;
    uint32_t clean;
    const char* reason;
    uint64_t reason_size;
};

struct old_timer {
    uint32_t size;
    uint32_t reserved;
    int32_t (*start)(const struct old_host*, uint64_t, uint64_t, uint64_t, void (*)(void*),
                     void (*)(void*), void*, uint64_t*);
    void (*cancel)(const struct old_host*, uint64_t);
};

struct old_plugin {
    unsigned int size;
    unsigned int version;
    void (*destroy)(struct old_plugin*);
    void* unused[3];
    uint32_t flags;
    uint32_t minor;
    const char* name;
    const char* plugin_version;
    int32_t (*check)(const struct old_option*, uint64_t, char*, uint64_t);
    int32_t (*start)(const struct old_host*, const struct old_option*, uint64_t, void**);
    void (*stop)(void*);
    uint32_t (*on_upgrade)(void*, void*, uint64_t, void**);
    void (*on_open)(void*, void*, uint64_t);
    void (*on_message)(void*, void*, uint64_t, uint32_t, uint8_t*, uint64_t);
    void (*on_fragment)(void*, void*, uint64_t, uint32_t, uint32_t, uint8_t*, uint64_t);
    void (*on_pong)(void*, void*, uint64_t, const uint8_t*, uint64_t);
    void (*on_writable)(void*, void*, uint64_t);
    void (*on_close)(void*, void*, uint64_t, const struct old_close_info*);
    void (*on_drain)(void*, uint64_t);
};

static const struct old_host* host;
static char self_mark, state_mark; /* their addresses are what the callbacks get */

static int32_t start(const struct old_host* server, const struct old_option* options, uint64_t n,
                     void** self) {
    if (n != 1 || options[0].name_size != 6 || memcmp(options[0].name, "colour", 7) != 0 ||
        options[0].value_size != 3 || memcmp(options[0].value, "red", 4) != 0) {
        return -4;
    }
    host = server;
    *self = &self_mark;
    return 0;
}

static uint32_t on_upgrade(void* self, void* request, uint64_t conn, void** state) {
    if (self != &self_mark || request == NULL || conn == 0) {
        return 500;
    }
    *state = &state_mark;
    return 0;
}

static void late(void* data) { host->send(host, *(uint64_t*)data, 1, "late", 4, 0); }

static void on_message(void* self, void* state, uint64_t conn, uint32_t type, uint8_t* bytes,
                       uint64_t n) {
    static uint64_t last;
    static const char command[] = "layout";
    const struct old_timer* timer = host->extension(host, "ws.timer/1");
    uint64_t number = 0;

    if (self != &self_mark || state != &state_mark) {
        host->close(host, conn, 4000, "wrong pointers", 14);
        return;
    }
    if (n == sizeof(command) - 1 && memcmp(bytes, command, n) == 0) {
        char text[128];
        int length = snprintf(text, sizeof(text), "host %d minor %u name %s timer %d",
                              host->size >= sizeof(struct old_host), host->minor, host->name,
                              timer->size >= sizeof(struct old_timer));
        host->send(host, conn, 1, text, (uint64_t)length, 0);
        last = conn;
        timer->start(host, conn, 1, 0, late, NULL, &last, &number);
        return;
    }
    host->send(host, conn, type, bytes, n, 0);
}

static void on_close(void* self, void* state, uint64_t conn, const struct old_close_info* info) {
    char text[128];
    int length = snprintf(text, sizeof(text), "closed %d %u %u %u %s",
                          self == &self_mark && state == &state_mark && conn != 0 &&
                              info->size >= sizeof(*info),
                          info->code, info->who, info->clean, info->reason);

    host->log(host, 2, text, (uint64_t)length);
}

static struct old_plugin plugin = {
    sizeof(struct old_plugin),
    1,
    NULL,
    {NULL, NULL, NULL},
    2,
    0,
    "v1_layout",
    "1",
    NULL,
    start,
    NULL,
    on_upgrade,
    NULL,
    on_message,
    NULL,
    NULL,
    NULL,
    on_close,
    NULL,
};

__attribute__((visibility("default"))) struct old_plugin* v1_layout_init(void);

__attribute__((visibility("default"))) struct old_plugin* v1_layout_init(void) { return &plugin; }
