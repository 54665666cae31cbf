// SPDX-License-Identifier: Apache-2.0
// Who is present in which topic, in memory that all processes share.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/host_leases.hpp"
#include "hub/topic_key.hpp"
#include "shm/block_pool.hpp"
#include "shm/process_slots.hpp"
#include "shm/robust_mutex.hpp"

namespace websocket::hub {

/// Somebody in a topic: an id, and what others are to know.
struct Member {
    std::string id;
    std::string info;
    auto operator<=>(const Member&) const = default;
};

/// A handle on the memory. Who is present is so by a process, which has a slot: when that is reaped, the process's members
/// are gone at once, and their memory is found when somebody looks. The same holds for another host, whose members the
/// bridge enters. A process may be killed at any instruction. All functions: [any thread] of any process, unless they say
/// more.
class PresenceStore {
public:
    static constexpr std::size_t kLeast = std::size_t{64} << 10;
    static constexpr std::size_t kMaxId = 255;
    static constexpr std::size_t kMaxInfo = 4096;
    using Self = shm::ProcessSlots::Claim;
    using Time = HostLeases::Time;

    enum class Result : std::uint8_t {
        ok,
        full,         ///< of members
        unavailable,  ///< a process was stopped with the lock
    };

    /// Maps so much memory for so many processes, which stays until the last process with it has ended. Throws
    /// std::system_error. [config]
    [[nodiscard]] static PresenceStore create(std::size_t bytes, std::uint32_t processes);
    /// The one that an earlier create() has made there, perhaps of another version of this module; nothing when it cannot
    /// be used. [config]
    [[nodiscard]] static std::optional<PresenceStore> at(void* memory,
                                                         std::uint32_t processes) noexcept;
    /// That of a file, which another program has got; nothing when it is of another version. Throws std::system_error.
    [[nodiscard]] static std::optional<PresenceStore> open(int file);
    /// Open as long as the process that has made it.
    [[nodiscard]] int file() const noexcept;
    [[nodiscard]] void* memory() const noexcept { return header_; }
    [[nodiscard]] std::size_t bytes() const noexcept;
    struct Usage {
        std::size_t bytes;  ///< also of members of processes that are gone, until somebody looks
        std::size_t topics;
        std::size_t members;  ///< once for each process
    };
    /// Looks at each member: for people and monitors, once in a while.
    [[nodiscard]] std::optional<Usage> usage() const noexcept;

    /// For the calling process, once.
    [[nodiscard]] std::optional<Self> claim() noexcept;
    /// The process has ended; takes no lock. [config]
    void reap(pid_t ended) noexcept;
    void reap_ended() noexcept;

    /// Makes somebody a member by this process, or changes the info. At most kMaxId and kMaxInfo bytes.
    [[nodiscard]] Result enter(const TopicKey& key, const Self& self, std::string_view id,
                               std::string_view info) noexcept;
    /// The same for who is surely no member by this process yet: it is not searched for.
    [[nodiscard]] Result add(const TopicKey& key, const Self& self, std::string_view id,
                             std::string_view info) noexcept;
    /// False when a process was stopped with the lock.
    bool leave(const TopicKey& key, const Self& self, std::string_view id) noexcept;

    /// All members, by their ids, each once. Throws std::bad_alloc.
    [[nodiscard]] std::optional<std::vector<Member>> members(const TopicKey& key) const;
    /// Those by processes of this host.
    [[nodiscard]] std::optional<std::vector<Member>> own_members(const TopicKey& key) const;
    /// Those by one process or host.
    [[nodiscard]] std::optional<std::vector<Member>> members_by(const TopicKey& key,
                                                                const Self& self) const;
    /// TopicKey::bytes() of all that have members, and perhaps of some that had. Throws std::bad_alloc.
    [[nodiscard]] std::optional<std::vector<std::string>> topics() const;
    /// Another number after each change of any topic.
    [[nodiscard]] std::uint64_t changes() const noexcept;
    /// Another number when all members of a process or a host have gone at once, of which nobody tells more.
    [[nodiscard]] std::uint64_t ends() const noexcept;

    // Other hosts, for the bridge: each is a `Self` of its own, by which members enter and leave.
    /// By which this host is known to others, as long as the memory lasts; not 0.
    [[nodiscard]] std::uint64_t host() const noexcept;
    /// See HostLeases, as for the next ones.
    [[nodiscard]] std::optional<Self> take_host(std::uint64_t host, Time until) const noexcept;
    [[nodiscard]] bool renew_host(const Self& host, Time until) const noexcept;
    void end_host(const Self& host) const noexcept;
    /// To be called once a second or so, by everybody.
    void end_overdue_hosts(Time now) const noexcept;

private:
    using Index = shm::BlockPool::Index;
    struct Entry;
    struct Topic;
    struct Header;

    explicit PresenceStore(Header* header) noexcept;

    [[nodiscard]] shm::RobustLock locked() const noexcept;

    [[nodiscard]] bool is_of_host(std::uint32_t slot) const noexcept;
    [[nodiscard]] Self lease_of(const Self& host) const noexcept;
    [[nodiscard]] bool is_present(const Entry& entry) const noexcept;
    void changed() const noexcept;
    void all_of_one_gone() const noexcept;
    enum class Known : bool { surely_not, perhaps };
    [[nodiscard]] Result enter(const TopicKey& key, const Self& self, std::string_view id,
                               std::string_view info, Known known) noexcept;
    template <class Condition>
    [[nodiscard]] std::optional<std::vector<Member>> members_if(const TopicKey& key,
                                                                Condition condition) const;
    // The lock is held.
    void recover() const noexcept;
    [[nodiscard]] Index find(const TopicKey& key) const noexcept;
    [[nodiscard]] Index make(const TopicKey& key) const noexcept;
    [[nodiscard]] Index find(Index topic, const Self& self, std::string_view id) const noexcept;
    template <class Condition>
    void remove_if(Index topic, Condition condition) const noexcept;
    void sweep() const noexcept;
    [[nodiscard]] Index take(std::size_t bytes) const noexcept;

    Header* header_;
    Index* buckets_;
    shm::ProcessSlots slots_;
    HostLeases hosts_;
    shm::BlockPool pool_;
};

}  // namespace websocket::hub
