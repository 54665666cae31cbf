/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Once for all processes: an extension of plugin interface version 1, to be asked for with WS_LEADER_1.
 * websocket/extensions.h says what holds for all of them.
 */

#if !defined(WEBSOCKET_EXT_LEADER_H_)
#define WEBSOCKET_EXT_LEADER_H_

#include "../plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

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

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_leader_1, lead) == 8 && offsetof(ws_leader_1, resign) == 16);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_LEADER_H_ */
