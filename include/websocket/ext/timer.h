/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Timers: an extension of plugin interface version 1, to be asked for with WS_TIMER_1.
 * websocket/extensions.h says what holds for all of them.
 */

#if !defined(WEBSOCKET_EXT_TIMER_H_)
#define WEBSOCKET_EXT_TIMER_H_

#include "../plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WS_TIMER_1 "ws.timer/1"

/*
 * Calls at a later time.
 *
 * A timer belongs to a connection, runs on its thread and ends with it; or it belongs to the plugin
 * (conn is 0) and ends before stop. Timers of the plugin run one after the other, on a loop or in
 * the pool as its flags say, beside the callbacks of connections.
 */
typedef struct ws_timer_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Starts a timer.                                                               [any thread]
     *
     * delay_ms: until the first call, which is never early and up to 10 ms late.
     * period_ms: between further calls; 0 for just one. A call that falls due while the last one runs, or
     * waits for its thread, is left out.
     * run: called with data while the connection is open. [conn]
     * done: called once with data when the timer has ended, however; may be NULL. [a server thread]
     * timer: gets its number.
     * Returns WS_OK, WS_GONE, WS_BAD_ARG (a time above 49 days), WS_NO_MEMORY. Unless it is WS_OK,
     * neither run nor done is called.
     */
    ws_result (*start)(const ws_host* host, ws_conn conn, uint64_t delay_ms, uint64_t period_ms,
                       ws_call run, ws_call done, void* data, uint64_t* timer);

    /*
     * Ends a timer; without effect if it has ended.                                 [any thread]
     *
     * On the timer's own thread run is not called any more when this returns; elsewhere it may be
     * running.
     */
    void (*cancel)(const ws_host* host, uint64_t timer);
} ws_timer_1;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_timer_1, start) == 8 && offsetof(ws_timer_1, cancel) == 16);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_TIMER_H_ */
