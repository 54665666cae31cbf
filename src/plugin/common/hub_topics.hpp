// SPDX-License-Identifier: Apache-2.0
// Topics of the hub.
#pragma once

#include "hub/hub.hpp"
#include "plugin/common/topics.hpp"

namespace websocket::plugin {

class HubTopics final : public Topics {
public:
    /// `hub` outlives this.
    HubTopics(hub::Hub& hub, std::size_t listener_buffer) noexcept
        : hub_(hub), listener_buffer_(listener_buffer) {}

    TopicResult subscribe(std::string_view scope, std::string_view topic,
                          engine::ConnectionId connection,
                          hub::TopicQuota& quota) noexcept override;
    void unsubscribe(std::string_view scope, std::string_view topic,
                     engine::ConnectionId connection) noexcept override;
    void unsubscribe_all(engine::ConnectionId connection) noexcept override;
    TopicResult listen(std::string_view scope, std::string_view topic,
                       std::shared_ptr<hub::TopicListener> listener,
                       hub::TopicQuota& quota) noexcept override;
    void ignore(std::string_view scope, std::string_view topic,
                const hub::TopicListener& listener) noexcept override;
    [[nodiscard]] std::size_t listener_buffer() const noexcept override { return listener_buffer_; }
    TopicResult publish(std::string_view scope, std::string_view topic, protocol::MessageType type,
                        std::span<const std::uint8_t> payload, engine::ConnectionId except,
                        std::uint32_t flags) noexcept override;

private:
    hub::Hub& hub_;
    const std::size_t listener_buffer_;
};

}  // namespace websocket::plugin
