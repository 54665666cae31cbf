// SPDX-License-Identifier: Apache-2.0
// The module record, which httpd wants to be global.
#pragma once

#include <httpd.h>

#include <http_config.h>

extern "C" module AP_MODULE_DECLARE_DATA websocket_module;
