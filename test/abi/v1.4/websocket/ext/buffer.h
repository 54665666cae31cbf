/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Prepared messages: an extension of plugin interface version 1, to be asked for with WS_BUFFER_1.
 * websocket/extensions.h says what holds for all of them.
 */

#if !defined(WEBSOCKET_EXT_BUFFER_H_)
#define WEBSOCKET_EXT_BUFFER_H_

#include "../plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WS_BUFFER_1 "ws.buffer/1"

/*
 * A message that is encoded once and may be sent to many. Immutable; owned by its references.
 */
typedef struct ws_buffer ws_buffer;

/*
 * Messages for many clients.
 */
typedef struct ws_buffer_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * Prepares a message. Returns a buffer with one reference, which belongs to the caller, or NULL
     * without memory, with a wrong type or size, or for text that is not UTF-8.      [any thread]
     */
    ws_buffer* (*make)(const ws_host* host, uint32_t type, const void* bytes, uint64_t n);

    /*
     * Adds a reference.                                                             [any thread]
     */
    void (*retain)(ws_buffer* buffer);

    /*
     * Gives one up; the buffer is freed with the last. NULL is allowed.             [any thread]
     */
    void (*release)(ws_buffer* buffer);

    /*
     * Like ws_host.send, without a copy. The reference stays the caller's. Where compression was
     * agreed on, the message is compressed once for all clients that agreed on the same, except for
     * those with WebSocketDeflateMode Dedicated.                                     [any thread]
     */
    ws_result (*send)(const ws_host* host, ws_conn conn, ws_buffer* buffer, uint32_t flags);
} ws_buffer_1;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_buffer_1, make) == 8 && offsetof(ws_buffer_1, retain) == 16);
WS_LAYOUT_(offsetof(ws_buffer_1, release) == 24 && offsetof(ws_buffer_1, send) == 32);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_BUFFER_H_ */
