// SPDX-License-Identifier: Apache-2.0
#include "bridge/local_end.hpp"

#include <new>

namespace websocket::bridge {

void LocalEnd::receive(const hub::TopicKey& key, const engine::SharedFrame& frame) noexcept {
    try {
        if (messages_.post({std::string(key.bytes()), frame},
                           frame.bytes().size() + OutgoingQueue::kCost) == net::Posted::yes) {
            return;
        }
    } catch (const std::bad_alloc&) {
    }
    lose(key.bytes());
}

bool LocalEnd::on_gap(std::string_view key, hub::GapReason /*why*/) noexcept {
    lose(key);
    return true;
}

void LocalEnd::lose(std::string_view key) noexcept {
    {
        const std::lock_guard lock(lost_mutex_);
        lost_.add(key, hub::GapReason::busy);
    }
    dropped_.fetch_add(1);
}

void LocalEnd::on_interest(std::uint64_t link, const hub::TopicKey& key, bool wanted) noexcept {
    try {
        static_cast<void>(interests_.post({link, std::string(key.bytes()), wanted}));
    } catch (const std::bad_alloc&) {
        incomplete_.store(true);
    }
}

void LocalEnd::on_link_gone(std::uint64_t link) noexcept {
    try {
        static_cast<void>(interests_.post({link, {}, false}));
    } catch (const std::bad_alloc&) {
        incomplete_.store(true);
    }
}

bool LocalEnd::pass_on(Bridge& bridge) {
    interests_.take(interest_batch_);
    messages_.take(message_batch_);
    const bool any = !interest_batch_.empty() || !message_batch_.empty();
    for (const Interest& interest : interest_batch_) {
        if (interest.key.empty()) {
            bridge.drop_link(interest.link);
        } else {
            bridge.set_interest(interest.link, interest.key, interest.wanted);
        }
    }
    interest_batch_.clear();
    for (const Message& message : message_batch_) {
        bridge.publish(message.key, message.frame);
    }
    message_batch_.clear();
    if (const std::size_t dropped = dropped_.exchange(0)) {
        hub::Gaps lost;
        {
            const std::lock_guard lock(lost_mutex_);
            lost.take(lost_);
        }
        lost.tell([&](std::string_view key, hub::GapReason) {
            bridge.tell_lost(key);
            return true;
        });
        bridge.count_dropped(dropped);
    }
    if (any) {
        bridge.flush();
    }
    return !incomplete_.load();
}

}  // namespace websocket::bridge
