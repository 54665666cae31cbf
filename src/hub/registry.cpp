// SPDX-License-Identifier: Apache-2.0
#include "hub/registry.hpp"

#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "shm/owner.hpp"

namespace websocket::hub {

namespace {

/// Changes whenever the memory or what goes over the sockets does: processes of different versions
/// of this module, after a graceful restart, leave each other alone.
constexpr std::uint64_t kLayout = 0x57534850'00000002;

template <class Value>
void randomise(Value& value) {
    if (::getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value)) {
        throw std::system_error(errno, std::generic_category(), "getrandom");
    }
}

}  // namespace

/// Behind it: a word for each seat's owner, one for each seat's occupant, then the bits of each seat.
struct Registry::Header {
    std::uint64_t layout;
    std::uint32_t seats;
    std::atomic<std::uint32_t> in_use;
    base::HashKey hash_key;
    Secret secret;
};

Registry Registry::create(std::uint32_t seats) {
    const std::size_t size =
        sizeof(Header) + std::size_t{seats} * (2 + std::size_t{kWords}) * sizeof(Word);
    // Pages that nobody touches cost nothing; a process touches 32 KiB.
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        throw std::system_error(errno, std::generic_category(), "mmap");
    }
    auto* header = new (memory) Header{};
    try {
        randomise(header->hash_key);
        randomise(header->secret);
    } catch (...) {
        ::munmap(memory, size);
        throw;
    }
    header->seats = seats;
    header->layout = kLayout;
    return Registry(header);
}

std::optional<Registry> Registry::at(void* memory, std::uint32_t seats) noexcept {
    auto* header = static_cast<Header*>(memory);
    if (header == nullptr || header->layout != kLayout || header->seats < seats) {
        return {};
    }
    return Registry(header);
}

const Registry::Secret& Registry::secret() const noexcept { return header_->secret; }
const base::HashKey& Registry::hash_key() const noexcept { return header_->hash_key; }

std::uint32_t Registry::seats_in_use() const noexcept { return header_->in_use.load(); }

/// The kernel gives pages of zeros, which is what an array of atomic zeros looks like.
Registry::Word& Registry::owner_word(std::uint32_t seat) const noexcept {
    return reinterpret_cast<Word*>(header_ + 1)[seat];
}

Registry::Word& Registry::occupant_word(std::uint32_t seat) const noexcept {
    return (&owner_word(header_->seats))[seat];
}

Registry::Word& Registry::bits(std::uint32_t seat, std::uint32_t word) const noexcept {
    return (&occupant_word(header_->seats))[std::size_t{seat} * kWords + word];
}

std::uint64_t Registry::occupant(std::uint32_t seat) const noexcept {
    return occupant_word(seat).load();
}

std::optional<std::uint32_t> Registry::sit_down(std::uint64_t process) noexcept {
    for (std::uint32_t seat = 0; seat < header_->seats; ++seat) {
        std::uint64_t nobody = 0;
        if (!owner_word(seat).compare_exchange_strong(nobody,
                                                      static_cast<std::uint64_t>(::getpid()))) {
            continue;
        }
        for (std::uint32_t word = 0; word < kWords; ++word) {
            bits(seat, word).store(0, std::memory_order_relaxed);
        }
        occupant_word(seat).store(process);
        std::uint32_t in_use = header_->in_use.load();
        while (in_use <= seat && !header_->in_use.compare_exchange_weak(in_use, seat + 1)) {
        }
        return seat;
    }
    return {};
}

/// Only who takes the occupant's number away frees the seat, so nobody frees it for the next owner.
void Registry::stand_up(std::uint32_t seat, std::uint64_t process) noexcept {
    std::uint64_t owner = owner_word(seat).load();
    if (occupant_word(seat).compare_exchange_strong(process, 0)) {
        owner_word(seat).compare_exchange_strong(owner, 0);
    }
}

void Registry::forget(pid_t ended) noexcept {
    for (std::uint32_t seat = 0; seat < header_->seats; ++seat) {
        auto owner = static_cast<std::uint64_t>(ended);
        if (owner_word(seat).load() == owner) {
            occupant_word(seat).store(0);
            owner_word(seat).compare_exchange_strong(owner, 0);
        }
    }
}

void Registry::forget_ended() noexcept {
    for (std::uint32_t seat = 0; seat < header_->seats; ++seat) {
        const auto owner = static_cast<pid_t>(owner_word(seat).load());
        if (owner != 0 && shm::Owner(owner, 0).is_gone()) {
            forget(owner);
        }
    }
}

bool Registry::wants(std::uint32_t seat, std::uint32_t bucket) const noexcept {
    const std::uint64_t word = bits(seat, bucket / kWordBits).load();
    return (word >> bucket % kWordBits & 1) != 0;
}

void Registry::set_wants(std::uint32_t seat, std::uint32_t bucket, bool wanted) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << bucket % kWordBits;
    Word& word = bits(seat, bucket / kWordBits);
    if (wanted) {
        word.fetch_or(bit);
    } else {
        word.fetch_and(~bit);
    }
}

}  // namespace websocket::hub
