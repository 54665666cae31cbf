// SPDX-License-Identifier: Apache-2.0
// Ownership of memory from the system, which forked processes inherit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <system_error>
#include <utility>

#include "base/descriptor.hpp"

namespace websocket::shm {

/// Anonymous memory, or that of a file in memory, full of zeros, used as far as it is touched.
class Mapping {
public:
    enum class For : std::uint8_t {
        all_processes,  ///< what one writes, all forked from this one see
        each_process,   ///< a forked process has a copy
    };

    /// None.
    Mapping() noexcept = default;
    /// Not valid, and `error` says why, when the system refuses.
    Mapping(std::size_t bytes, For whom, std::error_code& error) noexcept;
    /// Throws std::system_error.
    explicit Mapping(std::size_t bytes, For whom = For::all_processes);
    /// The first bytes of a file, shared with all that map it. Throws std::system_error.
    [[nodiscard]] static Mapping of_file(int file, std::size_t bytes);
    /// All of a file that another process may have made; not valid if that is less than `least` bytes. Throws
    /// std::system_error.
    [[nodiscard]] static Mapping of_whole_file(int file, std::size_t least);
    /// That of a new file in memory, which is `file` then. Throws std::system_error.
    [[nodiscard]] static Mapping in_new_file(const char* name, std::size_t bytes,
                                             base::Descriptor& file);
    Mapping(Mapping&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(size_, other.size_);
        return *this;
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping();

    [[nodiscard]] bool valid() const noexcept { return memory_ != nullptr; }
    /// Begins with a page.
    [[nodiscard]] void* data() const noexcept { return memory_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// It stays until the last process with it has ended.
    void* release() noexcept { return std::exchange(memory_, nullptr); }

    /// Fills a part with zeros. Whole pages go back to the system.
    void wipe(std::size_t offset, std::size_t bytes) noexcept;

    /// So much, and what is missing to the end of a page.
    [[nodiscard]] static std::size_t whole_pages(std::size_t bytes) noexcept;

private:
    void* memory_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace websocket::shm
