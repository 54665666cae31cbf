// SPDX-License-Identifier: Apache-2.0
// Topics of the hub.
#pragma once

#include "hub/hub.hpp"
#include "plugin/topics.hpp"

namespace websocket::plugin {

class HubTopics final : public Topics {
public:
    /// `hub` outlives this.
    explicit HubTopics(hub::Hub& hub) noexcept : hub_(hub) {}

    TopicResult subscribe(std::string_view scope, std::string_view topic,
                          engine::ConnectionId connection,
                          const engine::ConnectionOptions& options) noexcept override;
    void unsubscribe(std::string_view scope, std::string_view topic,
                     engine::ConnectionId connection) noexcept override;
    void unsubscribe_all(engine::ConnectionId connection) noexcept override;
    TopicResult publish(std::string_view scope, std::string_view topic, protocol::MessageType type,
                        std::span<const std::uint8_t> payload, engine::ConnectionId except,
                        std::uint32_t flags) noexcept override;

private:
    hub::Hub& hub_;
};

}  // namespace websocket::plugin
