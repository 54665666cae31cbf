// SPDX-License-Identifier: Apache-2.0
// ws.presence/draft1
#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hub/presence.hpp"
#include "hub/watch_scope.hpp"
#include "plugin/v1/v1_host.hpp"
#include "plugin/v1/v1_topic.hpp"
#include "websocket/ext/draft/presence.h"

namespace websocket::plugin {

using engine::ConnectionId;
using hub::Member;
using hub::TopicResult;

namespace {

/// Tells a plugin how the members differ from those whom it has been told of. Used by one thread at a time.
class Watch {
public:
    struct Functions {
        ws_member member;
        ws_call done;
        void* data;
    };

    Watch(const V1Instance& instance, std::string_view topic, const Functions& functions)
        : instance_(instance), topic_(topic), functions_(functions) {
        presence().begin_watch(scope(), topic_);
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() {
        presence().end_watch(scope(), topic_);
        if (functions_.done != nullptr) {
            functions_.done(functions_.data);
        }
    }
    /// It came to nothing.
    void forget() noexcept { functions_.done = nullptr; }

    static void look(void* watch, std::uint32_t /*type*/, const void* /*bytes*/,
                     std::uint64_t /*n*/) {
        static_cast<Watch*>(watch)->look();
    }
    static void end(void* watch) { const std::unique_ptr<Watch> last(static_cast<Watch*>(watch)); }

private:
    [[nodiscard]] hub::Presence& presence() const { return *instance_.host().presence; }
    [[nodiscard]] std::string_view scope() const { return instance_.endpoint().topics.scope; }

    void look() {
        const std::uint64_t changes = presence().changes();
        if (seen_ == changes) {
            return;  // an earlier look has seen what this one was called for
        }
        auto now = presence().members(scope(), topic_);
        if (!now) {
            return;
        }
        seen_ = changes;
        const std::vector<Member> before = std::exchange(members_, std::move(*now));
        auto old = before.begin();
        for (const Member& one : members_) {
            for (; old != before.end() && old->id < one.id; ++old) {
                tell(WS_LEFT, *old);
            }
            const bool known = old != before.end() && old->id == one.id;
            if (!known || old->info != one.info) {
                tell(known ? WS_CHANGED : WS_JOINED, one);
            }
            old += known ? 1 : 0;
        }
        std::for_each(old, before.end(), [this](const Member& one) { tell(WS_LEFT, one); });
    }
    void tell(std::uint32_t what, const Member& one) const {
        functions_.member(functions_.data, what, one.id.data(), one.id.size(), one.info.data(),
                          one.info.size());
    }

    const V1Instance& instance_;
    const std::string topic_;
    Functions functions_;
    std::optional<std::uint64_t> seen_;
    std::vector<Member> members_;  // told
};

ws_result enter(const ws_host* host, ws_conn conn, const void* topic, uint64_t n, const void* id,
                uint64_t id_size, const void* info, uint64_t info_size) {
    if (host == nullptr || !is_topic(topic, n) || !is_topic(id, id_size) ||
        !is_valid(info, info_size) || info_size > hub::PresenceStore::kMaxInfo) {
        return WS_BAD_ARG;
    }
    V1Instance& instance = V1Instance::of(host);
    const ConnectionId connection = ConnectionId::from_value(conn);
    if (connection.generation() == 0 || !is_open(instance, connection)) {
        return WS_GONE;
    }
    instance.note_topics();
    try {
        hub::Presence& presence = *instance.host().presence;
        const TopicResult result =
            presence.enter(instance.endpoint().topics.scope, topic_name(topic, n), connection,
                           topic_name(id, id_size), topic_name(info, info_size));
        if (result == TopicResult::ok && !is_open(instance, connection)) {
            presence.leave_all(connection);  // it ended meanwhile, and nobody else would do this
            return WS_GONE;
        }
        return abi_result(result);
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
}

ws_result leave(const ws_host* host, ws_conn conn, const void* topic, uint64_t n) {
    if (host == nullptr || !is_topic(topic, n)) {
        return WS_BAD_ARG;
    }
    const V1Instance& instance = V1Instance::of(host);
    instance.host().presence->leave(instance.endpoint().topics.scope, topic_name(topic, n),
                                    ConnectionId::from_value(conn));
    return WS_OK;
}

ws_result members(const ws_host* host, const void* topic, uint64_t n, ws_member member, void* data,
                  uint64_t* count) {
    if (host == nullptr || !is_topic(topic, n)) {
        return WS_BAD_ARG;
    }
    const V1Instance& instance = V1Instance::of(host);
    try {
        const auto all = instance.host().presence->members(instance.endpoint().topics.scope,
                                                           topic_name(topic, n));
        if (!all) {
            return WS_NO_MEMORY;
        }
        for (const Member& one : *all) {
            if (member != nullptr) {
                member(data, WS_JOINED, one.id.data(), one.id.size(), one.info.data(),
                       one.info.size());
            }
        }
        if (count != nullptr) {
            *count = all->size();
        }
        return WS_OK;
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
}

ws_result watch(const ws_host* host, const void* topic, uint64_t n, ws_member member, ws_call done,
                void* data, uint64_t* listener) {
    if (host == nullptr || !is_topic(topic, n) || member == nullptr || listener == nullptr) {
        return WS_BAD_ARG;
    }
    V1Instance& instance = V1Instance::of(host);
    try {
        auto made = std::make_unique<Watch>(instance, topic_name(topic, n),
                                            Watch::Functions{member, done, data});
        const std::string scope = hub::watch_scope(instance.endpoint().topics.scope);
        const ws_result result =
            listen(instance, topic_name(topic, n),
                   {.scope = scope, .message = Watch::look, .done = Watch::end, .data = made.get()},
                   *listener);
        if (result != WS_OK) {
            made->forget();
            return result;
        }
        static_cast<void>(made.release());
        instance.host().topics->publish_here(scope,
                                             topic_name(topic, n));  // it looks for the first time
        return WS_OK;
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
}

}  // namespace

const void* presence_extension() noexcept {
    static constexpr ws_presence_draft_1 kTable{
        sizeof(ws_presence_draft_1), 0, enter, leave, members, watch,
    };
    return &kTable;
}

}  // namespace websocket::plugin
