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
    dropped_.fetch_add(1);
}

bool LocalEnd::on_gap(std::string_view /*key*/, hub::GapReason /*why*/) noexcept {
    dropped_.fetch_add(1);
    return true;
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
    bridge.count_dropped(dropped_.exchange(0));
    if (any) {
        bridge.flush();
    }
    return !incomplete_.load();
}

}  // namespace websocket::bridge
