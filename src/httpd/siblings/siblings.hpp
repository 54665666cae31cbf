// SPDX-License-Identifier: Apache-2.0
// What the children of one generation of httpd have in common, so that they fill evenly: their loads, and a
// queue of clients that one leaves to the others.
#pragma once

#include <httpd.h>

#include <ap_mpm.h>

#include <optional>

#include "httpd/siblings/child_load.hpp"
#include "net/socket_queue.hpp"
#include "shm/per_process.hpp"

namespace websocket::httpd {

class Siblings {
public:
    /// Throws std::system_error. [config]
    explicit Siblings(std::uint32_t processes) : loads_(processes, sizeof(ChildLoad)) {}

    /// Null where a child is alone, or without memory. Children of an earlier generation have others.
    /// [any thread of a child]
    [[nodiscard]] static const Siblings* instance() noexcept;

    /// This process's. [any thread]
    [[nodiscard]] ChildLoad& own() const noexcept { return *static_cast<ChildLoad*>(loads_.own()); }
    [[nodiscard]] std::uint32_t used() const noexcept {
        return own().used.load(std::memory_order_relaxed);
    }
    enum class Which : std::uint8_t { waiting, all };
    /// Places taken in the least loaded other child that has room and is not in doubt; nothing when there is
    /// none. [any thread]
    [[nodiscard]] std::optional<std::uint32_t> least(Which which) const noexcept;
    /// This child has more than it may beside such a one. [any thread]
    [[nodiscard]] bool is_ahead_of(std::optional<std::uint32_t> least) const noexcept {
        return least && used() > allowed_beside(*least);
    }

    /// Whether another child has room, although it may not wait just now. [any thread]
    [[nodiscard]] bool have_room() const noexcept;
    /// The same, or one leaves and httpd starts another in its place. [any thread]
    [[nodiscard]] bool will_have_room() const noexcept;

    /// A client has waited in vain for those that have room: nobody counts on them for a while.
    /// [any thread]
    void doubt() const noexcept;
    /// This child runs. [any thread]
    void end_doubt() const noexcept { own().doubted_until.store(0, std::memory_order_relaxed); }

    [[nodiscard]] const net::SocketQueue& queue() const noexcept { return queue_; }

private:
    friend void reap_load_of_child(server_rec*, pid_t, ap_generation_t, int, mpm_child_status);

    /// Calls `visit(ChildLoad&)` for all children but this one.
    template <class Visit>
    void for_each_other(Visit visit) const;

    mutable shm::PerProcess loads_;
    net::SocketQueue queue_;
};

/// Hook: where there will be several children that serve WebSockets. [config]
int prepare_siblings(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp, server_rec* server);

/// Hook: nobody leaves a client to a child that has ended. [config]
void reap_load_of_child(server_rec* server, pid_t child, ap_generation_t generation, int slot,
                        mpm_child_status status);

}  // namespace websocket::httpd
