// SPDX-License-Identifier: Apache-2.0
#include "httpd/siblings/arrival.hpp"

#include <fcntl.h>
#include <http_main.h>
#include <sys/resource.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <new>
#include <utility>

#include "base/descriptor.hpp"
#include "httpd/config/config.hpp"
#include "httpd/module.hpp"
#include "httpd/process/descriptors.hpp"
#include "httpd/siblings/siblings.hpp"

namespace websocket::httpd {

namespace {

/// Under this name a connection has its place.
constexpr const char* kArrivalKey = "mod_websocket arrival";

using MaybePlace = std::optional<Arrival::Place>;

rlim_t descriptor_limit() noexcept {
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

std::uint32_t as_count(rlim_t descriptors) noexcept {
    constexpr rlim_t kMax = std::numeric_limits<std::int32_t>::max();
    return static_cast<std::uint32_t>(std::min(descriptors, kMax));
}

void update_capacity(ChildLoad& load, int socket) noexcept {
    const auto most =
        static_cast<std::uint32_t>(process_config(ap_server_conf).get(Setting::max_connections));
    const std::uint32_t possible =
        std::min(load.used.load() + Arrival::places_beyond(socket),
                 as_count(descriptors_for_connections(descriptor_limit())));
    load.capacity.store(most != 0 ? std::min(most, possible) : possible);
}

apr_status_t destroy_place(void* place) {
    std::destroy_at(static_cast<MaybePlace*>(place));
    return APR_SUCCESS;
}

MaybePlace* place_of(conn_rec* c) noexcept {
    void* place = nullptr;
    apr_pool_userdata_get(&place, kArrivalKey, c->pool);
    return static_cast<MaybePlace*>(place);
}

}  // namespace

// The kernel gives out the lowest free number, so a new one tells how many are in use at least. Where there are
// gaps below, they are filled before it matters.
std::uint32_t Arrival::places_beyond(int socket) noexcept {
    const auto in_use = static_cast<rlim_t>(socket) + 1;
    const rlim_t all = descriptors_for_connections(descriptor_limit());
    return as_count(all - std::min(all, in_use));
}

bool Arrival::measure() noexcept {
    ChildLoad& load = Siblings::instance()->own();
    const base::Descriptor newest(
        ::fcntl(Siblings::instance()->queue().descriptor(), F_DUPFD_CLOEXEC, 0));
    if (!newest.valid()) {
        return false;
    }
    update_capacity(load, newest.get());
    return load.has_room();
}

std::optional<Arrival::Place> Arrival::reserve(engine::Engine& engine, int socket) noexcept {
    ChildLoad& load = Siblings::instance()->own();
    update_capacity(load, socket);
    auto why = engine::Refusal::stopping;
    return load.has_room() ? engine.reserve(why) : std::nullopt;
}

void Arrival::attach(conn_rec* c, Place place) noexcept {
    if (MaybePlace* before = place_of(c)) {
        before->reset();  // of the request before
        before->emplace(std::move(place));
        return;
    }
    auto* kept = new (apr_palloc(c->pool, sizeof(MaybePlace))) MaybePlace(std::move(place));
    apr_pool_userdata_setn(kept, kArrivalKey, destroy_place, c->pool);
}

std::optional<Arrival::Place> Arrival::take(const request_rec* r) noexcept {
    MaybePlace* kept = r->connection->master == nullptr ? place_of(r->connection) : nullptr;
    MaybePlace taken;
    if (kept != nullptr && kept->has_value()) {
        taken.emplace(std::move(**kept));
        kept->reset();
    }
    return taken;
}

void Arrival::give_back(conn_rec* c) noexcept {
    if (MaybePlace* kept = place_of(c)) {
        kept->reset();
    }
}

}  // namespace websocket::httpd
