// SPDX-License-Identifier: Apache-2.0
// Of all processes of a server, one does what should be done once: it leads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "base/log.hpp"
#include "base/sip_hash.hpp"
#include "hub/topic_key.hpp"

namespace websocket::hub {

enum class Leadership : std::uint8_t {
    leads,
    follows,    ///< somebody else leads, or Leaders::kMax are led here
    bad_name,   ///< of the scope or what is led; see TopicKey
    no_memory,  ///< or no locks: does not lead
};

/// At most one candidate leads for a name, in all processes with the file: the first that has asked while
/// nobody did. It leads until it resigns or its process ends.
///
/// The kernel keeps this, with locks on single bytes of a file that lies in memory and has no length:
/// whatever a process was doing when it was killed, others can have its locks at once, and there is no
/// moment with two holders. A process that is stopped leads on. Locks of fcntl(2) belong to a process, not
/// to a descriptor, so children inherit none; but a process that closes any descriptor of the file loses
/// all of its locks, so each has the inherited one only and never closes it.
class Leaders {
public:
    /// Names that a process leads or waits for: clients may have chosen them.
    static constexpr std::size_t kMax = 1000;

    /// The file. Throws std::system_error. [config]
    [[nodiscard]] static int make_file();

    /// `file` and `hash_key` are the same in all processes. `log` outlives this.
    Leaders(int file, const base::HashKey& hash_key, base::Log& log) noexcept;
    Leaders(const Leaders&) = delete;
    Leaders& operator=(const Leaders&) = delete;

    /// Whether `candidate` leads, which it does from now on if nobody else does. `scope` keeps equal names
    /// apart. Does not block. [any thread]
    [[nodiscard]] Leadership lead(std::string_view scope, std::string_view name,
                                  const void* candidate) noexcept;
    /// [any thread]
    void resign(std::string_view scope, std::string_view name, const void* candidate) noexcept;
    void resign_all(const void* candidate) noexcept;

    /// This process is about to end: from now on it leads only while no other process asks that is not.
    /// [any thread]
    void begin_drain() noexcept;

private:
    using Places = std::unordered_map<std::int64_t, const void*>;  // by their byte: whose they are

    [[nodiscard]] bool lock(std::int64_t byte) noexcept;
    void unlock(std::int64_t byte) noexcept;
    [[nodiscard]] bool is_locked_elsewhere(std::int64_t byte) noexcept;
    [[nodiscard]] Leadership follow(std::int64_t place, const void* candidate);
    void give_up(Places& places, std::int64_t byte, std::int64_t place,
                 const void* candidate) noexcept;
    void complain(int error) noexcept;

    const int file_;
    const base::HashKey hash_key_;
    base::Log& log_;
    std::mutex mutex_;  // guards what follows, and the locks of this process
    bool draining_ = false;
    Places led_;
    Places awaited_;  // who leads there makes way if its process is about to end
};

}  // namespace websocket::hub
