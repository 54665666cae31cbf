/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The extensions of plugin interface version 1: function tables that ws_host.extension returns for
 * a name. What websocket/plugin.h says of threads, ownership and growth applies. A server that does
 * not have one returns NULL.
 */

#if !defined(WEBSOCKET_EXTENSIONS_H_)
#define WEBSOCKET_EXTENSIONS_H_

#include "plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* ---- Timers --------------------------------------------------------------------------------------- */

#define WS_TIMER_1 "ws.timer/1"

/*
 * Calls at a later time.
 *
 * A timer belongs to a connection, runs on its thread and ends with it; or it belongs to the plugin
 * (conn is 0) and ends before stop. Timers of the plugin run one after the other, on a loop or in
 * the pool as its flags say, beside the callbacks of connections.
 */
typedef struct ws_timer_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Starts a timer.                                                               [any thread]
     *
     * delay_ms: until the first call, which is never early and up to 10 ms late.
     * period_ms: between further calls; 0 for just one.
     * run: called with data while the connection is open. [conn]
     * done: called once with data when the timer has ended, however; may be NULL. [a server thread]
     * timer: gets its number.
     * Returns WS_OK, WS_GONE, WS_BAD_ARG (a time above 49 days), WS_NO_MEMORY. Unless it is WS_OK,
     * neither run nor done is called.
     */
    ws_result (*start)(const ws_host* host, ws_conn conn, uint64_t delay_ms, uint64_t period_ms,
                       ws_call run, ws_call done, void* data, uint64_t* timer);

    /*
     * Ends a timer; without effect if it has ended.                                 [any thread]
     *
     * On the timer's own thread run is not called any more when this returns; elsewhere it may be
     * running.
     */
    void (*cancel)(const ws_host* host, uint64_t timer);
} ws_timer_1;

/* ---- Calls from elsewhere ------------------------------------------------------------------------- */

#define WS_POST_1 "ws.post/1"

/*
 * Calls on the thread of a connection, from anywhere.
 */
typedef struct ws_post_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Has a function called soon, never before this returns on the same thread.     [any thread]
     *
     * conn: whose thread; 0 for that of the plugin's own timers.
     * run: called once with data if the connection is open by then. [conn]
     * done: called once with data after that, or instead of it; may be NULL. [a server thread]
     * Returns WS_OK, WS_GONE or WS_NO_MEMORY. Unless it is WS_OK, neither is called.
     */
    ws_result (*post)(const ws_host* host, ws_conn conn, ws_call run, ws_call done, void* data);
} ws_post_1;

/* ---- Descriptors ---------------------------------------------------------------------------------- */

#define WS_IO_1 "ws.io/1"

#define WS_READABLE 1u
#define WS_WRITABLE 2u
#define WS_BROKEN 4u /* an error, or the other side is gone; reported unasked */

/*
 * Watches descriptors of the plugin: sockets, pipes, eventfds.
 */
typedef struct ws_io_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Watches a descriptor until unwatch, or the end of the connection (conn 0: of the plugin).
     *                                                                               [any thread]
     *
     * descriptor: the server uses a duplicate, so it may be closed any time.
     * events: of WS_READABLE and WS_WRITABLE.
     * run: called with data and what it is ready for, again as long as it is. [conn]
     * done: called once with data when the watch has ended; may be NULL. [a server thread]
     * watch: gets its number.
     * Returns WS_OK, WS_GONE, WS_BAD_ARG (nothing that can be watched), WS_NO_MEMORY. Unless it is
     * WS_OK, neither run nor done is called.
     */
    ws_result (*watch)(const ws_host* host, ws_conn conn, int32_t descriptor, uint32_t events,
                       void (*run)(void* data, uint32_t events), ws_call done, void* data,
                       uint64_t* watch);

    /*
     * Changes what a watch waits for; without effect if it has ended.               [any thread]
     */
    void (*change)(const ws_host* host, uint64_t watch, uint32_t events);

    /*
     * Ends a watch; without effect if it has ended.                                 [any thread]
     *
     * On the watch's own thread run is not called any more when this returns; elsewhere it may be
     * running.
     */
    void (*unwatch)(const ws_host* host, uint64_t watch);
} ws_io_1;

