/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The plugin interface of mod_websocket, version 1.
 *
 * A plugin is a shared object that exports one initialization function. The server configuration
 * names both, and gives the plugin its options:
 *
 *     <Location "/chat">
 *         SetHandler websocket-handler
 *         WebSocketHandler modules/chat.so chat_init
 *         WebSocketOption history 50
 *     </Location>
 *
 * The initialization function is that of version 0 (WS_Init in websocket_plugin.h). It returns the
 * address of a ws_plugin, which begins like a WebSocketPlugin; so servers that know version 0 only
 * refuse it with "unsupported plugin version 1". websocket/plugin.hpp makes all of this a C++ class.
 *
 * Threads. Every function below carries one of these tags:
 *
 *     [config]        while httpd reads its configuration, or shuts down; one thread, no client
 *     [httpd worker]  the thread that runs the opening handshake of this client; may block
 *     [conn]          the connection's thread: calls for one connection never overlap and keep
 *                     their order. With WS_NEVER_BLOCKS it is the event loop that serves this
 *                     connection and many others, and must not block. With WS_POOL it is a thread
 *                     of the plugin pool, not always the same, and may block.
 *     [any thread]    any of these and any thread that the plugin started itself
 *
 * Life of a connection:
 *
 *     on_upgrade --> 101 is sent --> on_open --> on_message, on_pong, ... --> on_close
 *
 * Each on_upgrade that accepts is followed by exactly one on_close, whatever goes wrong. on_open
 * comes exactly once in between, unless the connection ended before it could be served.
 *
 * Ownership. A pointer that a function gets is borrowed: it is valid until the function returns,
 * unless its comment says more. Nobody frees what the other side has allocated. Strings are UTF-8 or
 * what came from the network, with a length in bytes; those from the server have a NUL behind them,
 * which the length does not count.
 *
 * Growth. A structure begins with its size as its maker knows it. Later minor versions append
 * members and add extensions; nothing is changed or removed. A plugin must not use a member that
 * lies beyond the size it was given; the server does not look beyond the plugin's.
 *
 * No C++ exception may leave a plugin function.
 */

#if !defined(WEBSOCKET_PLUGIN_H_)
#define WEBSOCKET_PLUGIN_H_

#include <stddef.h>
#include <stdint.h>

#include "websocket_plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WEBSOCKET_PLUGIN_VERSION_1 1

/*
 * Counts what was appended to version 1: 1 are the listeners of ws.topic/1 and WS_UNCOMPRESSED, 2 is
 * ws.leader/1, 3 are on_http, ws.http/1 and WS_REQUEST_BELOW, 4 is ws.drain/1.
 */
#define WS_ABI_MINOR 4

/* ---- Values ----------------------------------------------------------------------------------- */

/*
 * Names a connection indefinitely: once it has ended, every function answers WS_GONE for this number. 0
 * names none.
 */
typedef uint64_t ws_conn;

/*
 * What most functions return. Below 0 nothing was done.
 */
typedef int32_t ws_result;

#define WS_OK 0         /* done */
#define WS_QUEUED 1     /* done, but much is waiting for this client: on_writable tells when not */
#define WS_FULL (-1)    /* too much is waiting for this client; on_writable tells when not */
#define WS_GONE (-2)    /* the connection is closing or has ended */
#define WS_TOO_BIG (-3) /* larger than can ever be sent */
#define WS_BAD_ARG (-4) /* an argument is not allowed, or not at this time */
#define WS_NO_MEMORY (-5) /* out of memory, descriptors or threads */

/* Types of messages. */
#define WS_TEXT 1u   /* UTF-8 */
#define WS_BINARY 2u /* anything */
#define WS_PING 9u   /* anything, at most 125 bytes; for sending only */
#define WS_PONG 10u  /* the same */

/* Flags of ws_host.send and ws_buffer_1.send. */
#define WS_UNCOMPRESSED 1u /* also where compression was agreed on: see ws_host.send */

/* Parts of a message, for on_fragment and ws_stream_1. A message in one part is both. */
#define WS_FIRST 1u
#define WS_LAST 2u

