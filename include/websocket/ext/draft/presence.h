/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Who is there: a draft of an extension, to be asked for with WS_PRESENCE_DRAFT_1. Drafts may change or go with any
 * version of the server, under another name; so websocket/extensions.h does not include them. What it says of extensions
 * holds for this one, too.
 */

#if !defined(WEBSOCKET_EXT_DRAFT_PRESENCE_H_)
#define WEBSOCKET_EXT_DRAFT_PRESENCE_H_

#include "../topic.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WS_PRESENCE_DRAFT_1 "ws.presence/draft1"

/* What has become of a member. */
#define WS_JOINED 1u
#define WS_LEFT 2u
#define WS_CHANGED 3u /* its info */

/*
 * A function of the plugin that is told of a member: an id of 1 to 255 bytes and an info of up to 4096, valid during the call.
 */
typedef void (*ws_member)(void* data, uint32_t what, const void* id, uint64_t id_size,
                          const void* info, uint64_t info_size);

/*
 * The members of a topic, in all processes of this httpd and, with a WebSocketBroker, in those of all hosts. Topics are
 * those of ws.topic/1, by name; who is present need not subscribe, nor the other way round. Somebody is a member as long
 * as one connection or more stands for it, so two tabs of one user are one member. A connection that ends stands for
 * nobody; nor do those of a process that is killed, or of a host that has been silent for 15 seconds.
 */
typedef struct ws_presence_draft_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * The connection stands for a member of the topic, from now on until it leaves or ends: for one at a time. A second
     * time changes whom, or the info, of which the one that was given last holds.        [any thread]
     *
     * Returns WS_OK, WS_GONE, WS_BAD_ARG, WS_NO_MEMORY; WS_FULL when the connection is in 100 topics, or
     * WebSocketPresenceMemory is full.
     */
    ws_result (*enter)(const ws_host* host, ws_conn conn, const void* topic, uint64_t n,
                       const void* id, uint64_t id_size, const void* info, uint64_t info_size);

    /*
     * Ends that. Returns WS_OK, also if it stood for nobody, or WS_BAD_ARG.              [any thread]
     */
    ws_result (*leave)(const ws_host* host, ws_conn conn, const void* topic, uint64_t n);

    /*
     * Calls member(data, WS_JOINED, ...) for all who are there, by their ids, before it returns, unless it is NULL.
     *                                                                                   [any thread]
     * count: unless it is NULL, set to how many there are.
     * Returns WS_OK, WS_BAD_ARG, WS_NO_MEMORY.
     */
    ws_result (*members)(const ws_host* host, const void* topic, uint64_t n, ws_member member,
                         void* data, uint64_t* count);

    /*
     * Calls member(data, ...) with who is there (WS_JOINED), and from then on with each change, where timers of the plugin
     * run, one call after the other. Who comes and goes in a moment may not be told of at all. Members of a process that
     * is killed have left within seconds. done, listener, and what is returned: as of ws_topic_1.listen; so is
     * ignore, which ends it.                                                             [any thread]
     */
    ws_result (*watch)(const ws_host* host, const void* topic, uint64_t n, ws_member member,
                       ws_call done, void* data, uint64_t* listener);
} ws_presence_draft_1;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_presence_draft_1, enter) == 8 && offsetof(ws_presence_draft_1, leave) == 16);
WS_LAYOUT_(offsetof(ws_presence_draft_1, members) == 24 &&
           offsetof(ws_presence_draft_1, watch) == 32);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_DRAFT_PRESENCE_H_ */