/* ---- Prepared messages ---------------------------------------------------------------------------- */

#define WS_BUFFER_1 "ws.buffer/1"

/*
 * A message that is encoded once and may be sent to many. Immutable; owned by its references.
 */
typedef struct ws_buffer ws_buffer;

/*
 * Messages for many clients.
 */
typedef struct ws_buffer_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Prepares a message. Returns a buffer with one reference, which belongs to the caller, or NULL
     * without memory, with a wrong type or size, or for text that is not UTF-8.      [any thread]
     */
    ws_buffer* (*make)(const ws_host* host, uint32_t type, const void* bytes, uint64_t n);

    /*
     * Adds a reference.                                                             [any thread]
     */
    void (*retain)(ws_buffer* buffer);

    /*
     * Gives one up; the buffer is freed with the last. NULL is allowed.             [any thread]
     */
    void (*release)(ws_buffer* buffer);

    /*
     * Like ws_host.send, without a copy. The reference stays the caller's. Where compression was
     * agreed on, the message is compressed once for all clients that agreed on the same, except for
     * those with WebSocketDeflateMode Dedicated.                                     [any thread]
     */
    ws_result (*send)(const ws_host* host, ws_conn conn, ws_buffer* buffer, uint32_t flags);
} ws_buffer_1;

/* ---- The request ---------------------------------------------------------------------------------- */

#define WS_REQUEST_1 "ws.request/1"

/* What ws_request_1.text can be asked for. */
#define WS_REQUEST_METHOD 0u /* "GET" */
#define WS_REQUEST_TARGET 1u /* "/chat?name=x", as the client wrote it */
#define WS_REQUEST_PATH 2u   /* "/chat", decoded; what httpd has rewritten it to */
#define WS_REQUEST_QUERY 3u  /* "name=x", not decoded */
#define WS_REQUEST_HOST 4u   /* of the Host header, without the port */
#define WS_REQUEST_USER 5u   /* who httpd has authenticated */
#define WS_REQUEST_AUTH 6u   /* how: "Basic" */
#define WS_REQUEST_CLIENT 7u /* the client's address, as httpd knows it (mod_remoteip) */
#define WS_REQUEST_PEER 8u   /* address of the other end of the TCP connection */
#define WS_REQUEST_SERVER 9u /* address of this end */

/* What ws_request_1.port can be asked for. */
#define WS_PORT_PEER 0u
#define WS_PORT_SERVER 1u

/*
 * The request that opened a connection. All functions: [any thread, one at a time]; what they
 * return lives as long as the ws_request. Where a size is returned through a pointer, the pointer
 * may be NULL.
 */