/* Levels of ws_host.log. */
#define WS_LOG_ERROR 0u
#define WS_LOG_WARNING 1u
#define WS_LOG_INFO 2u
#define WS_LOG_DEBUG 3u

/* Flags of ws_plugin; exactly one of the first two has to be there. */
#define WS_NEVER_BLOCKS 1u    /* callbacks run on the event loop */
#define WS_POOL 2u            /* callbacks run in a pool of threads and may block */
#define WS_WANTS_FRAGMENTS 4u /* on_fragment instead of on_message: messages larger than memory */
#define WS_KEEP_REQUEST 8u    /* the ws_request of on_upgrade stays valid until on_close returns */

/* Who closed first. */
#define WS_BY_PEER 1u
#define WS_BY_SERVER 2u /* the plugin, or the server itself */

/*
 * One WebSocketOption of the configuration, after all sections were merged: each name once. Owned by
 * the server; of check valid until it returns, of start until stop returns.
 */
typedef struct ws_option {
    const char* name; /* as written; the case counts */
    uint64_t name_size;
    const char* value;
    uint64_t value_size;
} ws_option;

/*
 * How a connection ended.
 */
typedef struct ws_close_info {
    uint32_t size;
    uint32_t code;      /* of the Close; 1005 if it had none, 1006 if there was no Close at all */
    uint32_t who;       /* WS_BY_PEER or WS_BY_SERVER */
    uint32_t clean;     /* 1 if the peer has sent its Close, so both sides agree; else 0 */
    const char* reason; /* of that Close, valid UTF-8; never NULL */
    uint64_t reason_size;
} ws_close_info;

/*
 * An HTTP request; see ws_request_1. That of an opening handshake is valid until on_upgrade returns,
 * or with WS_KEEP_REQUEST until on_close returns; another one until on_http returns.
 */
typedef struct ws_request ws_request;

/*
 * A function of the plugin that the server is to call, with the pointer that came along.
 */
typedef void (*ws_call)(void* data);

/* ---- What the server offers ------------------------------------------------------------------- */

typedef struct ws_host ws_host;

/*
 * The server, as one plugin in one location sees it. Owned by the server, read-only; valid from
 * start until stop returns.
 */
struct ws_host {
    uint32_t size;
    uint32_t minor;      /* WS_ABI_MINOR of the server */
    const char* name;    /* "mod_websocket" */
    const char* version; /* of the server, such as "1.0.0" */

    /*
     * Sends one message. Never blocks.                                              [any thread]
     *
     * type: WS_TEXT (which has to be UTF-8), WS_BINARY, WS_PING or WS_PONG.
     * bytes: copied before the function returns; may be NULL if n is 0.
     * flags: 0, or WS_UNCOMPRESSED for what is compressed already, and for secrets that stand beside
     * text of somebody else: the length of a compressed message says something of what is in it.
     * Returns WS_OK; WS_QUEUED when taken, but more than half of WebSocketSendBuffer is waiting;
     * WS_FULL when not taken because all of it is (with WebSocketSlowConsumer Close the connection
     * is then closed, too); WS_GONE; WS_TOO_BIG from 256 MiB on, and above 125 bytes for Ping and
     * Pong; WS_BAD_ARG, also for text that is not UTF-8; WS_NO_MEMORY. After WS_QUEUED and WS_FULL,
     * on_writable is called once less is waiting. Messages of one thread keep their order.
     * Before on_open nothing can be sent: WS_GONE.
     */
    ws_result (*send)(const ws_host* host, ws_conn conn, uint32_t type, const void* bytes,
                      uint64_t n, uint32_t flags);

    /*
     * Starts the closing handshake behind what is queued. Does not wait for it.     [any thread]
     *
     * code: 0 for none, else 1000 to 4999 except 1005, 1006 and 1015.
     * reason: UTF-8, cut at 123 bytes; may be NULL if n is 0.
     * Returns WS_OK, WS_GONE when the connection is closing or has ended, WS_BAD_ARG.
     * on_message may still be called until the client has answered.
     */
    ws_result (*close)(const ws_host* host, ws_conn conn, uint32_t code, const char* reason,
                       uint64_t n);

