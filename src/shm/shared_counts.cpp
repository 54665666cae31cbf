// SPDX-License-Identifier: Apache-2.0
#include "shm/shared_counts.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>

namespace websocket::shm {

namespace {

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
    return std::clamp(fitting, SharedCounts::kMinEntries, SharedCounts::kMaxEntries);
}

}  // namespace

SharedCounts::SharedCounts(std::uint32_t processes, std::uint32_t entries)
    : entries_(entries != 0 ? entries : fitting_entries(processes)), secret_(make_secret()),
      tables_(processes, entries_ * sizeof(Entry)) {}

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
    auto* own = static_cast<Entry*>(tables_.own());
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
    std::uint64_t sum = 0;
    tables_.for_each([&](pid_t /*process*/, const void* table) {
        sum += count(static_cast<const Entry*>(table), spot);
    });
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

}  // namespace websocket::shm
