/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The plugin interface of mod_websocket, version 0.
 *
 * A plugin is a shared object that exports one initialization function. The server configuration
 * names both:
 *
 *     <Location "/echo">
 *         SetHandler websocket-handler
 *         WebSocketHandler modules/mod_websocket_echo.so echo_init
 *     </Location>
 *
 * This interface is frozen: names, order of members, types, values and meaning stay as they are, so
 * plugins compiled years ago load and work, and a plugin compiled today loads into old servers.
 * examples/mod_websocket_echo.c is a complete plugin.
 *
 * Threads. Every function below carries one of these tags:
 *
 *     [config]        while httpd reads its configuration, or shuts down; one thread, no client
 *     [httpd worker]  the thread that runs the opening handshake of this client
 *     [pool]          a thread of the plugin pool; calls for one client never overlap and keep
 *                     their order, calls for different clients run in parallel; may block
 *     [loop]          instead of [pool] where the location says "WebSocketDispatch Inline": the
 *                     event loop that serves this client and many others; must not block
 *     [any thread]    any of these and any thread that the plugin started itself
 *
 * Life of one client:
 *
 *     on_connect --> 101 is sent --> on_message, as often as messages arrive --> on_disconnect
 *
 * The server pointer that on_connect gets identifies the client. It is valid, and differs from that
 * of every other client, until on_disconnect returns. A plugin that uses it in threads of its own
 * has to stop these threads, or at least their use of the pointer, before it returns from
 * on_disconnect.
 *
 * No C++ exception may leave a plugin function.
 */

#if !defined(_MOD_WEBSOCKET_H_)
#define _MOD_WEBSOCKET_H_

#include <stddef.h>
#include <stdlib.h>

