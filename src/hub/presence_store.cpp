// SPDX-License-Identifier: Apache-2.0
#include "hub/presence_store.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <map>
#include <new>
#include <system_error>

#include "base/descriptor.hpp"
#include "engine/event_form.hpp"
#include "shm/mapping.hpp"

namespace websocket::hub {

using engine::text_bytes;
using shm::BlockPool;

namespace {

/// Changes whenever the memory does.
constexpr std::uint64_t kPresenceLayout = 0x57535052'00000003;
/// Of the memory, other hosts may use all but this part.
constexpr std::size_t kOwnPart = 8;

}  // namespace

/// Begins a chain; id and info follow.
struct PresenceStore::Entry {
    shm::Owner::Word owner;
    std::uint32_t slot;
    Index next;  ///< of the topic
    std::uint32_t id_size;
    std::uint32_t info_size;
};

/// Begins a chain; the key follows.
struct PresenceStore::Topic {
    std::uint64_t hash;
    Index next;  ///< in its bucket
    Index first;
    std::uint32_t key_size;
};

/// Behind it: the table of slots, the leases of hosts, the buckets, the blocks.
struct alignas(64) PresenceStore::Header {
    std::uint64_t layout;
    std::uint64_t size;  ///< of all
    std::uint64_t host;
    std::uint32_t processes;
    int file;
    std::uint32_t buckets;
    std::uint32_t blocks;
    std::atomic<std::uint64_t> changes;
    std::atomic<std::uint64_t> ends;
    std::uint64_t swept_at;  ///< ends and 1, when sweep() looked last
    shm::RobustMutex mutex;
    BlockPool::Header pool;

