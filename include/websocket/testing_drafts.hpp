// SPDX-License-Identifier: Apache-2.0
// The inside of websocket/testing.hpp, which is what to include: histories, presence and gaps in memory.
#pragma once

#include "testing.hpp"

namespace websocket::testing {

namespace detail {

[[nodiscard]] inline bool is_topic(const void* topic, std::uint64_t n) noexcept {
    return topic != nullptr && n >= 1 && n <= 255;
}

}  // namespace detail

// ---- listeners --------------------------------------------------------------------------------------

inline ws_result Host::add_listener(TopicListener listener, std::uint64_t* number) {
    *number = next_call_++;
    listeners_[*number] = std::make_shared<TopicListener>(std::move(listener));
    return WS_OK;
}

/// Soon, if it listens still.
inline void Host::call_later(std::uint64_t listener, std::function<void(TopicListener&)> call) {
    auto* heard = new Heard{*this, listener, std::move(call)};
    posted_.push_back(
        {0, Heard::run, nullptr, Heard::done, heard, Milliseconds(0), Milliseconds(0), -1, 0});
}

inline void Host::Heard::run(void* heard) {
    const auto& self = *static_cast<Heard*>(heard);
    const auto found = self.host.listeners_.find(self.listener);
    if (found == self.host.listeners_.end()) return;
    const std::shared_ptr<TopicListener> listener = found->second;  // it may end in the call
    self.host.hearing_ = self.listener;
    self.call(*listener);
    self.host.hearing_ = 0;
}

inline bool Host::is_wanted(const std::string& topic) const {
    const auto found = topics_.find(topic);
    return (found != topics_.end() && !found->second.empty()) ||
           std::ranges::any_of(listeners_, [&](const auto& one) {
               return one.second->hears() && one.second->topic == topic;
           });
}

// ---- gaps -------------------------------------------------------------------------------------------

inline void Host::gap(std::uint32_t why, const std::string& topic) {
    if (!topic.empty() && !is_wanted(topic)) return;
    for (const auto& [number, one] : listeners_) {
        if (one->gap == nullptr || (!topic.empty() && !one->topic.empty() && one->topic != topic)) {
            continue;
        }
        call_later(number, [topic, why](TopicListener& listener) {
            listener.gap(listener.data, topic.empty() ? nullptr : topic.data(), topic.size(), why);
        });
    }
    settle();
}

// ---- history ----------------------------------------------------------------------------------------

inline Host::Kept* Host::kept(const std::string& topic) {
    for (const auto& [pattern, most] : setup_.histories) {
        const bool open = pattern.ends_with('*');
        const std::string_view stem = std::string_view(pattern).substr(0, pattern.size() - open);
        if (open ? topic.starts_with(stem) : topic == stem) {
            const auto [at, made] = kept_.try_emplace(topic);
            if (made) at->second.epoch = ++last_epoch_;
            at->second.most = most;
            return &at->second;
        }
    }
    return nullptr;
}

inline void Host::forget(const std::string& topic) { kept_.erase(topic); }

inline ws_position Host::keep(Kept& topic, const Sent& message) {
    const ws_position position{topic.epoch, ++topic.offset};
    topic.messages.push_back(message);
    if (topic.messages.size() > topic.most) topic.messages.pop_front();
    return position;
}

/// Whether everything behind the position is there.
inline bool Host::is_complete(const Kept& topic, const ws_position& since) {
    return since.epoch == topic.epoch && since.offset <= topic.offset &&
           since.offset >= topic.offset - topic.messages.size();
}

/// What is kept behind an offset, up to another one.
inline std::vector<std::pair<ws_position, Sent>>
Host::excerpt(const Kept& topic, std::uint64_t behind, std::uint64_t until) {
    std::vector<std::pair<ws_position, Sent>> found;
    std::uint64_t offset = topic.offset - topic.messages.size();
    for (const Sent& message : topic.messages) {
        ++offset;
        if (offset > behind && offset <= until) {
            found.emplace_back(ws_position{topic.epoch, offset}, message);
        }
    }
    return found;
}

/// The message with its position as its id, unless it has another one.
inline Sent Host::with_position(Sent message, const ws_position& position) {
    if (!message.id) {
        message.id = std::to_string(position.epoch) + '-' + std::to_string(position.offset);
    }
    return message;
}

inline bool Host::recover(Client& client, const Kept& topic, const ws_position& since) {
    if (!is_complete(topic, since)) return false;
    const auto missed = excerpt(topic, since.offset, topic.offset);
    std::size_t bytes = client.waiting_;
    for (const auto& [position, message] : missed) bytes += message.payload.size();
    if (client.room_ && bytes > *client.room_) return false;
    for (const auto& [position, message] : missed) {
        static_cast<void>(deliver(client, with_position(message, position)));
    }
    return true;
}

inline const void* Host::history_table() {
    static constexpr ws_history_draft_1 kHistory{
        sizeof(ws_history_draft_1),
        0,
        [](const ws_host* host, const void* topic, std::uint64_t n) -> std::uint32_t {
            return detail::is_topic(topic, n) &&
                           of(host).kept(std::string(detail::view(topic, n))) != nullptr
                       ? 1
                       : 0;
        },
        [](const ws_host* host, ws_conn conn, const void* topic, std::uint64_t n,
           const ws_position* since, ws_position* now, std::uint32_t* recovered) -> ws_result {
            if (!detail::is_topic(topic, n)) return WS_BAD_ARG;
            Host& self = of(host);
            const std::string name(detail::view(topic, n));
            const Kept* kept = self.kept(name);
            Client* client = self.find(conn);
            if (kept == nullptr) return WS_BAD_ARG;
            if (client == nullptr) return WS_GONE;
            const bool is_new = self.topics_[name].insert(conn).second;
            const bool complete = since != nullptr && (is_new ? self.recover(*client, *kept, *since)
                                                              : since->epoch == kept->epoch);
            if (now != nullptr) *now = {kept->epoch, kept->offset};
            if (recovered != nullptr) *recovered = complete ? 1 : 0;
            return WS_OK;
        },
        [](const ws_host* host, const void* topic, std::uint64_t topic_size, std::uint32_t type,
           const void* bytes, std::uint64_t n, ws_conn except, ws_position* position) -> ws_result {
            if (position == nullptr || (type != WS_TEXT && type != WS_BINARY)) return WS_BAD_ARG;
            *position = {};
            return of(host).publish(topic, topic_size, except,
                                    {type, std::string(detail::view(bytes, n))}, position);
        },
        [](const ws_host* host, const void* topic, std::uint64_t n, const ws_position* since,
           std::uint64_t until, std::uint32_t most, ws_history_message message, void* data,
           ws_position* now, std::uint32_t* recovered) -> ws_result {
            if (!detail::is_topic(topic, n) || message == nullptr) return WS_BAD_ARG;
            const Kept* kept = of(host).kept(std::string(detail::view(topic, n)));
            if (kept == nullptr) return WS_BAD_ARG;
            const ws_position top{kept->epoch, kept->offset};
            const std::uint64_t last = std::min(until, top.offset);
            const bool complete = since != nullptr && is_complete(*kept, *since);
            std::vector<std::pair<ws_position, Sent>> found;
            if (since == nullptr) {
                found = excerpt(*kept, last - std::min<std::uint64_t>(most, last), last);
            } else if (complete) {
                found = excerpt(*kept, since->offset, last);
            }
            if (found.size() > most) found.resize(most);
            for (const auto& [position, one] : found) {
                message(data, one.type, one.payload.data(), one.payload.size(), &position);
            }
            if (now != nullptr) *now = top;
            if (recovered != nullptr) *recovered = complete ? 1 : 0;
            return WS_OK;
        },
        [](const ws_host* host, const void* topic, std::uint64_t n, ws_history_message message,
           ws_call done, void* data, std::uint64_t* listener) -> ws_result {
            if (!detail::is_topic(topic, n) || message == nullptr || listener == nullptr) {
                return WS_BAD_ARG;
            }
            return of(host).add_listener({.topic = std::string(detail::view(topic, n)),
                                          .remembered = message,
                                          .done = done,
                                          .data = data},
                                         listener);
        }};
    return &kHistory;
}

// ---- presence ---------------------------------------------------------------------------------------

inline void Host::enter(const std::string& topic, const std::string& id, const std::string& info) {
    join(0, topic, id, info);
    settle();
}

inline void Host::leave(const std::string& topic, const std::string& id) {
    part(0, topic, id);
    settle();
}

inline Pairs Host::present(const std::string& topic) const {
    Pairs all;
    if (const auto found = members_.find(topic); found != members_.end()) {
        for (const auto& [id, member] : found->second) all.emplace_back(id, member.info);
    }
    return all;
}

inline void Host::join(ws_conn conn, const std::string& topic, const std::string& id,
                       const std::string& info) {
    if (conn != 0) {
        std::string& before = stands_for_[conn][topic];
        if (!before.empty() && before != id) part(conn, topic, before);
        stands_for_[conn][topic] = id;
    }
    Member& member = members_[topic][id];
    member.info = info;
    member.connections.insert(conn);
    look(topic);
}

inline void Host::part(ws_conn conn, const std::string& topic, const std::string& id) {
    const auto members = members_.find(topic);
    if (members == members_.end()) return;
    const auto member = members->second.find(id);
    if (member == members->second.end()) return;
    member->second.connections.erase(conn);
    if (member->second.connections.empty()) members->second.erase(member);
    look(topic);
}

inline void Host::part_all(ws_conn conn) {
    const auto found = stands_for_.find(conn);
    if (found == stands_for_.end()) return;
    const std::map<std::string, std::string> ended = std::move(found->second);
    stands_for_.erase(found);
    for (const auto& [topic, id] : ended) part(conn, topic, id);
}

/// Tells who watches how the members differ from those whom it was told of.
inline void Host::look(const std::string& topic) {
    for (const auto& [number, one] : listeners_) {
        if (one->member == nullptr || one->topic != topic) continue;
        call_later(number, [this](TopicListener& listener) {
            const Pairs all = present(listener.topic);
            const std::map<std::string, std::string> now(all.begin(), all.end());
            const std::map<std::string, std::string> before = std::exchange(listener.told, now);
            const auto tell = [&](std::uint32_t what, const auto& member) {
                const auto& [id, info] = member;
                if (listener.ended) return;
                listener.member(listener.data, what, id.data(), id.size(), info.data(),
                                info.size());
            };
            for (const auto& member : before) {
                if (!now.contains(member.first)) tell(WS_LEFT, member);
            }
            for (const auto& member : now) {
                const auto known = before.find(member.first);
                if (known == before.end()) {
                    tell(WS_JOINED, member);
                } else if (known->second != member.second) {
                    tell(WS_CHANGED, member);
                }
            }
        });
    }
}

inline const void* Host::presence_table() {
    static constexpr std::size_t kMostOfClient = 100;
    static constexpr std::size_t kMostInfo = 4096;
    static constexpr ws_presence_draft_1 kPresence{
        sizeof(ws_presence_draft_1),
        0,
        [](const ws_host* host, ws_conn conn, const void* topic, std::uint64_t n, const void* id,
           std::uint64_t id_size, const void* info, std::uint64_t info_size) -> ws_result {
            if (!detail::is_topic(topic, n) || !detail::is_topic(id, id_size) ||
                (info == nullptr && info_size > 0) || info_size > kMostInfo) {
                return WS_BAD_ARG;
            }
            Host& self = of(host);
            if (self.find(conn) == nullptr) return WS_GONE;
            const std::string name(detail::view(topic, n));
            const auto& entered = self.stands_for_[conn];
            if (entered.size() >= kMostOfClient && !entered.contains(name)) return WS_FULL;
            self.join(conn, name, std::string(detail::view(id, id_size)),
                      std::string(detail::view(info, info_size)));
            return WS_OK;
        },
        [](const ws_host* host, ws_conn conn, const void* topic, std::uint64_t n) -> ws_result {
            if (!detail::is_topic(topic, n)) return WS_BAD_ARG;
            Host& self = of(host);
            const std::string name(detail::view(topic, n));
            const auto client = self.stands_for_.find(conn);
            if (client == self.stands_for_.end()) return WS_OK;
            if (const auto member = client->second.extract(name)) {
                self.part(conn, name, member.mapped());
            }
            return WS_OK;
        },
        [](const ws_host* host, const void* topic, std::uint64_t n, ws_member member, void* data,
           std::uint64_t* count) -> ws_result {
            if (!detail::is_topic(topic, n)) return WS_BAD_ARG;
            const Pairs all = of(host).present(std::string(detail::view(topic, n)));
            for (const auto& [id, info] : all) {
                if (member == nullptr) break;
                member(data, WS_JOINED, id.data(), id.size(), info.data(), info.size());
            }
            if (count != nullptr) *count = all.size();
            return WS_OK;
        },
        [](const ws_host* host, const void* topic, std::uint64_t n, ws_member member, ws_call done,
           void* data, std::uint64_t* listener) -> ws_result {
            if (!detail::is_topic(topic, n) || member == nullptr || listener == nullptr) {
                return WS_BAD_ARG;
            }
            Host& self = of(host);
            const std::string name(detail::view(topic, n));
            const ws_result result = self.add_listener(
                {.topic = name, .member = member, .done = done, .data = data}, listener);
            self.look(name);
            return result;
        }};
    return &kPresence;
}

// ---- all of them ------------------------------------------------------------------------------------

inline const void* Host::gap_table() {
    static constexpr ws_gap_draft_1 kGap{
        sizeof(ws_gap_draft_1), 0,
        [](const ws_host* host, const void* topic, std::uint64_t n, ws_gap gap, ws_call done,
           void* data, std::uint64_t* listener) -> ws_result {
            const bool all = topic == nullptr && n == 0;
            if ((!all && !detail::is_topic(topic, n)) || gap == nullptr || listener == nullptr) {
                return WS_BAD_ARG;
            }
            return of(host).add_listener({.topic = std::string(detail::view(topic, n)),
                                          .gap = gap,
                                          .done = done,
                                          .data = data},
                                         listener);
        }};
    return &kGap;
}

/// Null: none of these, or the server does not have it.
inline const void* Host::draft(std::string_view name) const {
    if (name == WS_HISTORY_DRAFT_1 && !setup_.histories.empty()) return history_table();
    if (name == WS_PRESENCE_DRAFT_1 && setup_.presence) return presence_table();
    if (name == WS_GAP_DRAFT_1 && setup_.gaps) return gap_table();
    return nullptr;
}

}  // namespace websocket::testing
