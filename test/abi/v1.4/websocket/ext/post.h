/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Calls from elsewhere: an extension of plugin interface version 1, to be asked for with WS_POST_1.
 * websocket/extensions.h says what holds for all of them.
 */

#if !defined(WEBSOCKET_EXT_POST_H_)
#define WEBSOCKET_EXT_POST_H_

#include "../plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

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

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_post_1, post) == 8);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_POST_H_ */
