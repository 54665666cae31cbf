/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Messages in parts: an extension of plugin interface version 1, to be asked for with WS_STREAM_1.
 * websocket/extensions.h says what holds for all of them.
 */

#if !defined(WEBSOCKET_EXT_STREAM_H_)
#define WEBSOCKET_EXT_STREAM_H_

#include "../plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WS_STREAM_1 "ws.stream/1"

/*
 * Sends a message part by part, so that it is never whole in memory.
 */
typedef struct ws_stream_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Sends the next part of a message.                  [any thread, one message at a time]
     *
     * type: WS_TEXT or WS_BINARY, the same for all parts. Text is UTF-8 as a whole; a part may end
     * inside a character. One that is not is answered with WS_BAD_ARG and not taken.
     * part: WS_FIRST begins the message and WS_LAST ends it.
     * Returns what ws_host.send returns. A part that was not taken is to be sent again before the
     * next one. Other messages wait until the last part, up to WebSocketSendBuffer bytes of them, then
     * they are not taken; parts, Pings and Pongs are. A sequence that is none (no WS_FIRST, or two)
     * closes the connection with 1011.
     */
    ws_result (*send)(const ws_host* host, ws_conn conn, uint32_t type, uint32_t part,
                      const void* bytes, uint64_t n);
} ws_stream_1;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_stream_1, send) == 8);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_STREAM_H_ */