    /*
     * How much is waiting for a client.                                             [any thread]
     *
     * bytes: gets the number of bytes, headers included.
     * Returns WS_OK or WS_GONE.
     */
    ws_result (*queued)(const ws_host* host, ws_conn conn, uint64_t* bytes);

    /*
     * Writes a line to httpd's error log; control characters are replaced.          [any thread]
     *
     * level: one of WS_LOG_*; the administrator's LogLevel decides what is written.
     */
    void (*log)(const ws_host* host, uint32_t level, const char* text, uint64_t n);

    /*
     * The function table of an extension.                                           [any thread]
     *
     * name: NUL-terminated, with its version, for instance WS_TIMER_1.
     * Returns a table that is valid as long as the host, or NULL if the server does not have it.
     */
    const void* (*extension)(const ws_host* host, const char* name);
};

/* ---- What the plugin offers ------------------------------------------------------------------- */

/*
 * The description of a plugin. Owned by the plugin; the server copies it when the initialization
 * function returns. Callbacks may be NULL unless they are called required.
 *
 * self is what start has made, state what on_upgrade has made for this connection.
 */
typedef struct ws_plugin {
    WebSocketPlugin base; /* size = sizeof(ws_plugin), version = 1, destroy; the others NULL */

    uint32_t flags;             /* of WS_NEVER_BLOCKS and so on */
    uint32_t minor;             /* WS_ABI_MINOR that the plugin was compiled with */
    const char* name;           /* NUL-terminated, for log lines and the status page; required */
    const char* plugin_version; /* NUL-terminated */

    /*
     * Whether the options are right.                                                    [config]
     *
     * Called when httpd has read its configuration, also by httpd -t.
     * error: gets a sentence that says what is wrong, at most error_size bytes with the NUL.
     * Returns 0 if they are right; anything else stops httpd, which shows the sentence.
     */
    int32_t (*check)(const ws_option* options, uint64_t n, char* error, uint64_t error_size);

    /*
     * Once in each child process for each location, before its first client.      [httpd worker]
     *
     * May block and may start threads.
     * host: valid until stop returns.
     * self: gets any pointer; the other callbacks get it.
     * Returns WS_OK; anything else refuses the client with 500, and the next one tries again.
     */
    ws_result (*start)(const ws_host* host, const ws_option* options, uint64_t n, void** self);

    /*
     * Undoes start, when the child process ends.      [a thread of the server; nothing else runs]
     *
     * Every on_close has returned, every timer and watch has ended. Threads of the plugin have to be
     * joined here. Not called when a callback never returns: the process ends without it.
     */
    void (*stop)(void* self);

    /*
     * A client asks for a connection.                                             [httpd worker]
     *
     * The request has passed the checks of the WebSocket protocol, of the origin and of httpd's
     * access control.
     * conn: the connection to be; it can be remembered, but nothing can be sent before on_open.
     * state: gets any pointer; the callbacks of this connection get it.
     * Returns 0 to accept, or the HTTP status to refuse with, 300 to 599. Headers and a body for
     * either can be given with ws_request_1. NULL accepts everybody.
     */
    uint32_t (*on_upgrade)(void* self, ws_request* request, ws_conn conn, void** state);

    /*
     * The connection is open: sends go out from now on.                                   [conn]
     */
    void (*on_open)(void* self, void* state, ws_conn conn);

    /*
     * A whole message arrived. Required without WS_WANTS_FRAGMENTS.                       [conn]
     *
     * type: WS_TEXT (valid UTF-8) or WS_BINARY.
     * bytes: may be modified; never NULL; no NUL behind them.
     */
    void (*on_message)(void* self, void* state, ws_conn conn, uint32_t type, uint8_t* bytes,
                       uint64_t n);

    /*
     * A part of a message arrived. Required with WS_WANTS_FRAGMENTS.                      [conn]
     *
     * Parts are what has come so far, not the frames of the client. WebSocketMaxMessageSize limits
     * the sum of a message's parts.
     * type: the same for all parts. Text is valid UTF-8 as a whole; a part may end inside a
     * character.
     * part: of WS_FIRST and WS_LAST. The last one may be empty.
     */
    void (*on_fragment)(void* self, void* state, ws_conn conn, uint32_t type, uint32_t part,
                        uint8_t* bytes, uint64_t n);

    /*
     * A Pong arrived, an answer to a Ping of the plugin or of the server.                 [conn]
     */
    void (*on_pong)(void* self, void* state, ws_conn conn, const uint8_t* bytes, uint64_t n);

    /*
     * After WS_QUEUED or WS_FULL: at most half of WebSocketSendBuffer is waiting now.     [conn]
     */
    void (*on_writable)(void* self, void* state, ws_conn conn);

    /*
     * The connection is over. Last call for it.                                           [conn]
     *
     * Functions answer WS_GONE by now. Free what state stands for. On an httpd worker if the
     * connection was never opened.
     */
    void (*on_close)(void* self, void* state, ws_conn conn, const ws_close_info* info);

    /*
     * The child process is about to end: clients should be told to come back elsewhere.
     *                                                 [any thread, beside all other callbacks]
     *
     * deadline_ms: what is left until the server closes the connections itself.
     */
    void (*on_drain)(void* self, uint64_t deadline_ms);

    /*
     * A request for the section that is no opening handshake, of any method: since minor version 3.
     *                                             [httpd worker, beside all other callbacks]
     *
     * It has passed httpd's access control, but not the check of the origin. May block, also with
     * WS_NEVER_BLOCKS; several may run at the same time.
     * request: see ws_request_1 for what it says and for headers and body of the response, ws_http_1
     * for its own body.
     * Returns the status of the response, 200 to 599. From 300 on, without a body, httpd adds its own
     * page, or an ErrorDocument. Or returns 0: it is answered as if on_http were NULL, which says that
     * this is a WebSocket endpoint, with 426, or 405 for methods other than GET, HEAD and OPTIONS.
     */
    uint32_t (*on_http)(void* self, ws_request* request);
} ws_plugin;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(sizeof(ws_option) == 32);
WS_LAYOUT_(sizeof(ws_close_info) == 32);
WS_LAYOUT_(offsetof(ws_close_info, reason) == 16);
WS_LAYOUT_(offsetof(ws_host, name) == 8);
WS_LAYOUT_(offsetof(ws_host, version) == 16);
WS_LAYOUT_(offsetof(ws_host, send) == 24);
WS_LAYOUT_(offsetof(ws_host, close) == 32);
WS_LAYOUT_(offsetof(ws_host, queued) == 40);
WS_LAYOUT_(offsetof(ws_host, log) == 48);
WS_LAYOUT_(offsetof(ws_host, extension) == 56);
WS_LAYOUT_(sizeof(ws_host) >= 64);
WS_LAYOUT_(offsetof(ws_plugin, flags) == 40);
WS_LAYOUT_(offsetof(ws_plugin, minor) == 44);
WS_LAYOUT_(offsetof(ws_plugin, name) == 48);
WS_LAYOUT_(offsetof(ws_plugin, plugin_version) == 56);
WS_LAYOUT_(offsetof(ws_plugin, check) == 64);
WS_LAYOUT_(offsetof(ws_plugin, start) == 72);
WS_LAYOUT_(offsetof(ws_plugin, stop) == 80);
WS_LAYOUT_(offsetof(ws_plugin, on_upgrade) == 88);
WS_LAYOUT_(offsetof(ws_plugin, on_open) == 96);
WS_LAYOUT_(offsetof(ws_plugin, on_message) == 104);
WS_LAYOUT_(offsetof(ws_plugin, on_fragment) == 112);
WS_LAYOUT_(offsetof(ws_plugin, on_pong) == 120);
WS_LAYOUT_(offsetof(ws_plugin, on_writable) == 128);
WS_LAYOUT_(offsetof(ws_plugin, on_close) == 136);
WS_LAYOUT_(offsetof(ws_plugin, on_drain) == 144);
WS_LAYOUT_(offsetof(ws_plugin, on_http) == 152);
WS_LAYOUT_(sizeof(ws_plugin) >= 160);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_PLUGIN_H_ */
