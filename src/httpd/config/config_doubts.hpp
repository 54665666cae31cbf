// SPDX-License-Identifier: Apache-2.0
// Configurations that httpd accepts and that do not do what was meant.
#pragma once

#include <ap_config.h>
#include <util_cfgtree.h>

#include <string>
#include <vector>

namespace websocket::httpd {

/// One sentence each, with id, file and line. Only what is sure is said: a section without SetHandler
/// is none of it as long as another section, a RewriteRule or a .htaccess file may set the handler.
/// Throws std::bad_alloc. [config]
[[nodiscard]] std::vector<std::string> doubts_of(const ap_directive_t* tree);

}  // namespace websocket::httpd
