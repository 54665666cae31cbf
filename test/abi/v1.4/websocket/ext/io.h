/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors: an extension of plugin interface version 1, to be asked for with WS_IO_1.
 * websocket/extensions.h says what holds for all of them.
 */

#if !defined(WEBSOCKET_EXT_IO_H_)
#define WEBSOCKET_EXT_IO_H_

#include "../plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WS_IO_1 "ws.io/1"

#define WS_READABLE 1u
#define WS_WRITABLE 2u
#define WS_BROKEN 4u /* an error, or the other side is gone; reported unasked */

/*
 * Watches descriptors of the plugin: sockets, pipes, eventfds.
 */
typedef struct ws_io_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Watches a descriptor until unwatch, or the end of the connection (conn 0: of the plugin).
     *                                                                               [any thread]
     *
     * descriptor: the server uses a duplicate, so it may be closed any time.
     * events: of WS_READABLE and WS_WRITABLE.
     * run: called with data and what it is ready for, again as long as it is. [conn]
     * done: called once with data when the watch has ended; may be NULL. [a server thread]
     * watch: gets its number.
     * Returns WS_OK, WS_GONE, WS_BAD_ARG (nothing that can be watched), WS_NO_MEMORY. Unless it is
     * WS_OK, neither run nor done is called.
     */
    ws_result (*watch)(const ws_host* host, ws_conn conn, int32_t descriptor, uint32_t events,
                       void (*run)(void* data, uint32_t events), ws_call done, void* data,
                       uint64_t* watch);

    /*
     * Changes what a watch waits for; without effect if it has ended.               [any thread]
     */
    void (*change)(const ws_host* host, uint64_t watch, uint32_t events);

    /*
     * Ends a watch; without effect if it has ended.                                 [any thread]
     *
     * On the watch's own thread run is not called any more when this returns; elsewhere it may be
     * running.
     */
    void (*unwatch)(const ws_host* host, uint64_t watch);
} ws_io_1;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_io_1, watch) == 8 && offsetof(ws_io_1, change) == 16);
WS_LAYOUT_(offsetof(ws_io_1, unwatch) == 24);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_IO_H_ */
