/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Counts for each client: sends 0, 1, 2, ... as text, one number every 50 ms. The message "reset",
 * with a newline after it, starts again at 0.
 *
 * It shows what a plugin needs that speaks without being asked: state per client, a thread of its
 * own, and the end of both. It insists on a subprotocol, to show that as well.
 *
 *     cc -shared -fPIC -pthread -I../include -o mod_websocket_dumb_increment.so \
 *         mod_websocket_dumb_increment.c
 *
 *     <Location "/dumb-increment">
 *         SetHandler websocket-handler
 *         WebSocketHandler modules/mod_websocket_dumb_increment.so dumb_increment_init
 *     </Location>
 *
 * One thread per client keeps the example short. With thousands of clients, let one thread serve
 * all of them.
 */

#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "websocket_plugin.h"

static const char subprotocol[] = "dumb-increment-protocol";
static const char reset_message[] = "reset\n";

enum { interval_ns = 50 * 1000 * 1000, second_ns = 1000 * 1000 * 1000 };

/* What is kept for one client. */
typedef struct {
    const WebSocketServer* server;
    pthread_t thread;
    pthread_mutex_t mutex;   /* guards counter and stop */
    pthread_cond_t stopping; /* signalled when stop is set; measures time with CLOCK_MONOTONIC */
    unsigned long counter;   /* the next number to send */
    int stop;
} Counter;

static void add_interval(struct timespec* time) {
    time->tv_nsec += interval_ns;
    if (time->tv_nsec >= second_ns) {
        time->tv_nsec -= second_ns;
        time->tv_sec += 1;
    }
}

static int is_past(const struct timespec* time) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > time->tv_sec || (now.tv_sec == time->tv_sec && now.tv_nsec > time->tv_nsec);
}

/*
 * Waits until it is time for the next number. Returns 1 and the number, or 0 if the client is gone.
 */
static int next_number(Counter* counter, const struct timespec* due, unsigned long* number) {
    int stop;

    pthread_mutex_lock(&counter->mutex);
    while (!counter->stop &&
           pthread_cond_timedwait(&counter->stopping, &counter->mutex, due) == 0) {
        /* Woken before the time: to stop, or for no reason. */
    }
    stop = counter->stop;
    if (!stop) {
        *number = counter->counter++;
    }
    pthread_mutex_unlock(&counter->mutex);
    return !stop;
}

static void* count(void* argument) {
    Counter* counter = argument;
    struct timespec due;
    unsigned long number;

    clock_gettime(CLOCK_MONOTONIC, &due);
    while (next_number(counter, &due, &number)) {
        char text[32];
        int length = snprintf(text, sizeof(text), "%lu", number);

        /*
         * send may block: before the 101 is out, and while the client does not read. So the mutex
         * is not held here. 0 means that the connection is closing, and stays that way.
         */
        if (counter->server->send(counter->server, MESSAGE_TYPE_TEXT, (const unsigned char*)text,
                                  (size_t)length) == 0) {
            break;
        }
        add_interval(&due);
        if (is_past(&due)) { /* send took long: go on from here, do not catch up in a burst */
            clock_gettime(CLOCK_MONOTONIC, &due);
            add_interval(&due);
        }
    }
    return NULL;
}

/* Returns 0, or an error number with nothing left to undo. */
static int init_monotonic_cond(pthread_cond_t* cond) {
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);

    if (error != 0) {
        return error;
    }
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (error == 0) {
        error = pthread_cond_init(cond, &attributes);
    }
    pthread_condattr_destroy(&attributes);
    return error;
}

/* Returns the running counter, or NULL with nothing left to undo. */
static Counter* start_counter(const WebSocketServer* server) {
    Counter* counter = calloc(1, sizeof(*counter));

    if (counter == NULL) {
        return NULL;
    }
    counter->server = server;
    if (pthread_mutex_init(&counter->mutex, NULL) != 0) {
        goto no_mutex;
    }
    if (init_monotonic_cond(&counter->stopping) != 0) {
        goto no_cond;
    }
    if (pthread_create(&counter->thread, NULL, count, counter) != 0) {
        goto no_thread;
    }
    return counter;

no_thread:
    pthread_cond_destroy(&counter->stopping);
no_cond:
    pthread_mutex_destroy(&counter->mutex);
no_mutex:
    free(counter);
    return NULL;
}

static int client_offers(const WebSocketServer* server, const char* name) {
    size_t offered = server->protocol_count(server);
    size_t i;

    for (i = 0; i < offered; i++) {
        const char* candidate = server->protocol_index(server, i);

        if (candidate != NULL && strcmp(candidate, name) == 0) {
            return 1;
        }
    }
    return 0;
}

static void* CALLBACK increment_on_connect(const WebSocketServer* server) {
    if (!client_offers(server, subprotocol)) {
        return NULL; /* refuses with a 403 */
    }
    server->protocol_set(server, subprotocol);
    return start_counter(server); /* NULL, a failure, refuses too */
}

static size_t CALLBACK increment_on_message(void* plugin_private, const WebSocketServer* server,
                                            const int type, unsigned char* buffer,
                                            const size_t buffer_size) {
    Counter* counter = plugin_private;

    (void)server;
    if (type == MESSAGE_TYPE_TEXT && buffer_size == sizeof(reset_message) - 1 &&
        memcmp(buffer, reset_message, buffer_size) == 0) {
        pthread_mutex_lock(&counter->mutex);
        counter->counter = 0;
        pthread_mutex_unlock(&counter->mutex);
    }
    return buffer_size;
}

static void CALLBACK increment_on_disconnect(void* plugin_private, const WebSocketServer* server) {
    Counter* counter = plugin_private;

    (void)server;
    pthread_mutex_lock(&counter->mutex);
    counter->stop = 1;
    pthread_cond_signal(&counter->stopping);
    pthread_mutex_unlock(&counter->mutex);

    /* Does not hang: a send that waits for the client has returned 0 by now. */
    pthread_join(counter->thread, NULL);
    pthread_cond_destroy(&counter->stopping);
    pthread_mutex_destroy(&counter->mutex);
    free(counter);
}

static WebSocketPlugin increment_plugin = {
    .size = sizeof(WebSocketPlugin),
    .version = WEBSOCKET_PLUGIN_VERSION_0,
    .on_connect = increment_on_connect,
    .on_message = increment_on_message,
    .on_disconnect = increment_on_disconnect,
};

EXPORT WebSocketPlugin* CALLBACK dumb_increment_init(void);

EXPORT WebSocketPlugin* CALLBACK dumb_increment_init(void) { return &increment_plugin; }
