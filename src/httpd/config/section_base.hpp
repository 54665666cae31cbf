// SPDX-License-Identifier: Apache-2.0
// What of a request's path is the section's, and what lies below it.
#pragma once

#include <httpd.h>

#include <http_config.h>

#include <cstdint>

namespace websocket::httpd {

/// The section of a WebSocketHandler. Lives as long as the configuration.
struct SectionBase {
    enum class Kind : std::uint8_t {
        path_info,  ///< <Files> and whatever has no path: what httpd found behind the file
        prefix,     ///< <Location>: what lies behind `text`
        whole,      ///< <Location> with wild cards, which stand for all of the path: nothing
        pattern,    ///< <LocationMatch>: what lies behind the match
        folder,     ///< <Directory>: what of the file's name lies behind `text`
    };
    Kind kind = Kind::path_info;
    const char* text = "";                ///< without a slash at its end
    const ap_regex_t* pattern = nullptr;  ///< of `pattern`
};

/// Of the directive that is being read. [config]
[[nodiscard]] SectionBase section_base(const cmd_parms* cmd);

/// What of the path of a request in the section lies below it, decoded: empty at the section itself, else it
/// begins with a slash, but behind patterns that end within a name. Lives as long as the request.
/// [httpd worker]
[[nodiscard]] const char* path_below(const request_rec* r, const SectionBase& base);

}  // namespace websocket::httpd