typedef struct ws_request_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * A part of the request; NULL if there is none.
     *
     * what: one of WS_REQUEST_*.
     */
    const char* (*text)(const ws_request* request, uint32_t what, uint64_t* size);

    /*
     * A port number: WS_PORT_PEER or WS_PORT_SERVER; else 0.
     */
    uint32_t (*port)(const ws_request* request, uint32_t which);

    /*
     * The value of a header, repeated ones joined by ", "; NULL if there is none.
     *
     * name: in any case, n bytes.
     */
    const char* (*header)(const ws_request* request, const char* name, uint64_t n, uint64_t* size);

    /*
     * A variable of the request's environment (SetEnv, SetEnvIf, RewriteRule [E=...]); NULL if there
     * is none. With TLS, in on_upgrade, also what mod_ssl knows, such as SSL_CLIENT_S_DN or
     * SSL_CLIENT_CERT; later only what SSLOptions +StdEnvVars or +ExportCertData has put there.
     */
    const char* (*environment)(const ws_request* request, const char* name, uint64_t n,
                               uint64_t* size);

    /*
     * Calls visit for every header, in the order of the request, until it returns something but 0.
     */
    void (*headers)(const ws_request* request,
                    int32_t (*visit)(void* data, const char* name, uint64_t name_size,
                                     const char* value, uint64_t value_size),
                    void* data);

    /*
     * How many subprotocols the client offered.
     */
    uint64_t (*subprotocol_count)(const ws_request* request);

    /*
     * One of them, the one that the client named first is 0; NULL if there is none.
     */
    const char* (*subprotocol)(const ws_request* request, uint64_t index, uint64_t* size);

    /*
     * Chooses a subprotocol, which has to be one that was offered. In on_upgrade only.
     *
     * Returns WS_OK or WS_BAD_ARG.
     */
    ws_result (*choose_subprotocol)(ws_request* request, const char* name, uint64_t n);

    /*
     * Sets a header of the response, be it a 101 or a refusal. In on_upgrade only.
     *
     * Name and value are copied; one of the same name is replaced. Returns WS_OK or WS_BAD_ARG: a name
     * that is no token, a control character in the value, not in on_upgrade, or a header that the
     * server sets itself: Sec-WebSocket-*, Connection, Content-Length, Keep-Alive, Proxy-Connection,
     * TE, Trailer, Transfer-Encoding, Upgrade.
     */
    ws_result (*set_header)(ws_request* request, const char* name, uint64_t name_size,
                            const char* value, uint64_t value_size);

    /*
     * Sets the body of a refusal. In on_upgrade only.
     *
     * type: its Content-Type. Both are copied. Returns WS_OK, WS_BAD_ARG or WS_NO_MEMORY.
     */
    ws_result (*set_body)(ws_request* request, const char* type, uint64_t type_size,
                          const void* bytes, uint64_t n);
} ws_request_1;

/* ---- Messages in parts ---------------------------------------------------------------------------- */

#define WS_STREAM_1 "ws.stream/1"

/*
 * Sends a message part by part, so that it is never whole in memory.
 */
typedef struct ws_stream_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Sends the next part of a message.                  [any thread, one message at a time]
     *
     * type: WS_TEXT or WS_BINARY, the same for all parts. Text is UTF-8 as a whole; a part may end
     * inside of a character. One that is not is answered with WS_BAD_ARG and not taken.
     * part: WS_FIRST begins the message and WS_LAST ends it.
     * Returns what ws_host.send returns. A part that was not taken is to be sent again before the
     * next one. Messages of other senders wait until the last part; Pings and Pongs do not. A
     * sequence that is none (no WS_FIRST, or two) closes the connection with 1011.
     */
    ws_result (*send)(const ws_host* host, ws_conn conn, uint32_t type, uint32_t part,
                      const void* bytes, uint64_t n);
} ws_stream_1;

/* ---- Flow control --------------------------------------------------------------------------------- */

#define WS_FLOW_1 "ws.flow/1"

/*
 * Stops a client that sends faster than the plugin likes, by TCP's own means.
 */
typedef struct ws_flow_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Reads nothing more from the client.                                           [any thread]
     *
     * Called on the connection's own thread of a WS_NEVER_BLOCKS plugin, no on_message follows;
     * else those may follow that were read already. Nothing is noticed of the client meanwhile but a
     * broken connection. Pauses do not add up. Returns WS_OK or WS_GONE.
     */
    ws_result (*pause)(const ws_host* host, ws_conn conn);

    /*
     * Reads again. Returns WS_OK or WS_GONE.                                        [any thread]
     */
    ws_result (*resume)(const ws_host* host, ws_conn conn);
} ws_flow_1;

/* ---- Figures -------------------------------------------------------------------------------------- */

#define WS_METRICS_1 "ws.metrics/1"

#define WS_COUNTER 0u /* only grows */
#define WS_GAUGE 1u   /* goes up and down */

/*
 * A figure of this process; mod_status shows the sum of all. The server's; valid until stop returns.
 */
