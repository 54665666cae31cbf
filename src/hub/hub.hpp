// SPDX-License-Identifier: Apache-2.0
// Topics: what one connection publishes, all that subscribe get, in whatever process they are.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/engine.hpp"
#include "hub/bus.hpp"
#include "hub/drops.hpp"
#include "hub/history.hpp"
#include "hub/limit_names.hpp"
#include "hub/topic_counts.hpp"
#include "hub/topic_table.hpp"
#include "protocol/frame.hpp"

namespace websocket::hub {

struct HubOptions {
    /// Topics with subscribers in this process: names may be chosen by clients.
    std::size_t max_topics = 100'000;
    base::HashKey hash_key{};  ///< the same in all processes of the bus; not known to clients
    /// Where the hub says what it has; null for nowhere. Outlives it.
    TopicCounts* counts = nullptr;
    LimitNames names = {};
    /// Of topics, in memory that the processes of the bus share; null for none. Outlives the hub.
    History* history = nullptr;
};

enum class TopicResult : std::uint8_t {
    ok,
    full,                    ///< published, but some subscribers will not get it: too much waits
    gone,                    ///< the connection has ended
    bad_name,                ///< of the topic or the scope; see TopicKey
    too_big,                 ///< 256 MiB or more; not published
    too_many_subscriptions,  ///< TopicQuota::most_of_connection
    too_many_topics,         ///< HubOptions::max_topics, or TopicQuota::most
    no_memory,               ///< not subscribed; published to some at most
    unavailable,  ///< other processes cannot be reached: not subscribed; published in this one only
    no_history,   ///< the topic has none
};

/// How a subscriber comes back: from where, and how many bytes may wait for it.
struct Return {
    Position since;
    std::size_t room;
};
/// What has come of it.
struct Recovered {
    Position now = {};      ///< what comes next is behind it
    bool complete = false;  ///< what was missed is sent first; else something is missing
};

/// Part of this process that is told what is published.
class TopicListener {
public:
    TopicListener() noexcept = default;
    TopicListener(const TopicListener&) = delete;
    TopicListener& operator=(const TopicListener&) = delete;
    virtual ~TopicListener() = default;
    /// One call after the other, in the order in which subscribers get it. Does not call the hub.
    /// False when too much waits already: the message is lost. [any thread]
    [[nodiscard]] virtual bool take(const engine::SharedFrame& frame) noexcept = 0;

private:
    friend class Hub;
    std::uint32_t stands_for_ = 0;  // guarded by the hub
};

/// Never blocks. A connection's subscriptions end with it. What is published once subscribe() has
/// returned, in whatever process, reaches the subscriber, unless it is too slow or a queue is full;
/// messages that one thread publishes arrive in order, and in order with what it sends to a
/// connection of its own process.
class Hub final : private engine::GroupListener, private Bus::Receiver {
public:
    /// Before the engine has connections. `log`, `engine` and `bus` outlive the hub's last call;
    /// the hub outlives the engine's and the bus's threads.
    Hub(engine::Engine& engine, Bus& bus, base::Log& log, const HubOptions& options) noexcept;

    /// From Session::on_open() on. Subscribing twice is subscribing once. `scope` keeps equal names
    /// apart. A topic that is new counts for `quota`, which outlives the hub. [any thread]
    [[nodiscard]] TopicResult subscribe(std::string_view scope, std::string_view topic,
                                        engine::ConnectionId id, TopicQuota& quota) noexcept;
    /// The same for a topic with history: what was published since `from` is sent to the connection first, and nothing
    /// twice. Where not all of that is left, or it is more than fits, nothing of it is sent. Who has subscribed already
    /// gets what it would get anyway. [any thread]
    [[nodiscard]] TopicResult subscribe_again(std::string_view scope, std::string_view topic,
                                              engine::ConnectionId id, TopicQuota& quota,
                                              const std::optional<Return>& from,
                                              Recovered& recovered) noexcept;
    /// What was published before in this process still comes. [any thread]
    void unsubscribe(std::string_view scope, std::string_view topic,
                     engine::ConnectionId id) noexcept;
    /// [any thread]
    void unsubscribe_all(engine::ConnectionId id) noexcept;

