/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Topics: an extension of plugin interface version 1, to be asked for with WS_TOPIC_1.
 * websocket/extensions.h says what holds for all of them.
 */

#if !defined(WEBSOCKET_EXT_TOPIC_H_)
#define WEBSOCKET_EXT_TOPIC_H_

#include "../plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WS_TOPIC_1 "ws.topic/1"

/*
 * A function of the plugin that gets a message of a topic, valid during the call.
 */
typedef void (*ws_topic_message)(void* data, uint32_t type, const void* bytes, uint64_t n);

/*
 * One message to all who want it. A topic is a name of 1 to 255 bytes, which is there while somebody has subscribed. It
 * belongs to the virtual host, whose plugins share it; since minor version 4, to the process alone if it begins with NUL.
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

    /*
     * How many connections subscribe to the topic, in all processes of this httpd that can be seen: a figure
     * for people, as it is old when it is returned. Since minor version 4.           [any thread]
     */
    uint64_t (*subscribers)(const ws_host* host, const void* topic, uint64_t n);

    /*
     * A listener that passes on what it gets, in another form, counts as so many subscribers; as none at
     * first. A number that is not known is ignored. Since minor version 4.           [any thread]
     */
    void (*stand_for)(const ws_host* host, uint64_t listener, uint32_t subscribers);
} ws_topic_1;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_topic_1, subscribe) == 8 && offsetof(ws_topic_1, unsubscribe) == 16);
WS_LAYOUT_(offsetof(ws_topic_1, publish) == 24 && offsetof(ws_topic_1, listen) == 32);
WS_LAYOUT_(offsetof(ws_topic_1, ignore) == 40 && offsetof(ws_topic_1, subscribers) == 48);
WS_LAYOUT_(offsetof(ws_topic_1, stand_for) == 56);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_TOPIC_H_ */
