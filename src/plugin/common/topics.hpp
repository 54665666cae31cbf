// SPDX-License-Identifier: Apache-2.0
// Publish and subscribe, as plugins see it. Implemented by the hub.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "engine/connection_id.hpp"
#include "hub/hub.hpp"
#include "protocol/frame.hpp"

namespace websocket::plugin {

enum class TopicResult : std::uint8_t {
    ok,
    full,       ///< published, but more waits already than some subscribers will get
    gone,       ///< the connection is closing or has ended
    too_many,   ///< subscriptions of one connection, or topics
    too_big,    ///< the message
    no_memory,  ///< or threads or descriptors: not subscribed, or not published to all
};

/// A topic is known by its scope, the virtual host, and its name, 1 to 255 bytes of anything.
/// Nothing here throws or blocks. [any thread]
class Topics {
public:
    static constexpr std::size_t kLongestName = 255;

    Topics() noexcept = default;
    Topics(const Topics&) = delete;
    Topics& operator=(const Topics&) = delete;
    virtual ~Topics() = default;

    /// `quota` is its location's. Twice is once.
    virtual TopicResult subscribe(std::string_view scope, std::string_view topic,
                                  engine::ConnectionId connection,
                                  hub::TopicQuota& quota) noexcept = 0;
    virtual void unsubscribe(std::string_view scope, std::string_view topic,
                             engine::ConnectionId connection) noexcept = 0;
    /// The connection has ended.
    virtual void unsubscribe_all(engine::ConnectionId connection) noexcept = 0;

    /// What is published from now on goes to the listener as well, until ignore(); see hub::Hub.
    virtual TopicResult listen(std::string_view scope, std::string_view topic,
                               std::shared_ptr<hub::TopicListener> listener,
                               hub::TopicQuota& quota) noexcept = 0;
    virtual void ignore(std::string_view scope, std::string_view topic,
                        const hub::TopicListener& listener) noexcept = 0;
    /// Bytes that may wait for a listener.
    [[nodiscard]] virtual std::size_t listener_buffer() const noexcept = 0;

    /// `except` may name none. `flags` are those of ws_topic_1.publish.
    virtual TopicResult publish(std::string_view scope, std::string_view topic,
                                protocol::MessageType type, std::span<const std::uint8_t> payload,
                                engine::ConnectionId except, std::uint32_t flags) noexcept = 0;
};

}  // namespace websocket::plugin