#if defined(__cplusplus)
extern "C" {
#endif

/*
 * EXPORT marks the initialization function, so that it can be found when everything else is
 * compiled with -fvisibility=hidden. CALLBACK is the calling convention of every function that
 * crosses the interface.
 */
#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#define CALLBACK __stdcall
#else
#if defined(__GNUC__)
#define EXPORT __attribute__((visibility("default")))
#else
#define EXPORT
#endif
#define CALLBACK
#endif

/* Types of messages. on_message sees TEXT and BINARY only; WS_Send takes all but INVALID. */
#define MESSAGE_TYPE_INVALID -1
#define MESSAGE_TYPE_TEXT 0
#define MESSAGE_TYPE_BINARY 128
#define MESSAGE_TYPE_CLOSE 255
#define MESSAGE_TYPE_PING 256
#define MESSAGE_TYPE_PONG 257

/* ---- What the server offers to the plugin ---------------------------------------------------- */

struct _WebSocketServer;

/*
 * The HTTP request that opened the connection.                                       [any thread]
 *
 * Returns a request_rec of httpd (include httpd.h to look into it). It is a copy that lives as long
 * as the connection: it and all it points to are valid until on_disconnect returns. Its pool may be
 * used for allocations and for cleanups, which run after on_disconnect. Neither the record nor its
 * pool is locked: only one thread at a time may use them. What on_connect writes into its output
 * headers goes out with the 101; what is written later has no effect.
 */
typedef struct request_rec*(CALLBACK* WS_Request)(const struct _WebSocketServer* server);

/*
 * The value of a header of the request.                                              [any thread]
 *
 * key: name of the header in any case, NUL-terminated.
 * Returns a NUL-terminated string that is valid until on_disconnect returns, or NULL if the request
 * has no such header.
 */
typedef const char*(CALLBACK* WS_Header_Get)(const struct _WebSocketServer* server,
                                             const char* key);

/*
 * Sets a header of the response.                                      [httpd worker], in on_connect
 *
 * key, value: NUL-terminated; both are copied. A header of this name that was set before is
 * replaced. What is no header (a key that is no token, a control character in the value), or one that
 * the server sets itself (Sec-WebSocket-*, Connection, Content-Length, ...), is left out, with a line
 * in the error log. Has no effect after on_connect has returned, or if on_connect refuses.
 */
typedef void(CALLBACK* WS_Header_Set)(const struct _WebSocketServer* server, const char* key,
                                      const char* value);

/*
 * How many subprotocols the client offered; 0 if it offered none.                    [any thread]
 */
typedef size_t(CALLBACK* WS_Protocol_Count)(const struct _WebSocketServer* server);

/*
 * One of the subprotocols that the client offered.                                   [any thread]
 *
 * index: 0 is the one that the client named first.
 * Returns a NUL-terminated string that is valid until on_disconnect returns, or NULL if index is
 * not below WS_Protocol_Count.
 */
typedef const char*(CALLBACK* WS_Protocol_Index)(const struct _WebSocketServer* server,
                                                 const size_t index);

/*
 * Chooses the subprotocol; without it none is chosen.                 [httpd worker], in on_connect
 *
 * protocol: NUL-terminated; it is copied. It has to be one that the client offered, else clients
 * would fail the connection: it is left out, with a line in the error log. Has no effect after
 * on_connect has returned.
 */
typedef void(CALLBACK* WS_Protocol_Set)(const struct _WebSocketServer* server,
                                        const char* protocol);

/*
 * Sends one message to the client.                                                   [any thread]
 *
 * type: MESSAGE_TYPE_TEXT    buffer is UTF-8; text that is not is not taken
 *       MESSAGE_TYPE_BINARY  buffer is anything
 *       MESSAGE_TYPE_PING, MESSAGE_TYPE_PONG
 *                            buffer is anything, at most 125 bytes
 *       MESSAGE_TYPE_CLOSE   buffer is empty or a status code, two bytes, the high one first, and
 *                            after it a reason in UTF-8 of at most 123 bytes; nothing can be sent
 *                            after it
 *       any other value      like MESSAGE_TYPE_CLOSE
 * buffer: copied before the function returns; may be NULL if buffer_size is 0.
 * buffer_size: bytes.
 *
 * Returns the number of payload bytes taken, which is always all of them, or 0 if the message was
 * not taken: the connection is closing or gone, the payload of a control message is too long, or a
 * text is not UTF-8. An empty message returns 0 as well, taken or not.
 *
 * Messages of one thread arrive in the order they were sent, and each in one piece whatever other
 * threads send.
 *
 * While more than WebSocketSendBuffer bytes wait for the client, the call blocks until it has read
 * enough of them (WebSocketSlowConsumer Block, the default; Drop gives up this message and Close
 * the connection, and both return 0). The death of the connection ends the wait at once. On the
 * event loop, that is in on_message and on_disconnect with WebSocketDispatch Inline, it never
 * blocks.
 *
 * Before the 101 is out: a call from the thread that runs on_connect is queued and follows the 101;
 * a call from another thread waits until the 101 is out, and returns 0 if on_connect refuses. So
 * on_connect must not wait for a thread that sends.
 */
typedef size_t(CALLBACK* WS_Send)(const struct _WebSocketServer* server, const int type,
                                  const unsigned char* buffer, const size_t buffer_size);

/*
 * Starts the closing handshake with a Close that carries no status: the client sees 1005.
 * To give a status, send a MESSAGE_TYPE_CLOSE instead.                               [any thread]
 *
 * Does not wait for the client. Every WS_Send afterwards returns 0; on_message may still be called
 * with what the client sends before it answers. A second call does nothing.
 */
typedef void(CALLBACK* WS_Close)(const struct _WebSocketServer* server);

#define WEBSOCKET_SERVER_VERSION_1 1

/*
 * One client, as the server presents it to the plugin. Owned by the server, which fills in all
 * members; read-only for the plugin.
 */
typedef struct _WebSocketServer {
    unsigned int size;             /* bytes of this structure as the server knows it */
    unsigned int version;          /* WEBSOCKET_SERVER_VERSION_1 */
    struct _WebSocketState* state; /* the server's own; opaque */
    WS_Request request;
    WS_Header_Get header_get;
    WS_Header_Set header_set;
    WS_Protocol_Count protocol_count;
    WS_Protocol_Index protocol_index;
    WS_Protocol_Set protocol_set;
    WS_Send send;
    WS_Close close;
} WebSocketServer;

/* ---- What the plugin offers to the server ---------------------------------------------------- */

struct _WebSocketPlugin;

/*
 * The initialization function, exported under the name that WebSocketHandler gives.       [config]
 *
 * Called once per WebSocketHandler directive each time httpd reads its configuration (which it does
 * twice when it starts). Start no threads here: the process that serves clients is a fork of this
 * one.
 * Returns the description of the plugin, owned by the plugin and valid until destroy returns, or
 * NULL, which stops httpd with a configuration error.
 */
typedef struct _WebSocketPlugin*(CALLBACK* WS_Init)(void);

/*
 * Undoes the initialization function.                                                     [config]
 *
 * Called once per call of the initialization function, when the configuration is discarded and no
 * client is left. The shared object is unloaded afterwards: no thread of the plugin may be running.
 */
typedef void(CALLBACK* WS_Destroy)(struct _WebSocketPlugin* plugin);

/*
 * A client asks for a connection.                                                    [httpd worker]
 *
 * The request has passed the checks of the WebSocket protocol, of the origin and of httpd's access
 * control; the response is not out yet, so headers and subprotocol can be set. May block, which
 * delays this client's handshake and occupies one worker.
 * server: the client; valid until on_disconnect returns, or, if this function refuses, until it
 * returns.
 * Returns what the other callbacks get as plugin_private: any pointer but NULL, never looked into
 * by the server. NULL refuses: the client gets a 403, headers that were set are dropped, and
 * on_disconnect is not called.
 */
typedef void*(CALLBACK* WS_OnConnect)(const WebSocketServer* server);

/*
 * A whole message arrived.                                                         [pool] or [loop]
 *
 * Messages of one client are handed over one after the other, in order. Pings are answered and
 * fragments joined by the server. A client whose messages are handled slower than they arrive is
 * read from no further once WebSocketReceiveBuffer bytes wait.
 * type: MESSAGE_TYPE_TEXT (valid UTF-8) or MESSAGE_TYPE_BINARY.
 * buffer: the payload; not NUL-terminated; may be modified; gone when the function returns.
 * buffer_size: bytes, at most WebSocketMaxMessageSize; may be 0.
 * Returns a number that the server ignores; by custom the bytes that were used.
 */
typedef size_t(CALLBACK* WS_OnMessage)(void* plugin_private, const WebSocketServer* server,
                                       const int type, unsigned char* buffer,
                                       const size_t buffer_size);

/*
 * The connection is over, whichever side ended it and why ever.                              [pool]
 *
 * Called exactly once for each client that on_connect accepted, after the last on_message. Sends
 * return 0 by now, and those of other threads that were waiting have been woken, so the plugin can
 * join its threads here. Free what plugin_private stands for.
 * server: dies when the function returns.
 */
typedef void(CALLBACK* WS_OnDisconnect)(void* plugin_private, const WebSocketServer* server);

#define WEBSOCKET_PLUGIN_VERSION_0 0

/*
 * The description of a plugin. Owned by the plugin; the server reads it until destroy returns.
 */
typedef struct _WebSocketPlugin {
    unsigned int size;             /* sizeof(WebSocketPlugin) */
    unsigned int version;          /* WEBSOCKET_PLUGIN_VERSION_0 */
    WS_Destroy destroy;            /* may be NULL */
    WS_OnConnect on_connect;       /* may be NULL: accept all, plugin_private is NULL */
    WS_OnMessage on_message;       /* required */
    WS_OnDisconnect on_disconnect; /* may be NULL */
} WebSocketPlugin;

/* ---- The frozen layout, checked where pointers have 64 bits and the compiler can ------------- */

#if defined(__LP64__) || defined(_LP64)
#if defined(__cplusplus) && __cplusplus >= 201103L
#define WEBSOCKET_LAYOUT_(condition) static_assert(condition, #condition)
#elif !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define WEBSOCKET_LAYOUT_(condition) _Static_assert(condition, #condition)
#endif
#endif

#if defined(WEBSOCKET_LAYOUT_)
WEBSOCKET_LAYOUT_(offsetof(WebSocketServer, size) == 0);
WEBSOCKET_LAYOUT_(offsetof(WebSocketServer, version) == 4);
WEBSOCKET_LAYOUT_(offsetof(WebSocketServer, state) == 8);
WEBSOCKET_LAYOUT_(offsetof(WebSocketServer, request) == 16);
WEBSOCKET_LAYOUT_(offsetof(WebSocketServer, header_get) == 24);
WEBSOCKET_LAYOUT_(offsetof(WebSocketServer, header_set) == 32);
WEBSOCKET_LAYOUT_(offsetof(WebSocketServer, protocol_count) == 40);
WEBSOCKET_LAYOUT_(offsetof(WebSocketServer, protocol_index) == 48);
WEBSOCKET_LAYOUT_(offsetof(WebSocketServer, protocol_set) == 56);
WEBSOCKET_LAYOUT_(offsetof(WebSocketServer, send) == 64);
WEBSOCKET_LAYOUT_(offsetof(WebSocketServer, close) == 72);
WEBSOCKET_LAYOUT_(sizeof(WebSocketServer) == 80);
WEBSOCKET_LAYOUT_(offsetof(WebSocketPlugin, size) == 0);
WEBSOCKET_LAYOUT_(offsetof(WebSocketPlugin, version) == 4);
WEBSOCKET_LAYOUT_(offsetof(WebSocketPlugin, destroy) == 8);
WEBSOCKET_LAYOUT_(offsetof(WebSocketPlugin, on_connect) == 16);
WEBSOCKET_LAYOUT_(offsetof(WebSocketPlugin, on_message) == 24);
WEBSOCKET_LAYOUT_(offsetof(WebSocketPlugin, on_disconnect) == 32);
WEBSOCKET_LAYOUT_(sizeof(WebSocketPlugin) == 40);
#undef WEBSOCKET_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* _MOD_WEBSOCKET_H_ */
