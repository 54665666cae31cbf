// SPDX-License-Identifier: Apache-2.0
// What the processes of one httpd know of each other: which of them listen, and for what.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/sip_hash.hpp"

namespace websocket::hub {

/// A handle on memory that a parent process maps and its children inherit. There are no locks and
/// no allocation in it: a process that is killed at any moment leaves at worst a seat that nobody
/// uses. The parent, which learns of each end, frees it; so does who fails to reach it before.
/// All functions: [any thread] of any process, unless they say more.
class Registry {
public:
    /// Topics are told apart by this many numbers: with n topics in a process, about n of 2^18
    /// publications that nobody in it wants reach it all the same.
    static constexpr std::uint32_t kBuckets = 1U << 18;
    /// Known to the processes only.
    using Secret = std::array<std::uint8_t, 16>;

    /// Maps memory for `seats` processes, which stays until the last process with it has ended.
    /// Throws std::system_error. [config]
    [[nodiscard]] static Registry create(std::uint32_t seats);
    /// The registry that an earlier create() has made there, perhaps of another version of this
    /// module; nothing when it cannot be used.
    [[nodiscard]] static std::optional<Registry> at(void* memory, std::uint32_t seats) noexcept;

    [[nodiscard]] void* memory() const noexcept { return header_; }
    [[nodiscard]] const Secret& secret() const noexcept;
    [[nodiscard]] const base::HashKey& hash_key() const noexcept;
    /// Seats that were ever taken have smaller numbers.
    [[nodiscard]] std::uint32_t seats_in_use() const noexcept;

    /// Who sits there; 0 for nobody. A process that listens has a number of its own, never 0.
    [[nodiscard]] std::uint64_t occupant(std::uint32_t seat) const noexcept;
    /// Takes a seat for the calling process, which can be connected to as `process`; nothing when all
    /// are taken.
    [[nodiscard]] std::optional<std::uint32_t> sit_down(std::uint64_t process) noexcept;
    /// Frees the seat if `process` still has it.
    void stand_up(std::uint32_t seat, std::uint64_t process) noexcept;

    /// The process has ended: its seats are free, whoever has its name now. [config]
    void forget(pid_t ended) noexcept;
    /// The same for all that do not exist any more. [config]
    void forget_ended() noexcept;

    [[nodiscard]] static std::uint32_t bucket_of(std::uint64_t hash) noexcept {
        return static_cast<std::uint32_t>(hash % kBuckets);
    }
    [[nodiscard]] bool wants(std::uint32_t seat, std::uint32_t bucket) const noexcept;
    /// For the seat's own process.
    void set_wants(std::uint32_t seat, std::uint32_t bucket, bool wanted) noexcept;

private:
    using Word = std::atomic<std::uint64_t>;
    static_assert(Word::is_always_lock_free && sizeof(Word) == sizeof(std::uint64_t));
    static constexpr std::uint32_t kWordBits = 64;
    static constexpr std::uint32_t kWords = kBuckets / kWordBits;

    struct Header;
    explicit Registry(Header* header) noexcept : header_(header) {}
    /// The process (its pid) that the seat belongs to; 0 when it is free. Taken before the occupant's
    /// number is there, and given back after that is gone.
    [[nodiscard]] Word& owner_word(std::uint32_t seat) const noexcept;
    [[nodiscard]] Word& occupant_word(std::uint32_t seat) const noexcept;
    [[nodiscard]] Word& bits(std::uint32_t seat, std::uint32_t word) const noexcept;

    Header* header_;
};

}  // namespace websocket::hub