    [[nodiscard]] char* end() noexcept { return reinterpret_cast<char*>(this + 1); }
    [[nodiscard]] char* leases() noexcept { return end() + shm::ProcessSlots::bytes(processes); }
    [[nodiscard]] Index* first_bucket() noexcept {
        return reinterpret_cast<Index*>(leases() + HostLeases::bytes());
    }
    /// Bytes in front of the blocks.
    [[nodiscard]] static std::size_t size_before(std::uint32_t processes,
                                                 std::size_t buckets) noexcept {
        return sizeof(Header) + shm::ProcessSlots::bytes(processes) + HostLeases::bytes() +
               buckets * sizeof(Index);
    }
};

// --- the memory ----------------------------------------------------------------------------------

PresenceStore::PresenceStore(Header* header) noexcept
    : header_(header), buckets_(header->first_bucket()), slots_(header->end(), header->processes),
      hosts_(header->leases()), pool_(header->pool, buckets_ + header->buckets, header->blocks) {}

shm::RobustLock PresenceStore::locked() const noexcept {
    return {header_->mutex, [this] { recover(); }};
}

PresenceStore PresenceStore::create(std::size_t bytes, std::uint32_t processes) {
    const std::size_t buckets = std::bit_floor(bytes / BlockPool::kBlock / 4);
    const std::size_t size = Header::size_before(processes, buckets) + bytes;
    base::Descriptor file;
    shm::Mapping mapping = shm::Mapping::in_new_file("websocket-presence", size, file);
    auto* header = new (mapping.data()) Header{};
    while (header->host == 0) {
        if (::getrandom(&header->host, sizeof header->host, 0) != sizeof header->host) {
            throw std::system_error(errno, std::generic_category(), "getrandom");
        }
    }
    header->size = bytes;
    header->processes = processes;
    header->buckets = static_cast<std::uint32_t>(buckets);
    header->blocks = static_cast<std::uint32_t>(bytes / BlockPool::kBlock);
    header->file = file.release();
    header->layout = kPresenceLayout;
    mapping.release();
    return PresenceStore(header);
}

std::optional<PresenceStore> PresenceStore::at(void* memory, std::uint32_t processes) noexcept {
    auto* header = static_cast<Header*>(memory);
    if (header == nullptr || header->layout != kPresenceLayout || header->processes < processes) {
        return {};
    }
    return PresenceStore(header);
}

std::optional<PresenceStore> PresenceStore::open(int file) {
    shm::Mapping mapping = shm::Mapping::of_whole_file(file, sizeof(Header));
    if (!mapping.valid()) {
        return {};
    }
    const auto* header = static_cast<const Header*>(mapping.data());
    if (header->layout != kPresenceLayout ||
        mapping.size() != Header::size_before(header->processes, header->buckets) + header->size) {
        return {};
    }
    return PresenceStore(static_cast<Header*>(mapping.release()));
}

std::size_t PresenceStore::bytes() const noexcept { return header_->size; }
int PresenceStore::file() const noexcept { return header_->file; }
std::uint64_t PresenceStore::host() const noexcept { return header_->host; }

std::uint64_t PresenceStore::changes() const noexcept { return header_->changes.load(); }
std::uint64_t PresenceStore::ends() const noexcept { return header_->ends.load(); }
void PresenceStore::changed() const noexcept { header_->changes.fetch_add(1); }
void PresenceStore::all_of_one_gone() const noexcept {
    header_->ends.fetch_add(1);
    changed();
}

std::optional<PresenceStore::Usage> PresenceStore::usage() const noexcept {
    const shm::RobustLock lock = locked();
    if (!lock) {
        return {};
    }
    Usage usage{.bytes = pool_.bytes_used(), .topics = 0, .members = 0};
    for (std::uint32_t bucket = 0; bucket < header_->buckets; ++bucket) {
        for (Index at = buckets_[bucket]; at != 0; at = pool_.at<Topic>(at).next) {
            ++usage.topics;
            for (Index entry = pool_.at<Topic>(at).first; entry != 0;
                 entry = pool_.at<Entry>(entry).next) {
                usage.members += is_present(pool_.at<Entry>(entry)) ? 1 : 0;
            }
        }
    }
    return usage;
}

void PresenceStore::recover() const noexcept {
    pool_.begin_recovery();
    for (std::uint32_t bucket = 0; bucket < header_->buckets; ++bucket) {
        for (Index at = buckets_[bucket]; at != 0; at = pool_.at<Topic>(at).next) {
            pool_.keep(at);
            for (Index entry = pool_.at<Topic>(at).first; entry != 0;
                 entry = pool_.at<Entry>(entry).next) {
                pool_.keep(entry);
            }
        }
    }
    pool_.end_recovery();
}

// --- processes -----------------------------------------------------------------------------------

std::optional<PresenceStore::Self> PresenceStore::claim() noexcept {
    auto claim = slots_.claim();
    if (!claim) {
        reap_ended();  // whose parent has not been told yet
        claim = slots_.claim();
    }
    return claim;
}

void PresenceStore::reap(pid_t ended) noexcept {
    slots_.reap(ended, [](std::uint32_t) {});
    all_of_one_gone();
}

void PresenceStore::reap_ended() noexcept {
    slots_.reap_ended([](std::uint32_t) {});
    all_of_one_gone();
}

// --- other hosts ---------------------------------------------------------------------------------

/// Their slots have the numbers behind those of processes.
bool PresenceStore::is_of_host(std::uint32_t slot) const noexcept {
    return slot >= header_->processes;
}

PresenceStore::Self PresenceStore::lease_of(const Self& host) const noexcept {
    return {host.slot - header_->processes, host.owner};
}

std::optional<PresenceStore::Self> PresenceStore::take_host(std::uint64_t host,
                                                            Time until) const noexcept {
    auto lease = hosts_.take(host, until);
    if (lease) {
        lease->slot += header_->processes;
    }
    return lease;
}

bool PresenceStore::renew_host(const Self& host, Time until) const noexcept {
    return hosts_.renew(lease_of(host), until);
}

void PresenceStore::end_host(const Self& host) const noexcept {
    hosts_.end(lease_of(host));
    all_of_one_gone();
}

void PresenceStore::end_overdue_hosts(Time now) const noexcept {
    if (hosts_.end_overdue(now)) {
        all_of_one_gone();
    }
}

bool PresenceStore::is_present(const Entry& entry) const noexcept {
    return is_of_host(entry.slot) ? hosts_.lasts(entry.slot - header_->processes, entry.owner)
                                  : slots_.owner(entry.slot).word() == entry.owner;
}

// --- members -------------------------------------------------------------------------------------

PresenceStore::Index PresenceStore::find(const TopicKey& key) const noexcept {
    const auto bytes = text_bytes(key.bytes());
    for (Index at = buckets_[key.hash() % header_->buckets]; at != 0;
         at = pool_.at<Topic>(at).next) {
        const Topic& head = pool_.at<Topic>(at);
        if (head.hash == key.hash() && head.key_size == bytes.size() &&
            pool_.cursor(at, sizeof(Topic)).equals(bytes)) {
            return at;
        }
    }
    return 0;
}

PresenceStore::Index PresenceStore::find(Index topic, const Self& self,
                                         std::string_view id) const noexcept {
    for (Index at = pool_.at<Topic>(topic).first; at != 0; at = pool_.at<Entry>(at).next) {
        const Entry& entry = pool_.at<Entry>(at);
        if (entry.owner == self.owner.word() && entry.slot == self.slot &&
            entry.id_size == id.size() && pool_.cursor(at, sizeof(Entry)).equals(text_bytes(id))) {
            return at;
        }
    }
    return 0;
}

template <class Condition>
void PresenceStore::remove_if(Index topic, Condition condition) const noexcept {
    for (Index* link = &pool_.at<Topic>(topic).first; *link != 0;) {
        const Index at = *link;
        const Entry& entry = pool_.at<Entry>(at);
        if (condition(at, entry)) {
            BlockPool::set(*link, entry.next);
            pool_.give_back(at);
        } else {
            link = &pool_.at<Entry>(at).next;
        }
    }
}

/// Frees what processes that are gone have left, and topics without members: unless no process has gone since the last
/// time, or whoever comes to a full memory would look at all of it each time.
void PresenceStore::sweep() const noexcept {
    const std::uint64_t now = ends() + 1;
    if (header_->swept_at == now) {
        return;
    }
    for (std::uint32_t bucket = 0; bucket < header_->buckets; ++bucket) {
        for (Index* link = &buckets_[bucket]; *link != 0;) {
            const Index at = *link;
            remove_if(at, [this](Index, const Entry& entry) { return !is_present(entry); });
            if (pool_.at<Topic>(at).first == 0) {
                BlockPool::set(*link, pool_.at<Topic>(at).next);
                pool_.give_back(at);
            } else {
                link = &pool_.at<Topic>(at).next;
            }
        }
    }
    header_->swept_at = now;
}

/// 0 when there is no room.
PresenceStore::Index PresenceStore::take(std::size_t bytes) const noexcept {
    return pool_.available() >= BlockPool::blocks_for(bytes) ? pool_.take(bytes) : 0;
}

PresenceStore::Index PresenceStore::make(const TopicKey& key) const noexcept {
    const auto name = text_bytes(key.bytes());
    const Index made = take(sizeof(Topic) + name.size());
    if (made != 0) {
        Index& bucket = buckets_[key.hash() % header_->buckets];
        pool_.make(made, Topic{key.hash(), bucket, 0, static_cast<std::uint32_t>(name.size())});
        pool_.cursor(made, sizeof(Topic)).write(name);
        BlockPool::set(bucket, made);
    }
    return made;
}

PresenceStore::Result PresenceStore::enter(const TopicKey& key, const Self& self,
                                           std::string_view id, std::string_view info) noexcept {
    return enter(key, self, id, info, Known::perhaps);
}

PresenceStore::Result PresenceStore::add(const TopicKey& key, const Self& self, std::string_view id,
                                         std::string_view info) noexcept {
    return enter(key, self, id, info, Known::surely_not);
}

PresenceStore::Result PresenceStore::enter(const TopicKey& key, const Self& self,
                                           std::string_view id, std::string_view info,
                                           Known member) noexcept {
    const shm::RobustLock lock = locked();
    if (!lock) {
        return Result::unavailable;
    }
    const std::size_t size = sizeof(Entry) + id.size() + info.size();
    const std::size_t most =
        BlockPool::blocks_for(size) + BlockPool::blocks_for(sizeof(Topic) + key.bytes().size());
    const std::size_t wanted = most + (is_of_host(self.slot) ? pool_.count() / kOwnPart : 0);
    if (pool_.available() < wanted) {
        sweep();
        if (pool_.available() < wanted) {
            return Result::full;
        }
    }
    const Index known = find(key);
    const Index topic = known != 0 ? known : make(key);
    const Index before = member == Known::perhaps ? find(topic, self, id) : 0;
    const Index made = take(size);
    Index& first = pool_.at<Topic>(topic).first;
    pool_.make(made,
               Entry{self.owner.word(), self.slot, first, static_cast<std::uint32_t>(id.size()),
                     static_cast<std::uint32_t>(info.size())});
    auto cursor = pool_.cursor(made, sizeof(Entry));
    cursor.write(text_bytes(id));
    cursor.write(text_bytes(info));
    BlockPool::set(first, made);
    if (before != 0) {
        remove_if(topic, [before](Index at, const Entry&) { return at == before; });
    }
    changed();
    return Result::ok;
}

bool PresenceStore::leave(const TopicKey& key, const Self& self, std::string_view id) noexcept {
    const shm::RobustLock lock = locked();
    if (!lock) {
        return false;
    }
    const Index topic = find(key);
    const Index entry = topic != 0 ? find(topic, self, id) : 0;
    if (entry == 0) {
        return true;
    }
    remove_if(topic, [&](Index at, const Entry& one) { return at == entry || !is_present(one); });
    if (pool_.at<Topic>(topic).first == 0) {
        Index* link = &buckets_[key.hash() % header_->buckets];
        while (*link != topic) {
            link = &pool_.at<Topic>(*link).next;
        }
        BlockPool::set(*link, pool_.at<Topic>(topic).next);
        pool_.give_back(topic);
    }
    changed();
    return true;
}

// --- who looks -----------------------------------------------------------------------------------

template <class Condition>
std::optional<std::vector<Member>> PresenceStore::members_if(const TopicKey& key,
                                                             Condition condition) const {
    std::map<std::string, std::string> found;
    {
        const shm::RobustLock lock = locked();
        if (!lock) {
            return {};
        }
        const Index topic = find(key);
        for (Index at = topic != 0 ? pool_.at<Topic>(topic).first : 0; at != 0;
             at = pool_.at<Entry>(at).next) {
            const Entry& entry = pool_.at<Entry>(at);
            if (!is_present(entry) || !condition(entry)) {
                continue;
            }
            std::string id(entry.id_size, '\0');
            std::string info(entry.info_size, '\0');
            auto cursor = pool_.cursor(at, sizeof(Entry));
            cursor.read({reinterpret_cast<std::uint8_t*>(id.data()), id.size()});
            cursor.read({reinterpret_cast<std::uint8_t*>(info.data()), info.size()});
            found.emplace(std::move(id), std::move(info));  // the first is the newest
        }
    }
    std::vector<Member> all;
    all.reserve(found.size());
    for (auto& [id, info] : found) {
        all.push_back({id, std::move(info)});
    }
    return all;
}

std::optional<std::vector<Member>> PresenceStore::members(const TopicKey& key) const {
    return members_if(key, [](const Entry&) { return true; });
}

std::optional<std::vector<Member>> PresenceStore::own_members(const TopicKey& key) const {
    return members_if(key, [this](const Entry& entry) { return !is_of_host(entry.slot); });
}

std::optional<std::vector<Member>> PresenceStore::members_by(const TopicKey& key,
                                                             const Self& self) const {
    return members_if(key, [&](const Entry& entry) {
        return entry.owner == self.owner.word() && entry.slot == self.slot;
    });
}

std::optional<std::vector<std::string>> PresenceStore::topics() const {
    std::vector<std::string> all;
    const shm::RobustLock lock = locked();
    if (!lock) {
        return {};
    }
    for (std::uint32_t bucket = 0; bucket < header_->buckets; ++bucket) {
        for (Index at = buckets_[bucket]; at != 0; at = pool_.at<Topic>(at).next) {
            std::string& name = all.emplace_back(pool_.at<Topic>(at).key_size, '\0');
            pool_.cursor(at, sizeof(Topic))
                .read({reinterpret_cast<std::uint8_t*>(name.data()), name.size()});
        }
    }
    return all;
}

}  // namespace websocket::hub