typedef struct ws_metric ws_metric;

/*
 * Figures for the administrator.
 */
typedef struct ws_metrics_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * The figure of this name, which begins at 0; the same one for the same name.    [any thread]
     *
     * name: of a-z, 0-9 and _, at most 64 bytes. The plugin's name is put before it.
     * kind: WS_COUNTER or WS_GAUGE.
     * Returns NULL if the name is not allowed or known as the other kind, if there are 1000 already,
     * or without memory.
     */
    ws_metric* (*metric)(const ws_host* host, const char* name, uint64_t n, uint32_t kind);

    /*
     * Adds to it; atomic. NULL is allowed.                                          [any thread]
     */
    void (*add)(ws_metric* metric, int64_t amount);

    /*
     * Sets it; atomic. NULL is allowed.                                             [any thread]
     */
    void (*set)(ws_metric* metric, int64_t value);
} ws_metrics_1;

/* ---- Topics --------------------------------------------------------------------------------------- */

#define WS_TOPIC_1 "ws.topic/1"

/*
 * A function of the plugin that gets a message of a topic, valid during the call.
 */
typedef void (*ws_topic_message)(void* data, uint32_t type, const void* bytes, uint64_t n);

/*
 * One message to all who want it. A topic is a name, 1 to 255 bytes of anything; it exists as long
 * as somebody has subscribed. Topics belong to the virtual host: its plugins share them.
 */
typedef struct ws_topic_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Sends the connection what is published from now on. A second time changes nothing.
     *                                                                               [any thread]
     * Returns WS_OK, WS_GONE, WS_BAD_ARG, WS_NO_MEMORY, or WS_FULL if it has too many.
     */
    ws_result (*subscribe)(const ws_host* host, ws_conn conn, const void* topic, uint64_t n);

    /*
     * Ends that; the end of the connection does, too.                               [any thread]
     *
     * Returns WS_OK, also if it had not subscribed, or WS_BAD_ARG.
     */
    ws_result (*unsubscribe)(const ws_host* host, ws_conn conn, const void* topic, uint64_t n);

    /*
     * Sends a message to all subscribers.                                           [any thread]
     *
     * type: WS_TEXT or WS_BINARY.
     * bytes: copied once. Text has to be UTF-8, else nothing is published: WS_BAD_ARG.
     * except: a connection that is to be left out, or 0.
     * flags: 0.
     * Returns WS_OK, also if there is none; WS_BAD_ARG, WS_TOO_BIG; WS_FULL or WS_NO_MEMORY if some
     * or all subscribers will not get it. Those that are too slow miss the message in any case.
     */
    ws_result (*publish)(const ws_host* host, const void* topic, uint64_t topic_size, uint32_t type,
                         const void* bytes, uint64_t n, ws_conn except, uint32_t flags);

    /*
     * Calls message(data, ...) with what is published from now on, also by the plugin itself, in
     * whatever process: one call after the other, where timers of the plugin run. done(data), unless
     * it is NULL, is called when there will be no more calls: after ignore, or before the plugin is
     * stopped.                                                                      [any thread]
     *
     * listener: set before the first call, to a number that is not 0.
     * Returns WS_OK; else nothing is called: WS_BAD_ARG, WS_GONE when the plugin is ending, WS_FULL
     * when there are too many topics, WS_NO_MEMORY.
     *
     * What waits for a plugin that is slow is bounded (WebSocketTopicBuffer); above, it misses
     * messages. What was published before a connection subscribed has been given to message before
     * what is posted then (ws.post/1, for the plugin) runs.
     */
    ws_result (*listen)(const ws_host* host, const void* topic, uint64_t n,
                        ws_topic_message message, ws_call done, void* data, uint64_t* listener);

    /*
     * Ends that. A call on another thread may still be under way. A number that is not known, or
     * not any more, is ignored.                                                     [any thread]
     */
    void (*ignore)(const ws_host* host, uint64_t listener);
} ws_topic_1;

