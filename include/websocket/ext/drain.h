/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Time in the end of a process: an extension of plugin interface version 1, to be asked for with WS_DRAIN_1.
 * websocket/extensions.h says what holds for all of them.
 */

#if !defined(WEBSOCKET_EXT_DRAIN_H_)
#define WEBSOCKET_EXT_DRAIN_H_

#include "../plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WS_DRAIN_1 "ws.drain/1"

/*
 * A process that drains ends when its last client has gone. A plugin that has something to do then for clients that
 * are served by other processes, such as giving away what they come back for, holds it.
 */
typedef struct ws_drain_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * From now on the process does not end, when it drains, before the last client has gone and
     * everything that was held has been released, by all plugins.                   [any thread]
     *
     * A drain takes no longer for that than WebSocketDrainTimeout says, httpd ends it early when it needs the
     * place, and where no process goes on to serve, as in a graceful stop, nothing is waited for. Timers, topics and
     * everything else work as long. Holds add up. Costs nothing as long as the process does not drain.
     * Returns WS_OK or WS_BAD_ARG.
     */
    ws_result (*hold)(const ws_host* host);

    /*
     * Takes back one of this instance; without effect if there is none.             [any thread]
     *
     * What the instance still holds when it has been stopped is released.
     */
    void (*release)(const ws_host* host);
} ws_drain_1;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_drain_1, hold) == 8 && offsetof(ws_drain_1, release) == 16);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_DRAIN_H_ */
