// SPDX-License-Identifier: Apache-2.0
#include "hub/registry.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "base/descriptor.hpp"
#include "shm/mapping.hpp"

namespace websocket::hub {

namespace {

/// Changes whenever the memory or what goes over the sockets does: processes of different versions
/// of this module, after a graceful restart, leave each other alone.
constexpr std::uint64_t kLayout = 0x57534850'00000007;

template <class Value>
void randomise(Value& value) {
    if (::getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value)) {
        throw std::system_error(errno, std::generic_category(), "getrandom");
    }
}

/// Where pages begin, whatever their size.
constexpr std::size_t kPage = std::size_t{64} << 10;

}  // namespace

/// Behind it: the table of slots, the address of each slot, the bits of each slot; then, where pages begin, what each
/// slot counts.
struct alignas(64) Registry::Header {
    std::uint64_t layout;
    std::uint32_t slots;
    int file;
    base::HashKey hash_key;
    Secret secret;
    Word bridge;
    Word ordered;  ///< the address of the bridge that puts topics with history in order
    Word numbers;
    Word has_all_until;
    std::uint64_t host;
    BridgeCounts bridge_counts;

    [[nodiscard]] char* end() noexcept { return reinterpret_cast<char*>(this + 1); }

    /// Bytes in front of what the slots count.
    [[nodiscard]] static std::size_t size(std::uint32_t slots) noexcept {
        const std::size_t words = std::size_t{slots} * (1 + std::size_t{kWords});
        const std::size_t bytes =
            sizeof(Header) + shm::ProcessSlots::bytes(slots) + words * sizeof(Word);
        return (bytes + kPage - 1) / kPage * kPage;
    }
};

/// The kernel gives pages of zeros, which is what an array of atomic zeros looks like.
Registry::Registry(Header* header) noexcept
    : header_(header), slots_(header->end(), header->slots),
      addresses_(reinterpret_cast<Word*>(header->end() + shm::ProcessSlots::bytes(header->slots))),
      cells_(reinterpret_cast<SubscriberCounts::Cell*>(reinterpret_cast<char*>(header) +
                                                       Header::size(header->slots))) {}

Registry Registry::create(std::uint32_t slots) {
    // Pages that nobody touches cost nothing; a process touches 32 KiB.
    const std::size_t size = Header::size(slots) + std::size_t{slots} * SubscriberCounts::kCells *
                                                       sizeof(SubscriberCounts::Cell);
    base::Descriptor file;
    shm::Mapping mapping = shm::Mapping::in_new_file("websocket-topics", size, file);
    auto* header = new (mapping.data()) Header{};
    randomise(header->hash_key);
    randomise(header->secret);
    do {
        randomise(header->host);
    } while (header->host == 0);
    header->slots = slots;
    header->file = file.release();
    header->layout = kLayout;
    mapping.release();
    return Registry(header);
}

std::optional<Registry> Registry::at(void* memory, std::uint32_t slots) noexcept {
    auto* header = static_cast<Header*>(memory);
    if (header == nullptr || header->layout != kLayout || header->slots < slots) {
        return {};
    }
    return Registry(header);
}

std::optional<Registry> Registry::open(int file) {
    shm::Mapping mapping = shm::Mapping::of_whole_file(file, sizeof(Header));
    if (!mapping.valid()) {
        return {};
    }
    const auto* header = static_cast<const Header*>(mapping.data());
    const std::size_t counted =
        std::size_t{header->slots} * SubscriberCounts::kCells * sizeof(SubscriberCounts::Cell);
    if (header->layout != kLayout || mapping.size() < Header::size(header->slots) + counted) {
        return {};
    }
    return Registry(static_cast<Header*>(mapping.release()));
}

int Registry::file() const noexcept { return header_->file; }
const Registry::Secret& Registry::secret() const noexcept { return header_->secret; }
const base::HashKey& Registry::hash_key() const noexcept { return header_->hash_key; }