    /// A listener counts as a subscriber. It is kept until ignore(), and added to a topic once.
    /// [any thread]
    [[nodiscard]] TopicResult listen(std::string_view scope, std::string_view topic,
                                     std::shared_ptr<TopicListener> listener,
                                     TopicQuota* quota = nullptr) noexcept;
    /// No take() runs any more when it returns. [any thread]
    void ignore(std::string_view scope, std::string_view topic,
                const TopicListener& listener) noexcept;

    /// A listener that passes on what it gets counts as so many subscribers; none at first. [any thread]
    void stand_for(std::string_view scope, std::string_view topic, TopicListener& listener,
                   std::uint32_t subscribers) noexcept;
    /// Connections that have subscribed, in all processes, and those that listeners stand for. [any thread]
    [[nodiscard]] std::uint64_t subscribers(std::string_view scope,
                                            std::string_view topic) noexcept;

    /// Sends a message to all subscribers but `except`; to those of this process if the name of the topic
    /// begins with a NUL. With a history, it gets the next position, which `position` is set to; it
    /// stays as it is where the broker of all hosts gives positions (Bus::is_ordered()). Those whose send_buffer is full lose it, or are closed: see
    /// ConnectionOptions::closes_slow. Event streams get `event_fields` as well, which
    /// protocol::event_fields() has made. [any thread]
    [[nodiscard]] TopicResult
    publish(std::string_view scope, std::string_view topic, protocol::MessageType type,
            std::span<const std::uint8_t> payload, engine::ConnectionId except = {},
            std::string_view event_fields = {}, Position* position = nullptr) noexcept;

    /// A message without content to those of this process. [any thread]
    void publish_here(std::string_view scope, std::string_view topic) noexcept;

    /// Whether some topics have a history, and whether this one has. [any thread]
    [[nodiscard]] bool has_history() const noexcept { return options_.history != nullptr; }
    [[nodiscard]] bool keeps(std::string_view scope, std::string_view topic) const noexcept;
    /// What the history of a topic has. Listeners have been given everything up to HistoryExcerpt::top when it returns.
    /// [any thread]
    [[nodiscard]] TopicResult read(std::string_view scope, std::string_view topic,
                                   const HistoryRange& range, HistoryExcerpt& excerpt) noexcept;

    /// Where a listener hears of gaps of the topics of a scope: messages whose first byte is a GapReason, with the name of the
    /// topic behind it; without, it is a gap of all. Only of topics that somebody in this process wants.
    /// Throws std::bad_alloc. [any thread]
    [[nodiscard]] static std::string gap_scope(std::string_view scope);
    [[nodiscard]] static std::string_view gap_topic() noexcept;

    /// To be called once a second or so: what a process had published and could not tell of when it was killed, subscribers
    /// here get now. [any thread]
    void look_after_history() noexcept;

    [[nodiscard]] const Drops& drops() const noexcept { return drops_; }

private:
    void on_gone(engine::ConnectionId id) noexcept override;
    void on_too_slow(std::size_t members) noexcept override;
    void receive(const TopicKey& key, const engine::SharedFrame& frame) noexcept override;
    void list_interests(const std::function<void(std::string_view)>& each) override;
    [[nodiscard]] bool on_gap(std::string_view key, GapReason why) noexcept override;
    void take_back(const TopicKey& key, const engine::SharedFrame& frame) noexcept override;

