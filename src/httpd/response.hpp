// SPDX-License-Identifier: Apache-2.0
// Parts of responses that httpd does not write by itself. [httpd worker]
#pragma once

#include <httpd.h>

#include <cstddef>

namespace websocket::httpd {

/// Any status from 200 to 599, also one that httpd has no words for.
void set_status(request_rec* r, int status);

/// The headers that were set go out with httpd's own page for an error, too, which drops them otherwise.
void keep_headers_with_page(request_rec* r);

/// Of any size. Whether the client has it, nobody knows.
void write_all(request_rec* r, const char* bytes, std::size_t size);

}  // namespace websocket::httpd
