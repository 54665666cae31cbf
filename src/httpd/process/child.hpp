// SPDX-License-Identifier: Apache-2.0
// The part of the module that lives in a child process.
#pragma once

#include <httpd.h>

#include <chrono>
#include <memory>

#include "engine/engine.hpp"
#include "httpd/log/error_log_sink.hpp"
#include "httpd/log/log.hpp"
#include "httpd/log/log_writer.hpp"
#include "httpd/process/child_watch.hpp"
#include "httpd/process/instances.hpp"
#include "httpd/process/lifecycle.hpp"
#include "httpd/siblings/doorkeeper.hpp"
#include "httpd/takeover/held_sockets.hpp"
#include "httpd/takeover/pump_slots.hpp"
#include "hub/hub.hpp"
#include "hub/leaders.hpp"
#include "hub/local_bus.hpp"
#include "hub/presence.hpp"
#include "plugin/common/endpoint.hpp"
#include "plugin/common/metrics.hpp"
#include "plugin/common/pool.hpp"

namespace websocket::httpd {

class Child {
public:
    /// Made in every child process before it serves; stays until the process is gone. [config]
    static void init(apr_pool_t* pchild, server_rec* server);
    /// Null before init(), or when memory ran out there. [any thread]
    [[nodiscard]] static Child* instance() noexcept;

    /// This process is to end: see Lifecycle. Closes all connections, sooner or later, so that
    /// threads which pump some come back to httpd: it waits for them before it destroys its pools.
    /// [any thread]
    static void stopping(apr_pool_t* pchild, int graceful);

    explicit Child(server_rec* server);

    /// To be called before anything else of a request. False when this process was forked from one
    /// that serves WebSockets already: the threads have stayed there. [httpd worker]
    [[nodiscard]] bool settle() noexcept;
    /// This process was forked from the one of child_init, for one connection, and ends with it.
    [[nodiscard]] bool is_forked() const noexcept { return forked_; }
    /// What is to be done before a process ends. May be called again. [main thread]
    void leave() noexcept;

    [[nodiscard]] plugin::Host& host() noexcept { return host_; }
    [[nodiscard]] Instances& instances() noexcept { return instances_; }
    [[nodiscard]] LogWriter& log_writer() noexcept { return log_writer_; }
    [[nodiscard]] ErrorLogSinks& error_logs() noexcept { return error_logs_; }

    [[nodiscard]] const PumpSlots& pump_slots() const noexcept { return pump_slots_; }
    [[nodiscard]] HeldSockets& held_sockets() noexcept { return held_sockets_; }
    [[nodiscard]] ChildWatch& watch() noexcept { return watch_; }
    /// Null where the child takes no clients of siblings. [any thread]
    [[nodiscard]] Doorkeeper* doorkeeper() const noexcept { return doorkeeper_.get(); }

private:
    static apr_status_t leave_pool(void* child);
    void join_siblings(server_rec* server) noexcept;
    static void end_process() noexcept;
    /// No thread of ours, and no plugin, uses anything any more.
    [[nodiscard]] bool at_rest() const noexcept;
    void look(ChildWatch::Clock::time_point now) noexcept;
    void report_hang(const engine::Engine::Hang& hang) noexcept;
    /// [child_stopping]
    void announce_drain(std::chrono::steady_clock::time_point deadline) noexcept;

    ErrorLog log_;
    ErrorLogSinks error_logs_;
    LogWriter log_writer_;
    engine::Engine engine_;
    hub::LocalBus bus_;
    std::unique_ptr<hub::History> history_;  // null: no topic has any
    hub::Hub hub_;
    hub::Presence presence_;
    hub::Leaders leaders_;
    plugin::Pool pool_;
    plugin::Host host_;
    Instances instances_;
    const PumpSlots pump_slots_;
    HeldSockets held_sockets_;
    ChildWatch watch_;
    plugin::Metrics metrics_;
    Lifecycle lifecycle_;
    std::unique_ptr<Doorkeeper> doorkeeper_;
    pid_t process_;        ///< where the threads are, or will be
    bool forked_ = false;  ///< written before anything else happens in a process
    bool left_ = false;    // [main thread]
};

}  // namespace websocket::httpd