    [[nodiscard]] TopicResult subscribe(const TopicKey& key, engine::ConnectionId id,
                                        TopicQuota& quota, const std::optional<Return>& from,
                                        Recovered* recovered) noexcept;
    [[nodiscard]] TopicResult subscribe_new(TopicTable::Entry& topic, const TopicKey& key,
                                            engine::ConnectionId id,
                                            const std::optional<Return>& from,
                                            Recovered* recovered);
    void unsubscribe(TopicTable::Entry& topic, engine::ConnectionId id) noexcept;
    /// The topic, perhaps new; null with the reason. Throws std::bad_alloc.
    [[nodiscard]] TopicTable::Entry* find_or_add(const TopicKey& key, TopicQuota* quota,
                                                 TopicResult& refusal);
    /// False when there may be no further topic; the log says why.
    [[nodiscard]] bool has_room(const TopicQuota* quota) const noexcept;
    /// Of the bus; a topic of this process alone has no business there. What a topic with history has so far is not for
    /// those who come now.
    [[nodiscard]] bool add_interest(TopicTable::Entry& topic, const TopicKey& key) noexcept;
    void remove_interest(const TopicKey& key) noexcept {
        if (!key.is_of_process()) {
            bus_.remove_interest(key);
        }
    }
    /// Connections of this process, and those that listeners stand for.
    [[nodiscard]] static std::uint64_t subscribers_of(const Topic& topic) noexcept;
    /// Tells other processes how many subscribers there are.
    void show_subscribers(const TopicTable::Entry& topic) noexcept;
    /// Forgets a topic that nobody wants any more.
    void drop_unwanted(TopicTable::Entry& topic) noexcept;
    void forget(engine::ConnectionId id) noexcept;
    [[nodiscard]] bool has_subscribers(const TopicKey& key) noexcept;
    [[nodiscard]] TopicResult broadcast(const TopicKey& key, const engine::SharedFrame& frame,
                                        engine::ConnectionId except) noexcept;
    /// Of those who get a message, who cannot.
    struct Missed {
        std::size_t full = 0;
        std::size_t failed = 0;
        Missed& operator+=(const Missed& more) noexcept {
            full += more.full;
            failed += more.failed;
            return *this;
        }
    };
    [[nodiscard]] Missed send_to_members(const Topic& topic, const engine::SharedFrame& frame,
                                         engine::ConnectionId except) noexcept;
    [[nodiscard]] TopicResult count(const Missed& missed) noexcept;

    [[nodiscard]] TopicResult publish_elsewhere(const TopicKey& key,
                                                const engine::SharedFrame& frame) noexcept;

    // Topics with history: hub_history.cpp.
    [[nodiscard]] TopicResult
    publish_kept(const TopicKey& key, const HistoryLimits& limits, protocol::Opcode opcode,
                 std::span<const std::uint8_t> payload, engine::ConnectionId except,
                 std::string_view event_fields, Position* position) noexcept;
    /// To who gives it a position; it comes back with that.
    [[nodiscard]] TopicResult publish_ordered(const TopicKey& key, protocol::Opcode opcode,
                                              std::span<const std::uint8_t> payload,
                                              engine::ConnectionId except,
                                              std::string_view event_fields) noexcept;
    [[nodiscard]] TopicResult
    publish_here_first(const TopicKey& key, const HistoryLimits& limits, protocol::Opcode opcode,
                       std::span<const std::uint8_t> payload, engine::ConnectionId except,
                       std::string_view event_fields, Position* position) noexcept;
    [[nodiscard]] engine::ConnectionId excepted(const engine::SharedFrame& frame) const noexcept;
    [[nodiscard]] TopicResult broadcast_kept(const TopicKey& key, const engine::SharedFrame& frame,
                                             const Position& position) noexcept;
    // The lock is held.
    [[nodiscard]] Missed advance(Topic& topic, const TopicKey& key,
                                 const engine::SharedFrame& frame, const Position& position,
                                 engine::ConnectionId except) noexcept;
    /// False when it is not of the history that this process knows.
    [[nodiscard]] bool belongs(Topic& topic, const TopicKey& key,
                               const Position& position) noexcept;
    static constexpr std::uint64_t kTop = UINT64_MAX;
    /// Gives all who have subscribed what they have not got up to an offset, from the history.
    [[nodiscard]] Missed catch_up(Topic& topic, const TopicKey& key, std::uint64_t until) noexcept;
    void send_missed(const TopicKey& key, const Topic& topic, engine::ConnectionId id,
                     const Return& from, Recovered& recovered);

    void count(Drop why, std::size_t messages = 1) noexcept;
    /// Holds the lock while subscriptions change, and shows the figures in the end.
    struct Change {
        explicit Change(Hub& changed) : hub(changed), lock(changed.mutex_) {}
        ~Change() { hub.show(); }
        Hub& hub;
        const std::lock_guard<std::mutex> lock;
    };
    void show() const noexcept;

    engine::Engine& engine_;
    Bus& bus_;
    const HubOptions options_;
    base::Log& log_;
    Drops drops_;
    const std::uint64_t self_;  // this process, for messages that come back: see Origin
    std::mutex mutex_;  // guards table_, and orders it with the inboxes of the loops and the bus
    TopicTable table_;
    std::size_t listeners_ = 0;                // guarded as well
    std::atomic<std::uint64_t> looked_at_{0};  // History::appended() then
};

}  // namespace websocket::hub
