// SPDX-License-Identifier: Apache-2.0
#include "shm/shared_figures.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace websocket::shm {

SharedFigures::SharedFigures(std::uint32_t processes)
    : values_(processes, sizeof(Values)),
      memory_(ProcessSlots::bytes(kMost) + kMost * sizeof(Entry)), names_(memory_.data(), kMost) {}

SharedFigures::Entry& SharedFigures::entry(std::uint32_t slot) const noexcept {
    char* entries = static_cast<char*>(memory_.data()) + ProcessSlots::bytes(kMost);
    return reinterpret_cast<Entry*>(entries)[slot];
}

SharedFigures::Value* SharedFigures::find_or_add(std::string_view name, Kind kind) noexcept {
    auto* values = static_cast<Values*>(values_.own());
    if (values == nullptr || !values_.shares() || name.size() > kLongestName) {
        return nullptr;
    }
    for (std::uint32_t slot = 0; slot < names_.used(); ++slot) {
        if (names_.owner(slot).is_kept() && entry(slot).text() == name) {
            return entry(slot).kind == kind ? &(*values)[slot] : nullptr;
        }
    }
    const auto claim = names_.claim();
    if (!claim) {
        return nullptr;
    }
    Entry& added = entry(claim->slot);
    added.kind = kind;
    added.size = static_cast<std::uint8_t>(name.size());
    std::ranges::copy(name, added.name.begin());
    // What another process is writing just now may be the same name, which then stands here twice;
    // who reads adds both up.
    names_.keep(*claim);
    return &(*values)[claim->slot];
}

std::vector<SharedFigures::Figure> SharedFigures::read() const {
    // Unsigned: what plugins set may come to more than fits.
    std::map<std::pair<std::string, Kind>, std::uint64_t> sums;
    std::vector<const Values*> all;
    values_.for_each_used(
        [&](const void* values) { all.push_back(static_cast<const Values*>(values)); });
    for (std::uint32_t slot = 0; slot < names_.used(); ++slot) {
        if (!names_.owner(slot).is_kept()) {
            continue;
        }
        std::uint64_t& sum = sums[{std::string(entry(slot).text()), entry(slot).kind}];
        for (const Values* values : all) {
            sum += static_cast<std::uint64_t>((*values)[slot].load());
        }
    }
    std::vector<Figure> figures;
    figures.reserve(sums.size());
    for (const auto& [key, value] : sums) {
        figures.push_back({key.first, key.second, static_cast<std::int64_t>(value)});
    }
    return figures;
}

void SharedFigures::tidy(Values& values) const noexcept {
    for (std::uint32_t slot = 0; slot < names_.used(); ++slot) {
        if (names_.owner(slot).is_kept() && entry(slot).kind == Kind::gauge) {
            values[slot].store(0);
        }
    }
}

void SharedFigures::reap(pid_t process) noexcept {
    values_.reap(process, [this](void* values) { tidy(*static_cast<Values*>(values)); });
    names_.reap(process, [](std::uint32_t /*half_written*/) {});
}

void SharedFigures::reap_ended() noexcept {
    values_.reap_ended([this](void* values) { tidy(*static_cast<Values*>(values)); });
    names_.reap_ended([](std::uint32_t /*half_written*/) {});
}

}  // namespace websocket::shm
