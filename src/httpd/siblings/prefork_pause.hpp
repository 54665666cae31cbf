// SPDX-License-Identifier: Apache-2.0
// prefork, whose children have a thread each: one that is full, or ahead, lets siblings accept first.
#pragma once

#include <httpd.h>

namespace websocket::httpd {

/// A connection has ended and the thread is about to wait for the next one: returns when this child may take it,
/// or is to end. Nothing with other MPMs. [httpd worker]
void wait_until_needed() noexcept;

/// Hook pre_connection: this child has taken a client.
int show_life(conn_rec* c, void* socket);

}  // namespace websocket::httpd
