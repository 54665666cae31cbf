// SPDX-License-Identifier: Apache-2.0
#include "httpd/process/scoreboard.hpp"

#include <httpd.h>
#include <scoreboard.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "httpd/process/mpm.hpp"

namespace websocket::httpd {

namespace {

const process_score& process(int slot) noexcept { return ap_scoreboard_image->parent[slot]; }

int running_generation() noexcept {
    return *static_cast<volatile ap_generation_t*>(
        &ap_scoreboard_image->global->running_generation);
}

}  // namespace

Scoreboard::Scoreboard() noexcept : self_(::getpid()) {
    const std::string_view name = ap_show_mpm();
    generation_ = ask_mpm(AP_MPMQ_GENERATION);
    slots_ = ask_mpm(AP_MPMQ_HARD_LIMIT_DAEMONS);
    most_serving_ = ask_mpm(AP_MPMQ_MAX_DAEMONS);
    threads_ = std::max(1, ask_mpm(AP_MPMQ_MAX_THREADS));
    if (name == "event") {
        mpm_ = Mpm::event;
        wanted_spare_ = (ask_mpm(AP_MPMQ_MIN_SPARE_THREADS) + threads_ - 1) / threads_;
    } else if (name == "worker") {
        mpm_ = Mpm::worker;
    } else if (name == "prefork") {
        mpm_ = Mpm::prefork;
        slots_ = most_serving_;
        wanted_spare_ = ask_mpm(AP_MPMQ_MIN_SPARE_DAEMONS);
    }
    wanted_spare_ = std::max(1, wanted_spare_);
}

int Scoreboard::restarts() const noexcept { return running_generation() - generation_; }

bool Scoreboard::is_leaving(int slot) const noexcept {
    return mpm_ == Mpm::prefork ? ap_scoreboard_image->servers[slot][0].status == SERVER_GRACEFUL
                                : process(slot).quiescing != 0;
}

/// The parent counts a child that is starting, too.
bool Scoreboard::is_spare(int slot) const noexcept {
    if (process(slot).not_accepting != 0 || process(slot).generation != running_generation()) {
        return false;
    }
    const worker_score* threads = ap_scoreboard_image->servers[slot];
    return std::any_of(threads, threads + threads_, [](const worker_score& thread) {
        return thread.status == SERVER_STARTING || thread.status == SERVER_READY;
    });
}

bool Scoreboard::has_serving_sibling() const noexcept {
    for (int slot = 0; slot < slots_; ++slot) {
        if (process(slot).pid != 0 && process(slot).pid != self_ && !is_leaving(slot) &&
            process(slot).generation == generation_) {
            return true;
        }
    }
    return false;
}

int Scoreboard::own_slot() const noexcept {
    for (int slot = 0; mpm_ == Mpm::prefork && slot < slots_; ++slot) {
        if (process(slot).pid == self_) {
            return slot;
        }
    }
    return -1;
}

bool Scoreboard::shows_waiting() const noexcept {
    const int slot = own_slot();
    return slot >= 0 && ap_scoreboard_image->servers[slot][0].status == SERVER_READY;
}

void Scoreboard::show_as_leaving() const noexcept {
    if (const int slot = own_slot(); slot >= 0) {
        ap_update_child_status_from_indexes(slot, 0, SERVER_GRACEFUL, nullptr);
    }
}

// Its threads that end before its listener has said so are left as ones that still work, and the parent waits for one
// that does not.
void Scoreboard::show_threads_as_ended() const noexcept {
    for (int slot = 0; mpm_ == Mpm::worker && slot < slots_; ++slot) {
        for (int thread = 0; process(slot).pid == self_ && thread < threads_; ++thread) {
            if (ap_scoreboard_image->servers[slot][thread].status == SERVER_GRACEFUL) {
                ap_update_child_status_from_indexes(slot, thread, SERVER_DEAD, nullptr);
            }
        }
    }
}

struct Scoreboard::Census {
    int free = 0;
    int serving = 0;
    int spare = 0;          ///< of these, waiting for connections
    int older_leaving = 0;  ///< will give up their slots before this child has to
};

Scoreboard::Census Scoreboard::count() const noexcept {
    Census census;
    bool passed_self = false;
    for (int slot = 0; slot < slots_; ++slot) {
        const process_score& other = process(slot);
        if (other.pid == self_) {
            passed_self = true;
        } else if (other.pid == 0) {
            ++census.free;
        } else if (is_leaving(slot)) {
            const int age = generation_ - other.generation;
            census.older_leaving += age > 0 || (age == 0 && !passed_self) ? 1 : 0;
        } else {
            ++census.serving;
            census.spare += is_spare(slot) ? 1 : 0;
        }
    }
    return census;
}

bool Scoreboard::slot_is_needed() const noexcept {
    if (mpm_ == Mpm::worker || mpm_ == Mpm::other) {
        return false;
    }
    const Census census = count();
    return census.serving < most_serving_ &&
           census.older_leaving < wanted_spare_ - census.spare - census.free;
}

}  // namespace websocket::httpd
