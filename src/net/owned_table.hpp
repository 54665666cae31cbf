// SPDX-License-Identifier: Apache-2.0
// Things of a loop that are known by a number and may belong to somebody.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>

namespace websocket::net {

/// Whose a timer or a watch is; 0 for nobody.
using OwnerId = std::uint64_t;

/// Numbers are the caller's; they are unique and never 0. [loop]
template <class Thing>
class OwnedTable {
public:
    /// `owner` may be 0, for nobody. Throws std::bad_alloc and is then unchanged.
    Thing& add(std::uint64_t number, OwnerId owner, std::unique_ptr<Thing> thing) {
        Thing& added = *thing;
        const auto place = things_.emplace(number, Entry{owner, std::move(thing)}).first;
        if (owner != 0) {
            try {
                owned_.emplace(owner, number);
            } catch (...) {
                things_.erase(place);
                throw;
            }
        }
        return added;
    }

    /// Null when there is none.
    [[nodiscard]] Thing* find(std::uint64_t number) noexcept {
        const auto found = things_.find(number);
        return found != things_.end() ? found->second.thing.get() : nullptr;
    }

    /// Null when there is none.
    [[nodiscard]] std::unique_ptr<Thing> take(std::uint64_t number) noexcept {
        const auto found = things_.find(number);
        if (found == things_.end()) {
            return nullptr;
        }
        Entry entry = std::move(found->second);
        things_.erase(found);
        const auto [begin, end] = owned_.equal_range(entry.owner);
        for (auto at = begin; at != end; ++at) {
            if (at->second == number) {
                owned_.erase(at);
                break;
            }
        }
        return std::move(entry.thing);
    }

    /// The number of some thing that `owner` has, or 0.
    [[nodiscard]] std::uint64_t any_of(OwnerId owner) const noexcept {
        const auto found = owned_.find(owner);
        return found != owned_.end() ? found->second : 0;
    }
    /// The number of some thing, or 0.
    [[nodiscard]] std::uint64_t any() const noexcept {
        return things_.empty() ? 0 : things_.begin()->first;
    }

private:
    struct Entry {
        OwnerId owner;
        std::unique_ptr<Thing> thing;
    };
    std::unordered_map<std::uint64_t, Entry> things_;
    std::unordered_multimap<std::uint64_t, std::uint64_t> owned_;
};

}  // namespace websocket::net
