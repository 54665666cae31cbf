// SPDX-License-Identifier: Apache-2.0
// What plugins count, on mod_status' page.
#pragma once

#include <httpd.h>

#include "shm/shared_figures.hpp"

namespace websocket::httpd {

/// Makes the memory that the children share. It outlives restarts, so that counters go on. Throws
/// std::system_error. [config]
void prepare_plugin_figures(server_rec* server);

/// Null when there is no memory. [any thread]
[[nodiscard]] shm::SharedFigures* plugin_figures() noexcept;

/// A child has ended, in whatever way: its counters are kept, its gauges are not. [config]
void end_plugin_figures_of(pid_t child) noexcept;

/// `flags` are those of mod_status' hook. Throws std::bad_alloc. [httpd worker]
void print_plugin_figures(request_rec* r, int flags);

}  // namespace websocket::httpd
