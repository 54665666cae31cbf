// SPDX-License-Identifier: Apache-2.0
#include "shm/shared_figures.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <new>
#include <utility>

namespace websocket::shm {

SharedFigures::SharedFigures(std::uint32_t processes) : rows_(processes, sizeof(Row)) {
    // Zeros from the kernel are free entries.
    void* memory = ::mmap(nullptr, sizeof(Directory), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        throw std::bad_alloc();
    }
    directory_ = static_cast<Directory*>(memory);
}

SharedFigures::~SharedFigures() { ::munmap(directory_, sizeof(Directory)); }

SharedFigures::Value* SharedFigures::find_or_add(std::string_view name, Kind kind) noexcept {
    auto* row = static_cast<Row*>(rows_.own());
    if (row == nullptr || !rows_.shares() || name.size() > kLongestName) {
        return nullptr;
    }
    const auto self = static_cast<std::uint32_t>(::getpid());
    for (std::size_t i = 0; i < kMost; ++i) {
        Entry& entry = directory_->entries[i];
        std::uint32_t state = entry.state.load(std::memory_order_acquire);
        if (state == kFree && entry.state.compare_exchange_strong(state, self)) {
            entry.kind = kind;
            entry.size = static_cast<std::uint8_t>(name.size());
            std::ranges::copy(name, entry.name.begin());
            entry.state.store(kReady, std::memory_order_release);
            return &(*row)[i];
        }
        // What another process is writing just now may be the same name, which then stands here twice;
        // who reads adds both up.
        if (state == kReady && entry.text() == name) {
            return entry.kind == kind ? &(*row)[i] : nullptr;
        }
    }
    return nullptr;
}

std::vector<SharedFigures::Figure> SharedFigures::read() const {
    // Unsigned: what plugins set may come to more than fits.
    std::map<std::pair<std::string, Kind>, std::uint64_t> sums;
    std::vector<const Row*> rows;
    rows_.for_each_used([&](const void* row) { rows.push_back(static_cast<const Row*>(row)); });
    for (std::size_t i = 0; i < kMost; ++i) {
        const Entry& entry = directory_->entries[i];
        if (entry.state.load(std::memory_order_acquire) != kReady) {
            continue;
        }
        std::uint64_t& value = sums[{std::string(entry.text()), entry.kind}];
        for (const Row* row : rows) {
            value += static_cast<std::uint64_t>((*row)[i].load());
        }
    }
    std::vector<Figure> figures;
    figures.reserve(sums.size());
    for (const auto& [key, value] : sums) {
        figures.push_back({key.first, key.second, static_cast<std::int64_t>(value)});
    }
    return figures;
}

void SharedFigures::forget(pid_t process) noexcept {
    rows_.hand_on(process, [this](void* memory) {
        Row& row = *static_cast<Row*>(memory);
        for (std::size_t i = 0; i < kMost; ++i) {
            const Entry& entry = directory_->entries[i];
            if (entry.state.load(std::memory_order_acquire) == kReady &&
                entry.kind == Kind::gauge) {
                row[i].store(0);
            }
        }
    });
    for (Entry& entry : directory_->entries) {
        auto half_written = static_cast<std::uint32_t>(process);
        entry.state.compare_exchange_strong(half_written, kFree);
    }
}

void SharedFigures::forget_ended() noexcept {
    for (;;) {
        pid_t ended = 0;
        rows_.for_each([&](pid_t owner, const void*) {
            if (is_gone(owner)) {
                ended = owner;
            }
        });
        if (ended == 0) {
            return;
        }
        forget(ended);
    }
}

}  // namespace websocket::shm
