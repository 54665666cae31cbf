// SPDX-License-Identifier: Apache-2.0
// Whether a request is open to everybody.
#pragma once

#include <httpd.h>

namespace websocket::httpd {

/// Whether httpd's access control would let the same request pass if it came from somebody of whom nothing is known:
/// who has no user and no certificate of its own, an address of RFC 5737 and no headers. False where Require or
/// Allow from make a difference. Other modules' checks run once more, as for ap_some_authn_required(), with nothing
/// in the log. [httpd worker]
[[nodiscard]] bool admits_strangers(request_rec* r);

}  // namespace websocket::httpd