Registry::Word& Registry::bits(std::uint32_t slot, std::uint32_t word) const noexcept {
    return addresses_[header_->slots + std::size_t{slot} * kWords + word];
}

std::optional<std::uint32_t> Registry::claim(std::uint64_t address) noexcept {
    auto claim = slots_.claim();
    if (!claim) {
        reap_ended();  // whose parent has not been told yet
        claim = slots_.claim();
    }
    if (!claim) {
        return {};
    }
    for (std::uint32_t word = 0; word < kWords; ++word) {
        bits(claim->slot, word).store(0, std::memory_order_relaxed);
    }
    subscribers(claim->slot).clear();
    address_word(claim->slot).store(address);
    return claim->slot;
}

/// An address belongs to one claim, and the owner was read first: if it has the slot still, the address
/// is its own.
void Registry::release(std::uint32_t slot, std::uint64_t address) noexcept {
    const shm::Owner seen = slots_.owner(slot);
    if (seen.is_claimed() && address_word(slot).load() == address) {
        slots_.reap(slot, seen, [this](std::uint32_t freed) { forget_address(freed); });
    }
}

void Registry::reap(pid_t ended) noexcept {
    slots_.reap(ended, [this](std::uint32_t slot) { forget_address(slot); });
}

void Registry::reap_ended() noexcept {
    slots_.reap_ended([this](std::uint32_t slot) { forget_address(slot); });
}

void Registry::forget_address(std::uint32_t slot) noexcept {
    std::uint64_t address = address_word(slot).exchange(0);
    if (address != 0) {
        header_->bridge.compare_exchange_strong(address, 0);
    }
}

bool Registry::set_bridge(std::uint32_t slot) noexcept {
    std::uint64_t none = 0;
    if (!header_->bridge.compare_exchange_strong(none, address(slot))) {
        return false;
    }
    for (std::uint32_t word = 0; word < kWords; ++word) {
        bits(slot, word).store(~std::uint64_t{0});
    }
    return true;
}

std::uint64_t Registry::bridge() const noexcept { return header_->bridge.load(); }

void Registry::set_ordered(std::uint64_t bridge) noexcept { header_->ordered.store(bridge); }

bool Registry::is_ordered() const noexcept {
    const std::uint64_t bridge = header_->bridge.load();
    return bridge != 0 && header_->ordered.load() == bridge;
}

std::uint64_t Registry::host() const noexcept { return header_->host; }
std::uint64_t Registry::next_number() noexcept { return header_->numbers.fetch_add(1) + 1; }
std::atomic<std::uint64_t>& Registry::has_all_until() noexcept { return header_->has_all_until; }

std::optional<std::uint32_t> Registry::slot_at(std::uint64_t wanted) const noexcept {
    for (std::uint32_t slot = 0; slot < slots_used(); ++slot) {
        if (address(slot) == wanted) {
            return slot;
        }
    }
    return {};
}

BridgeCounts& Registry::bridge_counts() const noexcept { return header_->bridge_counts; }

SubscriberCounts Registry::subscribers(std::uint32_t slot) const noexcept {
    constexpr std::size_t kCells = SubscriberCounts::kCells;
    return SubscriberCounts(
        std::span<SubscriberCounts::Cell, kCells>(cells_ + slot * kCells, kCells));
}

bool Registry::wants(std::uint32_t slot, std::uint32_t bucket) const noexcept {
    const std::uint64_t word = bits(slot, bucket / kWordBits).load();
    return (word >> bucket % kWordBits & 1) != 0;
}

void Registry::set_wants(std::uint32_t slot, std::uint32_t bucket, bool wanted) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << bucket % kWordBits;
    Word& word = bits(slot, bucket / kWordBits);
    if (wanted) {
        word.fetch_or(bit);
    } else {
        word.fetch_and(~bit);
    }
}

}  // namespace websocket::hub
