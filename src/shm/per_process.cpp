// SPDX-License-Identifier: Apache-2.0
#include "shm/per_process.hpp"

#include <unistd.h>

namespace websocket::shm {

PerProcess::PerProcess(std::uint32_t processes, std::size_t bytes)
    : stride_(Mapping::whole_pages(bytes)),
      first_(Mapping::whole_pages(ProcessSlots::bytes(processes))),
      memory_(first_ + processes * stride_), slots_(memory_.data(), processes) {}

pid_t PerProcess::self() noexcept { return ::getpid(); }

void* PerProcess::claim() noexcept {
    const std::lock_guard lock(claim_mutex_);
    if (own_.load() == nullptr) {
        if (const auto claim = slots_.claim()) {
            own_.store(part(claim->slot));
        } else {
            std::error_code refused;
            own_memory_ = Mapping(stride_, Mapping::For::each_process, refused);
            alone_.store(true);
            own_.store(own_memory_.data());
        }
    }
    return own_.load();
}

void PerProcess::reap(pid_t process) noexcept {
    slots_.reap(process, [this](std::uint32_t slot) { memory_.wipe(offset(slot), stride_); });
}

void PerProcess::reap_ended() noexcept {
    slots_.reap_ended([this](std::uint32_t slot) { memory_.wipe(offset(slot), stride_); });
}

}  // namespace websocket::shm
