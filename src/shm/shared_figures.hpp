// SPDX-License-Identifier: Apache-2.0
// Figures with names, summed over all processes of a server, in memory they share.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shm/mapping.hpp"
#include "shm/per_process.hpp"
#include "shm/process_slots.hpp"

namespace websocket::shm {

/// Each process counts in a slot of its own. When it ends, in whatever way, its gauges are set to 0 and
/// its counters stay where they are: the next process that gets the slot goes on from there. So nothing is
/// ever moved that a reader could miss or see twice, and whoever reads again sees no counter go back.
/// A name is a slot, too, which is kept as soon as the name is complete: a process that is killed while it
/// adds one leaves a slot to reap. Made by the parent; its forked children use it.
class SharedFigures {
public:
    enum class Kind : std::uint8_t {
        counter,  ///< only grows
        gauge,    ///< goes up and down
    };
    using Value = std::atomic<std::int64_t>;

    static constexpr std::size_t kMost = 1000;
    static constexpr std::size_t kLongestName = 238;

    /// For so many processes at a time. Memory is used as far as it is touched. Throws
    /// std::system_error.
    explicit SharedFigures(std::uint32_t processes);

    /// Where this process has the figure of this name, which may contain anything. A counter holds what
    /// earlier processes have left there; a gauge begins at 0. Null when there are kMost others, when the
    /// name is too long or of the other kind, and when no slot is left for this process. [any thread]
    [[nodiscard]] Value* find_or_add(std::string_view name, Kind kind) noexcept;

    struct Figure {
        std::string name;
        Kind kind;
        std::int64_t value;  ///< of all processes

        bool operator==(const Figure&) const = default;
    };
    /// All of them, by name. Waits for nobody. Throws std::bad_alloc. [any thread]
    [[nodiscard]] std::vector<Figure> read() const;

    /// The process has ended. [config]
    void reap(pid_t process) noexcept;
    /// The same for all that have ended. [config]
    void reap_ended() noexcept;

private:
    /// One name.
    struct Entry {
        Kind kind;
        std::uint8_t size;
        std::array<char, kLongestName> name;

        [[nodiscard]] std::string_view text() const noexcept { return {name.data(), size}; }
    };
    using Values = std::array<Value, kMost>;  // each in the slot of its name

    [[nodiscard]] Entry& entry(std::uint32_t slot) const noexcept;
    void tidy(Values& values) const noexcept;

    PerProcess values_;
    Mapping memory_;  // of the names
    const ProcessSlots names_;
};

}  // namespace websocket::shm
