// SPDX-License-Identifier: Apache-2.0
#include "bridge/subscriptions.hpp"

#include <algorithm>

namespace websocket::bridge {

std::uint64_t Subscriptions::LastSequences::missing_before(std::uint64_t host,
                                                           std::uint64_t sequence) {
    const Last now{host, sequence, ++messages_};
    const auto known = std::ranges::find(last_, host, &Last::host);
    if (known == last_.end()) {
        if (last_.size() < kMostHosts) {
            last_.push_back(now);
        } else {
            *std::ranges::min_element(last_, {}, &Last::heard) = now;
        }
        return 0;
    }
    const std::uint64_t before = std::exchange(*known, now).sequence;
    return sequence > before ? sequence - before - 1 : 0;
}

bool Subscriptions::want(std::uint64_t link, const std::string& channel, std::string_view key) {
    const auto [place, is_new] = channels_.try_emplace(channel);
    Entry& entry = *place;
    try {
        entry.second.key = key;
        if (links_[link].insert(&entry).second) {
            ++entry.second.links;
        }
    } catch (...) {
        if (is_new) {
            channels_.erase(place);
        }
        throw;
    }
    unwanted_.erase(&entry);
    return is_new;
}

void Subscriptions::unwant(Entry& entry, std::chrono::milliseconds now) {
    if (--entry.second.links == 0) {
        entry.second.unwanted_since = now;
        unwanted_.insert(&entry);
    }
}

void Subscriptions::unwant(std::uint64_t link, const std::string& channel,
                           std::chrono::milliseconds now) {
    const auto known = channels_.find(channel);
    const auto wanted = links_.find(link);
    if (known != channels_.end() && wanted != links_.end() && wanted->second.erase(&*known) != 0) {
        unwant(*known, now);
    }
}

void Subscriptions::drop_link(std::uint64_t link, std::chrono::milliseconds now) {
    const auto wanted = links_.find(link);
    if (wanted == links_.end()) {
        return;
    }
    for (Entry* entry : wanted->second) {
        unwant(*entry, now);
    }
    links_.erase(wanted);
}

Subscriptions::Channel* Subscriptions::find(const std::string& channel) noexcept {
    const auto known = channels_.find(channel);
    return known != channels_.end() ? &known->second : nullptr;
}

std::vector<std::string> Subscriptions::take_unwanted(std::chrono::milliseconds before) {
    std::vector<std::string> names;
    for (auto entry = unwanted_.begin(); entry != unwanted_.end();) {
        if ((*entry)->second.unwanted_since > before) {
            ++entry;
            continue;
        }
        names.push_back((*entry)->first);
        entry = unwanted_.erase(entry);
        channels_.erase(names.back());
    }
    return names;
}

}  // namespace websocket::bridge
