// SPDX-License-Identifier: Apache-2.0
#include "httpd/process/loaded_files.hpp"

#include <dlfcn.h>
#include <http_log.h>

#include <exception>
#include <set>
#include <string_view>

#include "httpd/config/plugin_options.hpp"
#include "httpd/module.hpp"

namespace websocket::httpd {

namespace {

void warn(server_rec* server, const char* file) {
    ap_log_error(
        APLOG_MARK, APLOG_WARNING, 0, server,
        "WS0111: %s was replaced, but this server still runs the old file, since something "
        "keeps it in the process over restarts; stop httpd and start it",
        file);
}

/// Also null where the loader does not know it.
const char* file_of_module() {
    Dl_info module{};
    return ::dladdr(&websocket_module, &module) != 0 ? module.dli_fname : nullptr;
}

}  // namespace

int warn_of_old_code(apr_pool_t* pconf, apr_pool_t* /*plog*/, apr_pool_t* ptemp,
                     server_rec* server) {
    try {
        const char* own = file_of_module();
        if (own != nullptr && plugin::mapped_file_was_replaced(&websocket_module, own)) {
            warn(server, own);
        }
        std::set<std::string_view> told;
        for (const PluginSection& section : plugin_sections(pconf)) {
            if (section.config->plugin->file_was_replaced()) {
                const char* arguments = section.directive->args;
                const char* file = ap_getword_conf(ptemp, &arguments);
                if (told.insert(file).second) {
                    warn(server, file);
                }
            }
        }
    } catch (const std::exception&) {
        ap_log_error(
            APLOG_MARK, APLOG_WARNING, 0, server,
            "WS0111: out of memory, cannot tell whether the server runs the files that are "
            "there");
    }
    return OK;
}

}  // namespace websocket::httpd
