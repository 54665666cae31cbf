// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/config_check.hpp"

#include <http_config.h>
#include <http_core.h>
#include <http_log.h>

#include <exception>
#include <string>

#include "httpd/config/config_doubts.hpp"
#include "httpd/module.hpp"

namespace websocket::httpd {

namespace {

void warn(const server_rec* server) noexcept {
    try {
        for (const std::string& doubt : doubts_of(ap_conftree)) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server, "%s", doubt.c_str());
        }
    } catch (const std::exception&) {
        // no memory to doubt
    }
}

/// `httpd -t` runs nothing of what comes later.
int warn_in_test(apr_pool_t* /*pconf*/, apr_pool_t* /*plog*/, apr_pool_t* /*ptemp*/,
                 server_rec* server) {
    if (ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST) {
        warn(server);
    }
    return OK;
}

/// httpd reads its configuration twice when it starts; only the second time is there an error log.
int warn_at_start(apr_pool_t* /*pconf*/, apr_pool_t* /*plog*/, apr_pool_t* /*ptemp*/,
                  server_rec* server) {
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG) {
        warn(server);
    }
    return OK;
}

}  // namespace

void register_config_check() {
    ap_hook_check_config(warn_in_test, nullptr, nullptr, APR_HOOK_LAST);
    ap_hook_post_config(warn_at_start, nullptr, nullptr, APR_HOOK_LAST);
}

}  // namespace websocket::httpd
