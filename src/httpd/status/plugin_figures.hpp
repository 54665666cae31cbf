// SPDX-License-Identifier: Apache-2.0
// What plugins count, on mod_status' page.
#pragma once

#include <httpd.h>

#include "shm/metric_catalogue.hpp"

namespace websocket::httpd {

/// `flags` are those of mod_status' hook. Throws std::bad_alloc. [httpd worker]
void print_plugin_figures(request_rec* r, int flags, const shm::MetricCatalogue& catalogue);

}  // namespace websocket::httpd
