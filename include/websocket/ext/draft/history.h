/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Topics that remember: a draft of an extension, to be asked for with WS_HISTORY_DRAFT_1. Drafts may change or go
 * with any version of the server, under another name; so websocket/extensions.h does not include them. What it says of
 * extensions holds for this one, too. The server has it where a WebSocketHistory is configured.
 */

#if !defined(WEBSOCKET_EXT_DRAFT_HISTORY_H_)
#define WEBSOCKET_EXT_DRAFT_HISTORY_H_

#include "../topic.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WS_HISTORY_DRAFT_1 "ws.history/draft1"

/*
 * Where a message stands in its topic. The offset grows by one with each message of an epoch; between epochs nothing can
 * be said: the memory has forgotten what was before. An epoch is never 0; before the first message, the offset is.
 */
typedef struct ws_position {
    uint64_t epoch;
    uint64_t offset;
} ws_position;

/*
 * A function of the plugin that gets a message of a topic with its position, valid during the call.
 */
typedef void (*ws_history_message)(void* data, uint32_t type, const void* bytes, uint64_t n,
                                   const ws_position* position);

/*
 * The topics of ws.topic/1, as far as WebSocketHistory keeps what is published to them, whoever does it and by whatever
 * function. All who get messages of such a topic get them in the order of their positions.
 *
 * Who comes back with the position of the last message that it has seen recovers, or not: "not recovered" is a normal
 * answer. Then messages may be missing, and the client has to load its state anew.
 */
typedef struct ws_history_draft_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Whether the topic has a history. Returns 1 or 0.                              [any thread]
     */
    uint32_t (*keeps)(const ws_host* host, const void* topic, uint64_t n);

    /*
     * Subscribes the connection as ws_topic_1.subscribe does, and sends it first what was published since a position:
     * all of it, in order, and nothing twice. It gets messages as they were published; on an event stream each has its
     * position as its id, "EPOCH-OFFSET" in decimal digits, unless its publisher gave another one.      [any thread]
     *
     * since: the last message that the client has; NULL for none, which recovers nothing.
     * now: unless it is NULL, set to the position behind which the next message is.
     * recovered: unless it is NULL, set to 1, or to 0: the position is of another epoch or from the future, not all of
     * what was missed is left, or it does not fit WebSocketSendBuffer; then nothing of it was sent. Of a connection that had
     * subscribed already, whether it can say so of `since`, and nothing is sent again.
     * Returns what ws_topic_1.subscribe does; WS_BAD_ARG also for a topic without history.
     */
    ws_result (*subscribe)(const ws_host* host, ws_conn conn, const void* topic, uint64_t n,
                           const ws_position* since, ws_position* now, uint32_t* recovered);

    /*
     * Publishes as ws_topic_1.publish does, and tells where the message stands.          [any thread]
     *
     * position: set if it was kept; to zeros where a broker gives the positions of all hosts, which it does later.
     */
    ws_result (*publish)(const ws_host* host, const void* topic, uint64_t topic_size, uint32_t type,
                         const void* bytes, uint64_t n, ws_conn except, ws_position* position);

    /*
     * Calls message(data, ...) for what is kept, in order, before it returns.               [any thread]
     *
     * since: those behind this position; none, and recovered is 0, if it is of another epoch, from the future, or not all
     * of them are left. NULL: the last ones.
     * until: no larger offsets; UINT64_MAX for all.
     * most: no more messages: the first ones behind `since`, else the last ones.
     * now: unless it is NULL, set to the position of the last message, whether it was asked for or not. Listeners of
     * this process that listened before have been given everything up to it: what is posted then (ws.post/1) runs behind
     * that.
     * recovered: unless it is NULL, set to whether nothing behind `since` is missing.
     * Returns WS_OK, WS_NO_MEMORY; WS_BAD_ARG also for a topic without history.
     */
    ws_result (*read)(const ws_host* host, const void* topic, uint64_t n, const ws_position* since,
                      uint64_t until, uint32_t most, ws_history_message message, void* data,
                      ws_position* now, uint32_t* recovered);

    /*
     * As ws_topic_1.listen, which has the numbers of its listeners, with positions: an offset that is not the last one
     * and one more says that messages are missing. Of a topic without history, positions are NULL. [any thread]
     */
    ws_result (*listen)(const ws_host* host, const void* topic, uint64_t n,
                        ws_history_message message, ws_call done, void* data, uint64_t* listener);
} ws_history_draft_1;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(sizeof(ws_position) == 16 && offsetof(ws_position, offset) == 8);
WS_LAYOUT_(offsetof(ws_history_draft_1, keeps) == 8 &&
           offsetof(ws_history_draft_1, subscribe) == 16);
WS_LAYOUT_(offsetof(ws_history_draft_1, publish) == 24 && offsetof(ws_history_draft_1, read) == 32);
WS_LAYOUT_(offsetof(ws_history_draft_1, listen) == 40);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_DRAFT_HISTORY_H_ */
