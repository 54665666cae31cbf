// SPDX-License-Identifier: Apache-2.0
// The shipped chat as on a server that neither knows who is there nor keeps what was said: it asks for other extensions,
// which there are not.
#include <websocket/ext/draft/history.h>
#include <websocket/ext/draft/presence.h>
#undef WS_HISTORY_DRAFT_1
#undef WS_PRESENCE_DRAFT_1
#define WS_HISTORY_DRAFT_1 "ws.history/none"
#define WS_PRESENCE_DRAFT_1 "ws.presence/none"

#include "../../plugins/websocket_chat.cpp"
