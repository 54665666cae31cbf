// SPDX-License-Identifier: Apache-2.0
#include "hub/leaders.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <system_error>

namespace websocket::hub {

namespace {

/// Each name has two bytes: who leads has locked the first, and one of those who wait for that the
/// second. 2^61 names are told apart.
constexpr std::int64_t place_of(std::uint64_t hash) noexcept {
    return static_cast<std::int64_t>(hash >> 3) * 2;
}
constexpr std::int64_t waiting_byte(std::int64_t place) noexcept { return place + 1; }

struct flock one_byte(short type, std::int64_t byte) noexcept {
    struct flock range {};
    range.l_type = type;
    range.l_whence = SEEK_SET;
    range.l_start = byte;
    range.l_len = 1;
    return range;
}

}  // namespace

int Leaders::make_file() {
    const int file = ::memfd_create("websocket-leaders", MFD_CLOEXEC);
    if (file < 0) {
        throw std::system_error(errno, std::generic_category(), "memfd_create");
    }
    return file;
}

Leaders::Leaders(int file, const base::HashKey& hash_key, base::Log& log) noexcept
    : file_(file), hash_key_(hash_key), log_(log) {}

// --- the kernel's locks --------------------------------------------------------------------------

bool Leaders::lock(std::int64_t byte) noexcept {
    struct flock range = one_byte(F_WRLCK, byte);
    if (::fcntl(file_, F_SETLK, &range) == 0) {
        return true;
    }
    if (errno != EAGAIN && errno != EACCES) {
        complain(errno);
    }
    return false;
}

void Leaders::unlock(std::int64_t byte) noexcept {
    struct flock range = one_byte(F_UNLCK, byte);
    if (::fcntl(file_, F_SETLK, &range) != 0) {
        complain(errno);
    }
}

bool Leaders::is_locked_elsewhere(std::int64_t byte) noexcept {
    struct flock range = one_byte(F_WRLCK, byte);
    return ::fcntl(file_, F_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

void Leaders::complain(int error) noexcept {
    log_.print(base::LogLevel::error,
               "WS0510: cannot lock what says which child leads; perhaps none does: %s",
               std::strerror(error));
}

// --- candidates ----------------------------------------------------------------------------------

Leadership Leaders::lead(std::string_view scope, std::string_view name,
                         const void* candidate) noexcept {
    const std::optional<TopicKey> key = TopicKey::make(scope, name, hash_key_);
    if (!key) {
        return Leadership::bad_name;
    }
    const std::int64_t place = place_of(key->hash());
    const std::lock_guard guard(mutex_);
    const bool makes_way = draining_ && is_locked_elsewhere(waiting_byte(place));
    try {
        if (const auto found = led_.find(place); found != led_.end()) {
            if (found->second != candidate) {
                return Leadership::follows;
            }
            if (makes_way) {
                give_up(led_, place, place, candidate);
            }
            return makes_way ? Leadership::follows : Leadership::leads;
        }
        if (makes_way || led_.size() >= kMax) {
            return Leadership::follows;
        }
        const auto made = led_.emplace(place, candidate).first;
        if (!lock(place)) {
            led_.erase(made);
            return follow(place, candidate);
        }
        if (awaited_.erase(place) != 0) {
            unlock(waiting_byte(place));
        }
        return Leadership::leads;
    } catch (const std::bad_alloc&) {
        return Leadership::no_memory;
    }
}

Leadership Leaders::follow(std::int64_t place, const void* candidate) {
    if (!draining_ && awaited_.size() < kMax) {
        const auto [found, made] = awaited_.try_emplace(place, candidate);
        if (made && !lock(waiting_byte(place))) {
            awaited_.erase(found);  // another process waits already
        }
    }
    return Leadership::follows;
}

void Leaders::give_up(Places& places, std::int64_t byte, std::int64_t place,
                      const void* candidate) noexcept {
    const auto found = places.find(place);
    if (found != places.end() && found->second == candidate) {
        places.erase(found);
        unlock(byte);
    }
}

void Leaders::resign(std::string_view scope, std::string_view name,
                     const void* candidate) noexcept {
    const std::optional<TopicKey> key = TopicKey::make(scope, name, hash_key_);
    if (!key) {
        return;
    }
    const std::int64_t place = place_of(key->hash());
    const std::lock_guard guard(mutex_);
    give_up(led_, place, place, candidate);
    give_up(awaited_, waiting_byte(place), place, candidate);
}

void Leaders::resign_all(const void* candidate) noexcept {
    const std::lock_guard guard(mutex_);
    std::erase_if(led_, [&](const auto& one) {
        if (one.second == candidate) unlock(one.first);
        return one.second == candidate;
    });
    std::erase_if(awaited_, [&](const auto& one) {
        if (one.second == candidate) unlock(waiting_byte(one.first));
        return one.second == candidate;
    });
}

void Leaders::begin_drain() noexcept {
    const std::lock_guard guard(mutex_);
    draining_ = true;
    for (const auto& [place, candidate] : awaited_) {
        unlock(waiting_byte(place));
    }
    awaited_.clear();
}

}  // namespace websocket::hub
