// SPDX-License-Identifier: Apache-2.0
// Hands what the processes of this host do from the thread of their bus to that of the bridge.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/bridge.hpp"
#include "engine/shared_frame.hpp"
#include "hub/bus.hpp"
#include "hub/gaps.hpp"
#include "hub/interest_sink.hpp"
#include "net/inbox.hpp"

namespace websocket::bridge {

class LocalEnd final : public hub::Bus::Receiver, public hub::InterestSink {
public:
    /// `most` bytes of messages may wait for the bridge's thread.
    LocalEnd(const net::Reactor& reactor, std::size_t most)
        : interests_(reactor), messages_(reactor, most) {}

    void receive(const hub::TopicKey& key, const engine::SharedFrame& frame) noexcept override;
    /// A process could not send here all that was published.
    [[nodiscard]] bool on_gap(std::string_view key, hub::GapReason why) noexcept override;
    void on_interest(std::uint64_t link, const hub::TopicKey& key, bool wanted) noexcept override;
    void on_link_gone(std::uint64_t link) noexcept override;

    /// Tells the bridge what has come. False when interests were lost because memory ran out: what the processes
    /// want is not known any more. [loop]
    [[nodiscard]] bool pass_on(Bridge& bridge);

private:
    void lose(std::string_view key) noexcept;

    struct Message {
        std::string key;  ///< hub::TopicKey::bytes()
        engine::SharedFrame frame;
    };
    struct Interest {
        std::uint64_t link;
        std::string key;  ///< empty: the link is gone
        bool wanted;
    };

    net::Inbox<Interest> interests_;
    net::Inbox<Message> messages_;
    std::mutex lost_mutex_;  // guards the next
    hub::Gaps lost_;         // topics of what was dropped
    std::atomic<std::size_t> dropped_{0};
    std::atomic<bool> incomplete_{false};
    std::vector<Interest> interest_batch_;  // the loop's own, as the next
    std::vector<Message> message_batch_;
};

}  // namespace websocket::bridge
