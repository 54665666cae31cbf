/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Figures: an extension of plugin interface version 1, to be asked for with WS_METRICS_1.
 * websocket/extensions.h says what holds for all of them.
 */

#if !defined(WEBSOCKET_EXT_METRICS_H_)
#define WEBSOCKET_EXT_METRICS_H_

#include "../plugin.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define WS_METRICS_1 "ws.metrics/1"

#define WS_COUNTER 0u /* only grows */
#define WS_GAUGE 1u   /* goes up and down */

/*
 * A figure of this process; mod_status shows the sum of all. The server's; valid until stop returns.
 */
typedef struct ws_metric ws_metric;

/*
 * Figures for the administrator.
 */
typedef struct ws_metrics_1 {
    uint32_t size;
    uint32_t reserved;

    /*
     * The figure of this name, which begins at 0; the same one for the same name.    [any thread]
     *
     * name: of a-z, 0-9 and _, at most 64 bytes. The plugin's name is put before it.
     * kind: WS_COUNTER or WS_GAUGE.
     * Returns NULL if the name is not allowed or known as the other kind, if there are 1000 already,
     * or without memory.
     */
    ws_metric* (*metric)(const ws_host* host, const char* name, uint64_t n, uint32_t kind);

    /*
     * Adds to it; atomic. NULL is allowed.                                          [any thread]
     */
    void (*add)(ws_metric* metric, int64_t amount);

    /*
     * Sets it; atomic. NULL is allowed.                                             [any thread]
     */
    void (*set)(ws_metric* metric, int64_t value);
} ws_metrics_1;

/* ---- The layout ---------------------------------------------------------------------------------- */

#include "../layout.h"

#if defined(WS_LAYOUT_)
WS_LAYOUT_(offsetof(ws_metrics_1, metric) == 8 && offsetof(ws_metrics_1, add) == 16);
WS_LAYOUT_(offsetof(ws_metrics_1, set) == 24);
#undef WS_LAYOUT_
#endif

#if defined(__cplusplus)
}
#endif

#endif /* WEBSOCKET_EXT_METRICS_H_ */