/* ---- Once for all processes ------------------------------------------------------------------------ */

#define WS_LEADER_1 "ws.leader/1"

/*
 * Each child process has an instance of the plugin. What should be done once is done by the one that
 * leads.
 */
typedef struct ws_leader_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Whether this instance leads, which it does from now on if nobody else does.   [any thread]
     *
     * name: what it leads, 1 to 255 bytes of anything. Names belong to the virtual host, as those of
     * topics do: its plugins share them.
     * Returns WS_OK if it leads; WS_FULL if another instance does, here or in another process, or if
     * 1000 names are led in this process; WS_BAD_ARG; WS_NO_MEMORY.
     *
     * To be asked each time before something is done: cheap, and it never blocks. There are never
     * two. An instance leads until it resigns, has been stopped, or its process ends, in whatever
     * way; then the next one that asks leads. A process that is about to end makes way as soon as an
     * instance asks whose process is not.
     */
    ws_result (*lead)(const ws_host* host, const void* name, uint64_t n);

    /*
     * Gives it up; without effect if it does not lead.                              [any thread]
     */
    void (*resign)(const ws_host* host, const void* name, uint64_t n);
} ws_leader_1;

/* ---- The layout, checked where pointers have 64 bits and the compiler can ---------------------- */

#if defined(__LP64__) || defined(_LP64)
#if defined(__cplusplus) && __cplusplus >= 201103L
#define WS_LAYOUT_(condition) static_assert(condition, #condition)
#elif !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define WS_LAYOUT_(condition) _Static_assert(condition, #condition)
#endif
#endif

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_timer_1, start) == 8 && offsetof(ws_timer_1, cancel) == 16);
WS_LAYOUT_(offsetof(ws_post_1, post) == 8);
WS_LAYOUT_(offsetof(ws_io_1, watch) == 8 && offsetof(ws_io_1, change) == 16);
WS_LAYOUT_(offsetof(ws_io_1, unwatch) == 24);
WS_LAYOUT_(offsetof(ws_buffer_1, make) == 8 && offsetof(ws_buffer_1, retain) == 16);
WS_LAYOUT_(offsetof(ws_buffer_1, release) == 24 && offsetof(ws_buffer_1, send) == 32);
WS_LAYOUT_(offsetof(ws_request_1, text) == 8 && offsetof(ws_request_1, port) == 16);
WS_LAYOUT_(offsetof(ws_request_1, header) == 24 && offsetof(ws_request_1, environment) == 32);
WS_LAYOUT_(offsetof(ws_request_1, headers) == 40);
WS_LAYOUT_(offsetof(ws_request_1, subprotocol_count) == 48);
WS_LAYOUT_(offsetof(ws_request_1, subprotocol) == 56);
WS_LAYOUT_(offsetof(ws_request_1, choose_subprotocol) == 64);
WS_LAYOUT_(offsetof(ws_request_1, set_header) == 72 && offsetof(ws_request_1, set_body) == 80);
WS_LAYOUT_(offsetof(ws_stream_1, send) == 8);
WS_LAYOUT_(offsetof(ws_flow_1, pause) == 8 && offsetof(ws_flow_1, resume) == 16);
WS_LAYOUT_(offsetof(ws_metrics_1, metric) == 8 && offsetof(ws_metrics_1, add) == 16);
WS_LAYOUT_(offsetof(ws_metrics_1, set) == 24);
WS_LAYOUT_(offsetof(ws_topic_1, subscribe) == 8 && offsetof(ws_topic_1, unsubscribe) == 16);
WS_LAYOUT_(offsetof(ws_topic_1, publish) == 24 && offsetof(ws_topic_1, listen) == 32);
WS_LAYOUT_(offsetof(ws_topic_1, ignore) == 40);
WS_LAYOUT_(offsetof(ws_leader_1, lead) == 8 && offsetof(ws_leader_1, resign) == 16);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXTENSIONS_H_ */
