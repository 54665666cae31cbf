// SPDX-License-Identifier: Apache-2.0
// mod_websocket: WebSocket endpoints inside httpd. This file is the table of contents: the module
// record and its hooks.
#include "httpd/module.hpp"

#include <ap_mpm.h>
#include <http_config.h>
#include <http_protocol.h>
#include <mpm_common.h>

#include "httpd/broker/bridge_process.hpp"
#include "httpd/broker/broker_config.hpp"
#include "httpd/config/config.hpp"
#include "httpd/config/config_check.hpp"
#include "httpd/config/endpoint_settings.hpp"
#include "httpd/handshake/connection_caps.hpp"
#include "httpd/handshake/handler.hpp"
#include "httpd/handshake/lost_handshake.hpp"
#include "httpd/log/connection_log.hpp"
#include "httpd/process/child.hpp"
#include "httpd/process/descriptors.hpp"
#include "httpd/process/loaded_files.hpp"
#include "httpd/process/prefork_stop.hpp"
#include "httpd/process/topics.hpp"
#include "httpd/siblings/sharing.hpp"
#include "httpd/siblings/siblings.hpp"
#include "httpd/status/status.hpp"
#include "httpd/takeover/handover.hpp"
#include "httpd/takeover/pump.hpp"
#include "httpd/tunnel/busy_count.hpp"
#include "httpd/tunnel/tunnel_hooks.hpp"

namespace {

void register_hooks(apr_pool_t* /*pool*/) {
    ap_hook_post_config(websocket::httpd::check_config, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_post_config(websocket::httpd::warn_of_old_code, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_post_config(websocket::httpd::compare_descriptors, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_post_config(websocket::httpd::prepare_caps, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_post_config(websocket::httpd::prepare_topics, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_post_config(websocket::httpd::prepare_busy_counts, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_post_config(websocket::httpd::prepare_siblings, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_post_config(websocket::httpd::prepare_status, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_post_config(websocket::httpd::start_bridge, nullptr, nullptr, APR_HOOK_LAST);
    // The virtual hosts have their scopes of topics by then.
    ap_hook_post_config(websocket::httpd::prepare_endpoints, nullptr, nullptr, APR_HOOK_MIDDLE + 1);
    ap_hook_child_status(websocket::httpd::reap_leases_of_child, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_child_status(websocket::httpd::reap_topics_of_child, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_child_status(websocket::httpd::take_back_busy_counts, nullptr, nullptr,
                         APR_HOOK_MIDDLE);
    ap_hook_child_status(websocket::httpd::reap_status_of_child, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_child_status(websocket::httpd::reap_load_of_child, nullptr, nullptr, APR_HOOK_MIDDLE);
    websocket::httpd::register_status();
    ap_hook_open_logs(websocket::httpd::open_connection_logs, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_check_config(websocket::httpd::check_options, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_check_config(websocket::httpd::check_broker, nullptr, nullptr, APR_HOOK_MIDDLE);
    websocket::httpd::register_config_check();
    websocket::httpd::register_lost_handshakes();
    websocket::httpd::register_pump();
    websocket::httpd::register_tunnels();
    websocket::httpd::register_prefork_stop();
    ap_hook_child_init(websocket::httpd::Child::init, nullptr, nullptr, APR_HOOK_MIDDLE);
    websocket::httpd::register_connection_hooks();
    websocket::httpd::register_sharing();
    ap_hook_child_stopping(websocket::httpd::Child::stopping, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_handler(websocket::httpd::handle_request, nullptr, nullptr, APR_HOOK_FIRST - 1);
}

}  // namespace

extern "C" {
module AP_MODULE_DECLARE_DATA __attribute__((visibility("default"))) websocket_module = {
    STANDARD20_MODULE_STUFF,
    websocket::httpd::create_directory_config,
    websocket::httpd::merge_directory_configs,
    websocket::httpd::create_server_config,
    nullptr,  // process-wide settings belong to the main server alone
    websocket::httpd::commands(),
    register_hooks,
    0,  // flags
};
}
