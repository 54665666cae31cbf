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
/// are gone at once, and their memory is found when somebody looks. A process may be killed at any instruction. All
/// functions: [any thread] of any process, unless they say more.
class PresenceStore {
public:
    static constexpr std::size_t kLeast = std::size_t{64} << 10;
    static constexpr std::size_t kMaxId = 255;
    static constexpr std::size_t kMaxInfo = 4096;
    using Self = shm::ProcessSlots::Claim;

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
    void leave(const TopicKey& key, const Self& self, std::string_view id) noexcept;

    /// All members, by their ids, each once. Throws std::bad_alloc.
    [[nodiscard]] std::optional<std::vector<Member>> members(const TopicKey& key);
    /// Another number after each change of any topic.
    [[nodiscard]] std::uint64_t changes() const noexcept;

private:
    using Index = shm::BlockPool::Index;
    struct Entry;
    struct Topic;
    struct Header;

    explicit PresenceStore(Header* header) noexcept;

    [[nodiscard]] shm::RobustLock locked() const noexcept;

    [[nodiscard]] bool is_present(const Entry& entry) const noexcept;
    void changed() const noexcept;
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
    shm::BlockPool pool_;
};

}  // namespace websocket::hub
