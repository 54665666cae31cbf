// SPDX-License-Identifier: Apache-2.0
#include "httpd/tunnel/busy_count.hpp"

#include <http_config.h>

#include <array>
#include <exception>
#include <utility>

#include "httpd/process/mpm.hpp"
#include "shm/per_process.hpp"

namespace websocket::httpd {

namespace {

/// What a process has counted for one member of a balancer.
struct Note {
    std::atomic<apr_size_t*> count;
    std::atomic<std::uint64_t> own;
};

/// Members that a process has counted for; what it counts for more of them is not taken back when it is
/// killed.
using Notes = std::array<Note, 128>;

// httpd's hooks have no other place for it. Of this generation: the memory of balancers is made anew, too.
shm::PerProcess* all_notes = nullptr;

void subtract(apr_size_t& count, std::uint64_t amount) noexcept {
    // The administrator may have reset it meanwhile.
    apr_size_t known = __atomic_load_n(&count, __ATOMIC_RELAXED);
    while (known > 0 &&
           !__atomic_compare_exchange_n(&count, &known, known > amount ? known - amount : 0,
                                        /*weak=*/true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

/// Null when there is no room.
std::atomic<std::uint64_t>* note_for(apr_size_t& count) noexcept {
    void* own = all_notes != nullptr ? all_notes->own() : nullptr;
    if (own == nullptr) {
        return nullptr;
    }
    for (Note& note : *static_cast<Notes*>(own)) {
        apr_size_t* whose = nullptr;
        if (note.count.compare_exchange_strong(whose, &count) || whose == &count) {
            return &note.own;
        }
    }
    return nullptr;
}

apr_status_t forget_notes(void* /*data*/) {
    delete std::exchange(all_notes, nullptr);
    return APR_SUCCESS;
}

}  // namespace

BusyCount::BusyCount(apr_size_t& count) noexcept : count_(&count), noted_(note_for(count)) {
    if (noted_ != nullptr) {
        noted_->fetch_add(1);
    }
    __atomic_fetch_add(count_, 1, __ATOMIC_RELAXED);
}

BusyCount::~BusyCount() {
    if (count_ != nullptr) {
        subtract(*count_, 1);
    }
    if (noted_ != nullptr) {
        noted_->fetch_sub(1);
    }
}

int prepare_busy_counts(apr_pool_t* pconf, apr_pool_t* /*plog*/, apr_pool_t* /*ptemp*/,
                        server_rec* /*server*/) {
    if (ap_find_linked_module("mod_proxy_balancer.c") == nullptr) {
        return OK;
    }
    try {
        all_notes = new shm::PerProcess(max_processes(), sizeof(Notes));
        apr_pool_cleanup_register(pconf, nullptr, forget_notes, apr_pool_cleanup_null);
    } catch (const std::exception&) {
        // What a killed child has counted stays then, as it does for requests of httpd itself.
    }
    return OK;
}

void take_back_busy_counts(server_rec* /*server*/, pid_t child, ap_generation_t /*generation*/,
                           int /*slot*/, mpm_child_status status) {
    if (status != MPM_CHILD_EXITED || all_notes == nullptr) {
        return;
    }
    all_notes->reap(child, [](void* part) {
        for (Note& note : *static_cast<Notes*>(part)) {
            apr_size_t* count = note.count.exchange(nullptr);
            const std::uint64_t own = note.own.exchange(0);
            if (count != nullptr && own > 0) {
                subtract(*count, own);
            }
        }
    });
}

}  // namespace websocket::httpd
