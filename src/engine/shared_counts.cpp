// SPDX-License-Identifier: Apache-2.0
#include "engine/shared_counts.hpp"

#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <new>

namespace websocket::engine {

namespace {

std::size_t whole_pages(std::size_t size) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return (size + page - 1) / page * page;
}

/// The finaliser of MurmurHash3: every bit of the input changes every bit of the output.
constexpr std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDU;
    x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53U;
    return x ^ (x >> 33);
}

/// Whoever knew it could choose addresses that fill one bucket.
std::uint64_t make_secret() {
    std::uint64_t secret = 0;
    if (::getrandom(&secret, sizeof secret, GRND_NONBLOCK) != sizeof secret) {
        secret =
            static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    }
    return secret;
}

std::uint32_t fitting_entries(std::uint32_t processes) {
    const std::size_t share = SharedCounts::kMemory / sizeof(std::uint64_t) / processes;
    const auto fitting =
        static_cast<std::uint32_t>(std::bit_floor(std::max<std::size_t>(1, share)));
    return std::clamp(fitting, SharedCounts::kLeastEntries, SharedCounts::kMostEntries);
}

void* map(std::size_t size, int sharing) noexcept {
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                          sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory != MAP_FAILED ? memory : nullptr;
}

}  // namespace

SharedCounts::SharedCounts(std::uint32_t processes, std::uint32_t entries)
    : processes_(processes), entries_(entries != 0 ? entries : fitting_entries(processes)),
      stride_(whole_pages(entries_ * sizeof(Entry))), secret_(make_secret()) {
    const std::size_t owners = whole_pages(processes * sizeof(std::atomic<pid_t>));
    size_ = owners + processes * stride_;
    memory_ = map(size_, MAP_SHARED);
    if (memory_ == nullptr) {
        throw std::bad_alloc();
    }
    // Zeros from the kernel are atomics with the value 0.
    owners_ = static_cast<std::atomic<pid_t>*>(memory_);
    tables_ = static_cast<char*>(memory_) + owners;
}

SharedCounts::~SharedCounts() {
    if (alone_.load() && own_.load() != nullptr) {
        ::munmap(own_.load(), stride_);
    }
    ::munmap(memory_, size_);
}

SharedCounts::Spot SharedCounts::spot_of(CountKey key) const noexcept {
    const std::uint64_t hash =
        mix(mix(key.value ^ secret_) + std::rotl(mix(key.space ^ ~secret_), 32));
    const std::uint32_t buckets = entries_ / kBucket;
    const auto low = static_cast<std::uint32_t>(hash);
    const std::uint32_t first = low % buckets;
    // Any other bucket; which one is known from bits that the tag does not hold, too.
    const auto step = static_cast<std::uint32_t>(mix(hash) % (buckets - 1));
    const std::uint32_t second = (first + 1 + step) % buckets;
    return {hash & ~kCountMask, first * kBucket, second * kBucket};
}

std::optional<SharedCounts::Lease> SharedCounts::take(CountKey key, std::uint32_t most) noexcept {
    const Spot spot = spot_of(key);
    Entry* own = own_table();
    Entry* entry = own != nullptr ? add(own, spot) : nullptr;
    if (entry == nullptr) {
        return total(key) < most ? std::optional(Lease()) : std::nullopt;
    }
    // First counted, then looked: of two processes at least one sees the other.
    Lease lease(entry);
    if (total(key) > most) {
        return {};
    }
    return lease;
}

std::uint64_t SharedCounts::total(CountKey key) const noexcept {
    const Spot spot = spot_of(key);
    if (alone_.load()) {
        const Entry* own = own_.load();
        return own != nullptr ? count(own, spot) : 0;
    }
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < processes_; ++i) {
        if (owners_[i].load() != 0) {
            sum += count(table(i), spot);
        }
    }
    return sum;
}

SharedCounts::Entry* SharedCounts::add(Entry* table, const Spot& spot) noexcept {
    const std::array buckets{table + spot.first, table + spot.second};
    for (;;) {
        Entry* found = nullptr;
        std::uint64_t seen = 0;
        std::array<std::uint32_t, 2> used{};
        std::array<Entry*, 2> free{};
        for (std::size_t b = 0; b < buckets.size() && found == nullptr; ++b) {
            for (Entry* entry = buckets.at(b); entry != buckets.at(b) + kBucket; ++entry) {
                const std::uint64_t word = entry->load();
                if ((word & kCountMask) == 0) {
                    free.at(b) = entry;
                } else if ((word & ~kCountMask) == spot.tag) {
                    found = entry;
                    seen = word;
                    break;
                } else {
                    ++used.at(b);
                }
            }
        }
        if (found == nullptr) {
            // The emptier bucket, so that both fill up evenly.
            found = used[0] <= used[1] ? free[0] : free[1];
            if (found == nullptr) {
                return nullptr;
            }
            seen = found->load();
            if ((seen & kCountMask) != 0) {
                continue;  // somebody was faster
            }
            seen &= ~kCountMask;
        }
        if ((seen & kCountMask) == kCountMask) {
            return nullptr;
        }
        std::uint64_t expected = seen;
        const std::uint64_t next = (spot.tag | (seen & kCountMask)) + 1;
        if (found->compare_exchange_strong(expected, next)) {
            return found;
        }
    }
}

std::uint64_t SharedCounts::count(const Entry* table, const Spot& spot) noexcept {
    std::uint64_t sum = 0;
    for (const std::uint32_t bucket : {spot.first, spot.second}) {
        for (std::uint32_t i = 0; i < kBucket; ++i) {
            const std::uint64_t word = table[bucket + i].load();
            sum += (word & ~kCountMask) == spot.tag ? word & kCountMask : 0;
        }
    }
    return sum;
}

SharedCounts::Entry* SharedCounts::own_table() noexcept {
    Entry* own = own_.load();
    return own != nullptr ? own : claim_table();
}

SharedCounts::Entry* SharedCounts::claim_table() noexcept {
    const std::lock_guard lock(claim_mutex_);
    Entry* own = own_.load();
    const pid_t self = ::getpid();
    for (std::uint32_t i = 0; own == nullptr && i < processes_; ++i) {
        pid_t nobody = 0;
        if (owners_[i].compare_exchange_strong(nobody, self)) {
            own = table(i);
        }
    }
    if (own == nullptr) {
        own = static_cast<Entry*>(map(stride_, MAP_PRIVATE));
        alone_.store(true);
    }
    own_.store(own);
    return own;
}

void SharedCounts::forget_process(pid_t process) noexcept {
    for (std::uint32_t i = 0; i < processes_; ++i) {
        if (owners_[i].load() != process) {
            continue;
        }
        // Gives the memory back to the system, too; the next one to look sees zeros.
        if (::madvise(table(i), stride_, MADV_REMOVE) != 0) {
            std::for_each(table(i), table(i) + entries_, [](Entry& entry) { entry.store(0); });
        }
        owners_[i].store(0);
    }
}

void SharedCounts::forget_ended() noexcept {
    for (std::uint32_t i = 0; i < processes_; ++i) {
        const pid_t owner = owners_[i].load();
        if (owner != 0 && ::kill(owner, 0) != 0 && errno == ESRCH) {
            forget_process(owner);
        }
    }
}

}  // namespace websocket::engine
