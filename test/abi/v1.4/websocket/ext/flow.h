/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Flow control: an extension of plugin interface version 1, to be asked for with WS_FLOW_1.
 * websocket/extensions.h says what holds for all of them.
 */

#if !defined(WEBSOCKET_EXT_FLOW_H_)
#define WEBSOCKET_EXT_FLOW_H_

#include "../plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WS_FLOW_1 "ws.flow/1"

/*
 * Stops a client that sends faster than the plugin likes, by TCP's own means.
 */
typedef struct ws_flow_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Reads nothing more from the client.                                           [any thread]
     *
     * Called on the connection's own thread of a WS_NEVER_BLOCKS plugin, no on_message follows;
     * else those may follow that were read already. Nothing is noticed of the client meanwhile but a
     * broken connection. Pauses do not add up. Returns WS_OK or WS_GONE.
     */
    ws_result (*pause)(const ws_host* host, ws_conn conn);

    /*
     * Reads again. Returns WS_OK or WS_GONE.                                        [any thread]
     */
    ws_result (*resume)(const ws_host* host, ws_conn conn);
} ws_flow_1;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_flow_1, pause) == 8 && offsetof(ws_flow_1, resume) == 16);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_FLOW_H_ */
