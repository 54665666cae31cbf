// SPDX-License-Identifier: Apache-2.0
// How full the memories are that the children share: that of histories, and that of who is present.
#pragma once

#include <httpd.h>

#include <vector>

#include "shm/metric_catalogue.hpp"

namespace websocket::httpd {

/// Of those that there are. `flags` are those of mod_status. [httpd worker]
void print_store_figures(request_rec* r, int flags);
/// The same as metrics. Throws std::bad_alloc. [any thread]
void add_store_metrics(std::vector<shm::MetricCatalogue::Metric>& metrics);

}  // namespace websocket::httpd
