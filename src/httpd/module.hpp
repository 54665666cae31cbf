// SPDX-License-Identifier: Apache-2.0
// The module record, which httpd wants to be global, and which the macros of its error log look for.
#pragma once

#include <httpd.h>

#include <http_config.h>
#include <http_log.h>

extern "C" module AP_MODULE_DECLARE_DATA websocket_module;

/// Declares for all who include this what the macros use: only once in a translation unit.
APLOG_USE_MODULE(websocket);
