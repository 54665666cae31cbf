// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/hub_topics.hpp"

#include <utility>

namespace websocket::plugin {

namespace {

TopicResult result_of(hub::TopicResult result) noexcept {
    switch (result) {
        case hub::TopicResult::ok: return TopicResult::ok;
        case hub::TopicResult::full: return TopicResult::full;
        case hub::TopicResult::bad_name:  // names are checked before, and scopes are short
        case hub::TopicResult::gone: return TopicResult::gone;
        case hub::TopicResult::too_big: return TopicResult::too_big;
        case hub::TopicResult::too_many_subscriptions:
        case hub::TopicResult::too_many_topics: return TopicResult::too_many;
        case hub::TopicResult::no_memory:
        case hub::TopicResult::unavailable: break;
    }
    return TopicResult::no_memory;
}

}  // namespace

TopicResult HubTopics::subscribe(std::string_view scope, std::string_view topic,
                                 engine::ConnectionId connection, hub::TopicQuota& quota) noexcept {
    return result_of(hub_.subscribe(scope, topic, connection, quota));
}

void HubTopics::unsubscribe(std::string_view scope, std::string_view topic,
                            engine::ConnectionId connection) noexcept {
    hub_.unsubscribe(scope, topic, connection);
}

void HubTopics::unsubscribe_all(engine::ConnectionId connection) noexcept {
    hub_.unsubscribe_all(connection);
}

TopicResult HubTopics::listen(std::string_view scope, std::string_view topic,
                              std::shared_ptr<hub::TopicListener> listener,
                              hub::TopicQuota& quota) noexcept {
    return result_of(hub_.listen(scope, topic, std::move(listener), &quota));
}

void HubTopics::ignore(std::string_view scope, std::string_view topic,
                       const hub::TopicListener& listener) noexcept {
    hub_.ignore(scope, topic, listener);
}

TopicResult HubTopics::publish(std::string_view scope, std::string_view topic,
                               protocol::MessageType type, std::span<const std::uint8_t> payload,
                               engine::ConnectionId except, std::uint32_t /*flags*/) noexcept {
    return result_of(hub_.publish(scope, topic, type, payload, except));
}

}  // namespace websocket::plugin
