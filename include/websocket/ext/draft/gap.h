/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Gaps in topics: a draft of an extension, to be asked for with WS_GAP_DRAFT_1. Drafts may change or go with any version
 * of the server, under another name; so websocket/extensions.h does not include them. What it says of extensions holds
 * for this one, too.
 */

#if !defined(WEBSOCKET_EXT_DRAFT_GAP_H_)
#define WEBSOCKET_EXT_DRAFT_GAP_H_

#include "../topic.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WS_GAP_DRAFT_1 "ws.gap/draft1"

/* Why messages may be missing. Later versions may have more. */
#define WS_GAP_RECONNECTED 1u  /* the connection between this host and the broker is a new one */
#define WS_GAP_HOLE 2u         /* another host has published more than came here */
#define WS_GAP_HOST_DROPPED 3u /* another host could not publish all */
#define WS_GAP_BUSY 4u         /* too much waited on the way between processes of this host */

/*
 * A function of the plugin that is told of a gap. topic is valid during the call, and NULL with n = 0 if it is one of all
 * topics. why: WS_GAP_RECONNECTED and so on.
 */
typedef void (*ws_gap)(void* data, const void* topic, uint64_t n, uint32_t why);

/*
 * Messages of the topics of ws.topic/1 that were published in another process, of this host or of another one, may not
 * have come here. Nobody knows whether they were for this process at all: a gap says "perhaps", and no gap says "nothing
 * was lost on the way". Whoever keeps a state that messages change loads it anew.
 *
 * At most one gap a second is told of each topic, and one of all topics; the last one is always told. It comes when
 * messages come again, so behind some of those that were published after what is missing. What one client, event
 * loop or listener of this process has no room for (WebSocketSendBuffer, WebSocketTopicBuffer) is none: its publisher, the
 * log and counters are told.
 */
typedef struct ws_gap_draft_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Calls gap(data, ...) for gaps of this topic from now on, and for those of all topics; of a topic only while
     * somebody in this process subscribes or listens to it. One call after the other, where timers of the plugin run.
     *                                                                                   [any thread]
     * topic: NULL with n = 0 for all topics of the virtual host.
     * done, listener, and what is returned: as of ws_topic_1.listen; so is ignore, which ends it.
     */
    ws_result (*watch)(const ws_host* host, const void* topic, uint64_t n, ws_gap gap, ws_call done,
                       void* data, uint64_t* listener);
} ws_gap_draft_1;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_gap_draft_1, watch) == 8);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_DRAFT_GAP_H_ */
