// SPDX-License-Identifier: Apache-2.0
// What mod_status shows of the bridge to other hosts.
#pragma once

#include <httpd.h>

#include <vector>

#include "shm/metric_catalogue.hpp"

namespace websocket::httpd {

/// Nothing without WebSocketBroker. `flags` are those of mod_status. [httpd worker]
void print_broker_figures(request_rec* r, int flags);
/// The same as metrics. Throws std::bad_alloc. [any thread]
void add_broker_metrics(std::vector<shm::MetricCatalogue::Metric>& metrics);

}  // namespace websocket::httpd
