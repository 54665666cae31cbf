// SPDX-License-Identifier: Apache-2.0
#include "shm/mapping.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace websocket::shm {

Mapping::Mapping(std::size_t bytes, For whom, std::error_code& error) noexcept {
    const int sharing = whom == For::all_processes ? MAP_SHARED : MAP_PRIVATE;
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                          sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        error.assign(errno, std::generic_category());
        return;
    }
    error.clear();
    memory_ = memory;
    size_ = bytes;
}

Mapping::Mapping(std::size_t bytes, For whom) {
    std::error_code error;
    *this = Mapping(bytes, whom, error);
    if (error) {
        throw std::system_error(error, "mmap");
    }
}

Mapping Mapping::of_file(int file, std::size_t bytes) {
    void* memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (memory == MAP_FAILED) {
        throw std::system_error(errno, std::generic_category(), "mmap");
    }
    Mapping mapping;
    mapping.memory_ = memory;
    mapping.size_ = bytes;
    return mapping;
}

Mapping Mapping::of_whole_file(int file, std::size_t least) {
    struct stat status {};
    if (::fstat(file, &status) != 0) {
        throw std::system_error(errno, std::generic_category(), "fstat");
    }
    const auto size = static_cast<std::size_t>(status.st_size);
    return size < least ? Mapping() : of_file(file, size);
}

Mapping Mapping::in_new_file(const char* name, std::size_t bytes, base::Descriptor& file) {
    file = base::Descriptor(::memfd_create(name, MFD_CLOEXEC));
    if (!file.valid() || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) {
        throw std::system_error(errno, std::generic_category(), "memfd_create");
    }
    return of_file(file.get(), bytes);
}

Mapping::~Mapping() {
    if (memory_ != nullptr) {
        ::munmap(memory_, size_);
    }
}

void Mapping::wipe(std::size_t offset, std::size_t bytes) noexcept {
    char* part = static_cast<char*>(memory_) + offset;
    // madvise(2) rounds up: what is behind the part has to stay. It refuses memory that is not shared.
    const bool whole = offset == whole_pages(offset) && bytes == whole_pages(bytes);
    if (!whole || ::madvise(part, bytes, MADV_REMOVE) != 0) {
        std::memset(part, 0, bytes);
    }
}

std::size_t Mapping::whole_pages(std::size_t bytes) noexcept {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return (bytes + page - 1) / page * page;
}

}  // namespace websocket::shm
