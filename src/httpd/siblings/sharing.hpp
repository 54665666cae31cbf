// SPDX-License-Identifier: Apache-2.0
// Children fill evenly: one that is full, or ahead of a sibling, leaves new clients to it.
#pragma once

#include <httpd.h>

namespace websocket::httpd {

/// Makes the hooks known by which a child looks at the first bytes of a connection before anybody reads
/// them. [config]
void register_sharing();

}  // namespace websocket::httpd
