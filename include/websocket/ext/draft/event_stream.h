/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Event streams (server-sent events): a draft of an extension, to be asked for with
 * WS_EVENT_STREAM_DRAFT_1. Drafts may change or go with any version of the server, under another name; so
 * websocket/extensions.h does not include them. What it says of extensions holds for this one, too.
 */

#if !defined(WEBSOCKET_EXT_DRAFT_EVENT_STREAM_H_)
#define WEBSOCKET_EXT_DRAFT_EVENT_STREAM_H_

#include "../../plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WS_EVENT_STREAM_DRAFT_1 "ws.event_stream/draft1"

/*
 * A client that only listens: the response to its GET goes on for as long as the connection lasts, and each
 * message becomes an event in it. For the plugin it is a connection as any other:
 *
 *     on_http, which calls accept --> on_upgrade --> 200 is sent --> on_open --> on_close
 *
 * No thread of httpd is held. ws_host.send, topics, timers and so on work as for a WebSocket; on_message and
 * on_pong are never called, ws.flow/1 changes nothing, a Ping is a comment. Text becomes data line by line,
 * so that a client gets LF where CR or CRLF was. Bytes become base64, in an event of the type "binary".
 * ws_host.close ends the response. Its code is for logs and on_close: a browser does not see it and comes
 * back, unless on_http answers it with 204 then.
 */
typedef struct ws_event_stream_draft_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Has this request answered with an event stream, if on_http returns 200 then. In on_http only.
     *                                                                         [httpd worker]
     * retry_ms: how long a client shall wait before it comes back when the stream has ended; 0 leaves that
     * to the client. At most a day.
     * Returns WS_OK; WS_BAD_ARG for other methods than GET and HEAD, for a part of another page, and beyond
     * a day.
     *
     * The server refuses with 403 what WebSocketOriginCheck does not trust, and with 429 or 503 what the
     * limits of connections do not allow. Then on_upgrade is called with the same request, and may refuse,
     * too. Headers that either callback has set are those of the response. A HEAD gets them without a
     * stream, and on_upgrade is not called.
     */
    ws_result (*accept)(ws_request* request, uint64_t retry_ms);

    /*
     * Whether it will be, or is, answered with an event stream: in on_http behind accept, in on_upgrade,
     * and as long as the request can be asked. Returns 1 or 0.        [any thread, one at a time]
     */
    uint32_t (*is_stream)(const ws_request* request);

    /*
     * Sends one event; to a WebSocket, the message alone.                               [any thread]
     *
     * type, bytes, n: as of ws_host.send, WS_TEXT or WS_BINARY.
     * name: the event's type, without CR and LF, at most 255 bytes; NULL for "message".
     * id: what the client repeats in Last-Event-ID when it comes back, without CR, LF and NUL, at most 255
     * bytes; NULL for none; an empty one makes it forget the last one.
     * Returns what ws_host.send returns.
     */
    ws_result (*send)(const ws_host* host, ws_conn conn, uint32_t type, const void* bytes,
                      uint64_t n, const char* name, uint64_t name_size, const char* id,
                      uint64_t id_size);

    /*
     * Sends one event to all subscribers of a topic; WebSockets and listeners get the message alone.
     *                                                                                   [any thread]
     * name, id: as of send. The others, and what is returned: as of ws_topic_1.publish.
     */
    ws_result (*publish)(const ws_host* host, const void* topic, uint64_t topic_size, uint32_t type,
                         const void* bytes, uint64_t n, ws_conn except, const char* name,
                         uint64_t name_size, const char* id, uint64_t id_size);
} ws_event_stream_draft_1;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_event_stream_draft_1, accept) == 8);
WS_LAYOUT_(offsetof(ws_event_stream_draft_1, is_stream) == 16);
WS_LAYOUT_(offsetof(ws_event_stream_draft_1, send) == 24);
WS_LAYOUT_(offsetof(ws_event_stream_draft_1, publish) == 32);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_DRAFT_EVENT_STREAM_H_ */
