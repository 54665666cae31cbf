/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The extensions of plugin interface version 1: function tables that ws_host.extension returns for
 * a name. What websocket/plugin.h says of threads, ownership and growth applies. A server that does
 * not have one returns NULL.
 *
 * Each has a header of its own in websocket/ext, which can be included alone; this one includes all
 * of them.
 */

#if !defined(WEBSOCKET_EXTENSIONS_H_)
#define WEBSOCKET_EXTENSIONS_H_

#include "ext/buffer.h"
#include "ext/drain.h"
#include "ext/flow.h"
#include "ext/http.h"
#include "ext/io.h"
#include "ext/leader.h"
#include "ext/metrics.h"
#include "ext/post.h"
#include "ext/request.h"
#include "ext/stream.h"
#include "ext/timer.h"
#include "ext/topic.h"
#include "plugin.h"

#endif /* WEBSOCKET_EXTENSIONS_H_ */
