// SPDX-License-Identifier: Apache-2.0
#include "shm/process_rows.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>

namespace websocket::shm {

namespace {

std::size_t whole_pages(std::size_t size) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return (size + page - 1) / page * page;
}

void* map(std::size_t size, int sharing) noexcept {
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                          sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory != MAP_FAILED ? memory : nullptr;
}

}  // namespace

bool is_gone(pid_t process) noexcept { return ::kill(process, 0) != 0 && errno == ESRCH; }

ProcessRows::ProcessRows(std::uint32_t processes, std::size_t octets)
    : processes_(processes), stride_(whole_pages(octets)) {
    const std::size_t owners = whole_pages(processes * sizeof(std::atomic<pid_t>));
    size_ = owners + processes * stride_;
    memory_ = map(size_, MAP_SHARED);
    if (memory_ == nullptr) {
        throw std::bad_alloc();
    }
    // Zeros from the kernel are atomics with the value 0.
    owners_ = static_cast<std::atomic<pid_t>*>(memory_);
    rows_ = static_cast<char*>(memory_) + owners;
}

ProcessRows::~ProcessRows() {
    if (alone_.load() && own_.load() != nullptr) {
        ::munmap(own_.load(), stride_);
    }
    ::munmap(memory_, size_);
}

pid_t ProcessRows::self() noexcept { return ::getpid(); }

void* ProcessRows::claim() noexcept {
    const std::lock_guard lock(claim_mutex_);
    void* own = own_.load();
    for (std::uint32_t i = 0; own == nullptr && i < processes_; ++i) {
        pid_t owner = owners_[i].load();
        if (owner <= 0 && owners_[i].compare_exchange_strong(owner, self())) {
            own = row(i);
        }
    }
    if (own == nullptr) {
        own = map(stride_, MAP_PRIVATE);
        alone_.store(true);
    }
    own_.store(own);
    return own;
}

void ProcessRows::forget(pid_t process) noexcept {
    for (std::uint32_t i = 0; i < processes_; ++i) {
        if (owners_[i].load() != process) {
            continue;
        }
        // Gives the memory back to the system, too; the next one to look sees zeros.
        if (::madvise(row(i), stride_, MADV_REMOVE) != 0) {
            std::memset(row(i), 0, stride_);
        }
        owners_[i].store(kNobody);
    }
}

void ProcessRows::forget_ended() noexcept {
    for (std::uint32_t i = 0; i < processes_; ++i) {
        const pid_t owner = owners_[i].load();
        if (owner > 0 && is_gone(owner)) {
            forget(owner);
        }
    }
}

}  // namespace websocket::shm
