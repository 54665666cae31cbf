// SPDX-License-Identifier: Apache-2.0
// Whether a request is open to everybody.
#pragma once

#include <httpd.h>

namespace websocket::httpd {

/// Whether Require, or Allow from and Deny from, would let the same request pass if it came from somebody of whom
/// nothing is known: who has no user, some address of the Internet, and no header but Host. False where they make a
/// difference. He has the real client's TLS connection, and with it its certificate: true also where only
/// that makes one. Modules' own checks are not asked, and nothing gets into the log. [httpd worker]
[[nodiscard]] bool admits_strangers(request_rec* r);

}  // namespace websocket::httpd
