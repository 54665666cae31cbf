// SPDX-License-Identifier: Apache-2.0
// What a child can read in httpd's scoreboard about itself and its siblings.
#pragma once

#include <httpd.h>
#include <sys/types.h>

namespace websocket::httpd {

/// Reads shared memory that other processes change at the same time: each answer may be outdated
/// the moment it is given. Allocates and locks nothing. [any thread of a child]
class Scoreboard {
public:
    /// In child_init.
    Scoreboard() noexcept;

    /// How many restarts there have been since this child began.
    [[nodiscard]] int restarts() const noexcept;

    /// True when another child of this generation accepts connections.
    [[nodiscard]] bool has_serving_sibling() const noexcept;

    /// prefork: whether this child waits for a connection, as far as httpd says.
    [[nodiscard]] bool shows_waiting() const noexcept;

    /// prefork: the parent no longer takes this child for one that waits for connections.
    void show_as_leaving() const noexcept;

    /// worker: the parent may give the slots of this child's threads to a new child. When they have ended.
    void show_threads_as_ended() const noexcept;

    /// True when httpd wants to start a child, has no slot for it, and this child is among those that
    /// should give theirs up: the oldest that are leaving, as many as there are slots missing.
    /// Never with worker, where new children take the slots of those that are leaving.
    [[nodiscard]] bool slot_is_needed() const noexcept;

private:
    enum class Mpm : unsigned char { event, worker, prefork, other };

    struct Census;

    [[nodiscard]] Census count() const noexcept;
    /// prefork: this child's slot; -1 if there is none, and with other MPMs.
    [[nodiscard]] int own_slot() const noexcept;
    [[nodiscard]] bool is_leaving(int slot) const noexcept;
    [[nodiscard]] bool is_spare(int slot) const noexcept;

    Mpm mpm_ = Mpm::other;
    pid_t self_;
    int generation_ = 0;
    int slots_ = 0;         ///< that the parent may use
    int most_serving_ = 0;  ///< children that it lets serve at the same time
    int threads_ = 1;       ///< of a child
    int wanted_spare_ = 1;  ///< children that should wait for connections
};

}  // namespace websocket::httpd
