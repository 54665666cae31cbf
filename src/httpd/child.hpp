// SPDX-License-Identifier: Apache-2.0
// The part of the module that lives in a child process.
#pragma once

#include <httpd.h>

#include <deque>
#include <mutex>

#include "engine/engine.hpp"
#include "httpd/config.hpp"
#include "httpd/lifecycle.hpp"
#include "httpd/log.hpp"
#include "plugin/endpoint.hpp"
#include "plugin/pool.hpp"

namespace websocket::httpd {

class Child {
public:
    /// Made in every child process before it serves; stays until the process is gone. [config]
    static void init(apr_pool_t* pchild, server_rec* server);
    /// The MPM tells this process to end. [child_stopping]
    static void stopping(apr_pool_t* pchild, int graceful);
    /// Null before init(), or when memory ran out there. [any thread]
    [[nodiscard]] static Child* instance() noexcept;

    explicit Child(server_rec* server);

    [[nodiscard]] plugin::Host& host() noexcept { return host_; }

    /// The endpoint for a section with a plugin; the same settings give the same object, which is
    /// never freed. Throws std::bad_alloc. [httpd worker]
    [[nodiscard]] const plugin::Endpoint& endpoint(const Config& config);

private:
    static apr_status_t leave(void* child);

    ErrorLog log_;
    engine::Engine engine_;
    plugin::Pool pool_;
    plugin::Host host_;
    Lifecycle lifecycle_;
    std::mutex endpoints_mutex_;  // guards endpoints_
    std::deque<plugin::Endpoint> endpoints_;
};

}  // namespace websocket::httpd
