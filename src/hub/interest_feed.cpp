// SPDX-License-Identifier: Apache-2.0
#include "hub/interest_feed.hpp"

#include <new>

#include "hub/record.hpp"

namespace websocket::hub {

using engine::SharedFrame;

void InterestFeed::note(const TopicKey& key, bool wanted) {
    static_cast<void>(inbox_.post({std::string(key.bytes()), wanted}));
}

void InterestFeed::note_removed(const TopicKey& key) noexcept {
    try {
        note(key, false);
    } catch (const std::bad_alloc&) {
        incomplete_.store(true);
    }
}

/// What was noted before the list is in it, or comes again behind it: the last one is right.
void InterestFeed::begin(std::uint64_t bridge, std::uint32_t slot, Bus::Receiver& receiver) {
    forget();
    receiver.list_interests([this](std::string_view key) { changes_[std::string(key)] = true; });
    bridge_ = bridge;
    slot_ = slot;
}

void InterestFeed::forget() noexcept {
    inbox_.take(batch_);
    batch_.clear();
    changes_.clear();
    bridge_ = 0;
}

void InterestFeed::take() {
    inbox_.take(batch_);
    for (Change& change : batch_) {
        changes_[std::move(change.key)] = change.wanted;
    }
    batch_.clear();
    if (incomplete_.exchange(false)) {
        throw std::bad_alloc();
    }
}

void InterestFeed::push(OutgoingLink& link, std::size_t limit) {
    const SharedFrame wanted = SharedFrame::build(protocol::Opcode::ping, {});
    const SharedFrame unwanted = SharedFrame::build(protocol::Opcode::pong, {});
    while (!changes_.empty()) {
        const auto& [key, is_wanted] = *changes_.begin();
        const SharedFrame& frame = is_wanted ? wanted : unwanted;
        if (!link.push(record_head(key, frame), frame, limit)) {
            return;
        }
        changes_.erase(changes_.begin());
    }
}

}  // namespace websocket::hub
