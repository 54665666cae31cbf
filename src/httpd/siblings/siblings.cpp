// SPDX-License-Identifier: Apache-2.0
#include "httpd/siblings/siblings.hpp"

#include <http_config.h>
#include <http_core.h>
#include <http_log.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "httpd/config/config.hpp"
#include "httpd/config/endpoint_settings.hpp"
#include "httpd/module.hpp"
#include "httpd/process/mpm.hpp"

namespace websocket::httpd {

namespace {

// httpd's hooks have no other place for them. Of this generation.
Siblings* all_siblings = nullptr;

apr_status_t forget_siblings(void* /*data*/) {
    delete std::exchange(all_siblings, nullptr);
    return APR_SUCCESS;
}

/// A child that is only slow takes the doubt back, so this is long enough that one that is stopped makes few wait.
constexpr std::chrono::nanoseconds kDoubt = std::chrono::seconds(10);

std::int64_t steady_time() noexcept {
    return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// mpm_itk forks a process for each connection, which has no siblings.
bool children_serve_together() {
    return ask_mpm(AP_MPMQ_MAX_DAEMONS) > 1 && ap_find_linked_module("itk.c") == nullptr &&
           ap_find_linked_module("mpm_itk.c") == nullptr &&
           ap_exists_config_define("ONE_PROCESS") == 0 && ap_exists_config_define("DEBUG") == 0;
}

}  // namespace

const Siblings* Siblings::instance() noexcept {
    return all_siblings != nullptr && all_siblings->loads_.own() != nullptr ? all_siblings
                                                                            : nullptr;
}

template <class Visit>
void Siblings::for_each_other(Visit visit) const {
    const ChildLoad* self = &own();
    loads_.for_each([&](pid_t /*process*/, void* part) {
        auto& load = *static_cast<ChildLoad*>(part);
        if (&load != self) {
            visit(load);
        }
    });
}

std::optional<std::uint32_t> Siblings::least(Which which) const noexcept {
    const std::int64_t now = steady_time();
    std::optional<std::uint32_t> least;
    for_each_other([&](const ChildLoad& load) {
        if (load.has_room() && (which == Which::all || load.waits.load()) &&
            load.doubted_until.load(std::memory_order_relaxed) <= now) {
            least = std::min(least.value_or(UINT32_MAX), load.used.load(std::memory_order_relaxed));
        }
    });
    return least;
}

bool Siblings::have_room() const noexcept {
    bool found = false;
    for_each_other([&](const ChildLoad& load) { found = found || load.has_room(); });
    return found;
}

bool Siblings::will_have_room() const noexcept {
    bool found = own().leaves.load(std::memory_order_relaxed);
    for_each_other([&](const ChildLoad& load) {
        found = found || load.has_room() || load.leaves.load(std::memory_order_relaxed);
    });
    return found;
}

void Siblings::doubt() const noexcept {
    const std::int64_t until = steady_time() + kDoubt.count();
    for_each_other([&](ChildLoad& load) {
        if (load.has_room()) {
            load.doubted_until.store(until, std::memory_order_relaxed);
        }
    });
}

int prepare_siblings(apr_pool_t* pconf, apr_pool_t* /*plog*/, apr_pool_t* /*ptemp*/,
                     server_rec* server) {
    if (process_config(server).plugin_sections == 0 || !children_serve_together()) {
        return OK;
    }
    try {
        all_siblings = new Siblings(max_processes());
        apr_pool_cleanup_register(pconf, nullptr, forget_siblings, apr_pool_cleanup_null);
    } catch (const std::exception&) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_WARNING, 0, server,
                     "WS0141: no memory or descriptors that the children could share: one that is "
                     "full refuses clients for which others have room");
    }
    return OK;
}

void reap_load_of_child(server_rec* /*server*/, pid_t child, ap_generation_t /*generation*/,
                        int /*slot*/, mpm_child_status status) {
    if (status == MPM_CHILD_EXITED && all_siblings != nullptr) {
        all_siblings->loads_.reap(child);
    }
}

}  // namespace websocket::httpd
