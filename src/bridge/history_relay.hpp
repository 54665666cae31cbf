// SPDX-License-Identifier: Apache-2.0
// Topics with history over several hosts: the broker gives positions, and each host has all of it in its memory.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "base/log_throttle.hpp"
#include "base/sip_hash.hpp"
#include "bridge/broker_link.hpp"
#include "bridge/history_queue.hpp"
#include "bridge/history_record.hpp"
#include "hub/bridge_counts.hpp"
#include "hub/bus.hpp"
#include "hub/history.hpp"
#include "net/reactor.hpp"
#include "net/timer.hpp"

namespace websocket::bridge {

struct HistoryRelayOptions {
    std::string prefix;
    std::uint64_t host = 0;  ///< not 0, and no other httpd's
    /// Larger with each call, also of bridges of this httpd that follow each other.
    std::function<std::uint64_t()> next_number;
    /// See hub::Registry; outlives the relay.
    std::atomic<std::uint64_t>* has_all_until = nullptr;
    base::HashKey hash_key{};
    std::size_t buffer = 16U << 20;                  ///< bytes that may wait for the broker
    std::chrono::milliseconds longest_wait{10'000};  ///< of a message, for the broker
    /// Subscribers of this host do not wait longer than that for a message of this host.
    std::chrono::milliseconds stall{1500};
    /// While the broker is away, so many topics are remembered besides those with messages that wait for it.
    std::size_t topics = 100'000;
};

/// What is published here goes to the broker and comes back with its position, then it goes into the memory and to the
/// processes of this host. While the broker is away or stalls, messages get positions of an epoch of this host, and
/// are told at once; the broker gets them when it is back, and the topic returns to its epoch. [loop]
class HistoryRelay {
public:
    /// All that is referred to outlives it.
    HistoryRelay(net::Reactor& reactor, HistoryRelayOptions options, hub::History& history,
                 BrokerLink& link, hub::Bus& bus, hub::BridgeCounts& counts, base::Log& log);

    [[nodiscard]] const std::string& channel() const noexcept { return channel_; }
    /// Whether it is for publish().
    [[nodiscard]] bool keeps(std::string_view key) const noexcept;
    /// From a process of this host: what has a position has been told here already. False when it is told here, but the
    /// broker does not keep histories: others have to learn of it in another way.
    [[nodiscard]] bool publish(std::string_view key, const engine::SharedFrame& frame);
    void on_up();
    void on_down();
    /// Of the channel. False when it is not understood.
    [[nodiscard]] bool on_record(std::string_view payload);
    void on_answer(Reply&& reply);
    /// As far as the link has room.
    void feed();

    [[nodiscard]] bool is_idle() const noexcept { return queue_.empty(); }
    [[nodiscard]] std::size_t queued_bytes() const noexcept { return queue_.bytes(); }
    /// With which something is the matter.
    [[nodiscard]] std::size_t topics() const noexcept { return topics_.size(); }
    /// Messages of this host that the broker did not get, since the last call.
    [[nodiscard]] std::size_t take_dropped() noexcept { return std::exchange(dropped_, 0); }

private:
    enum class Phase : std::uint8_t {
        down,
        loading,  ///< what was missed is read; nothing is sent
        ready,
        refused,  ///< the broker does not take scripts
    };
    enum class Load : std::uint8_t {
        none,
        behind,  ///< what is behind the last one that came here
        all,     ///< anew, as the broker has it
    };
    /// Of a topic with which something is the matter.
    struct Topic {
        Load load = Load::none;
        bool begun = false;       ///< the memory has the first part of Load::all
        bool is_local = false;    ///< in an epoch of this host
        std::size_t pending = 0;  ///< messages in the queue that were told here
        /// While it is local: the last message of the broker that subscribers here have got.
        hub::Position told = {};
        std::vector<std::string> held = {};  ///< records that have come while it is loaded
    };
    struct Question {
        enum class Kind : std::uint8_t {
            publish_script,
            read_script,
            clock,
            index,
            publication,
            messages,
            old_topics,
            nothing,  ///< that anybody waits for
        };
        Kind kind;
        std::string key;           ///< of a topic
        std::uint64_t number = 0;  ///< of a publication
    };
    /// An answer of kReadScript.
    struct Found {
        hub::Position last;
        std::int64_t now = 0;
        std::vector<HistoryRecord> records = {};
    };

    // history_relay.cpp: what is published, and what comes
    void tell_here(HistoryQueue::Item& item);
    void go_local();
    void look_for_stall();
    void forget_topics();
    void drop_front();
    void settle(const HistoryQueue::Item& item);
    void on_publication(const Question& question, const Reply& reply);
    /// What is new is told here and kept. It was published so long ago.
    void take(const HistoryRecord& record, std::chrono::milliseconds ago);
    void place(const hub::TopicKey& key, const HistoryRecord& record, std::chrono::milliseconds ago,
               bool seen, const hub::Origin& origin);
    void take_local(const hub::TopicKey& key, const hub::HistoryLimits& limits, Topic& topic,
                    const HistoryRecord& record, bool seen, const hub::Origin& origin);
    [[nodiscard]] hub::Placed keep(const hub::TopicKey& key, const hub::HistoryLimits& limits,
                                   const HistoryRecord& record, std::chrono::milliseconds ago,
                                   const hub::Origin& origin);
    [[nodiscard]] bool is_own(const HistoryRecord& record) const noexcept {
        return record.message.host == options_.host;
    }
    [[nodiscard]] bool has_seen(const HistoryRecord& record) const noexcept;
    void tell_local(const hub::TopicKey& key, const hub::HistoryLimits& limits,
                    protocol::Opcode opcode, std::span<const std::uint8_t> payload,
                    std::string_view fields, const hub::Origin& origin);
    Topic& make_local(const std::string& key);
    void tell(const hub::TopicKey& key, const engine::SharedFrame& frame) noexcept;
    void refuse(const std::string& why);
    void say_refused(const std::string& why);
    /// The connection is of no use after this answer, and has been ended.
    [[nodiscard]] bool ends_connection_by(const Reply& reply);
    void ask_for(Question question, std::initializer_list<std::string_view> words);

    // history_relay_load.cpp: what was missed
    void on_clock(const Reply& reply);
    void on_index(const Reply& reply);
    void load_more();
    void begin_load(const std::string& key, Topic& topic, Load load);
    void become_ready();
    void forget_connection();
    void ask_messages(const std::string& key, const hub::Position& known, std::uint64_t from);
    void ask_to_read(Question::Kind kind, const std::string& key, const hub::Position& known,
                     std::uint64_t from, std::size_t messages);
    void note_new_topic();
    void on_old_topics(const Reply& reply);
    void on_messages(const std::string& key, const Reply& reply);
    [[nodiscard]] static bool parse(const Reply& reply, Found& found);
    void take_behind(const std::string& key, Topic& topic, const Found& found);
    void take_all(const std::string& key, Topic& topic, const Found& found);
    [[nodiscard]] bool is_another_history(const hub::TopicKey& key, const hub::OrderState& state,
                                          const Found& found);
    void end_load(const std::string& key);
    /// The broker cannot tell: the topic stays as it is.
    void give_up(const std::string& key);
    /// Returns to the broker's epoch when nothing that was told here is under way any more; forgets a topic with which all
    /// is well.
    void drop_if_settled(const std::string& key);
    void hold(Topic& topic, std::string_view payload);
    /// A connection gets messages in the order of the broker's clock.
    void note_has_all(std::uint64_t until) noexcept;

    net::Reactor& reactor_;
    const HistoryRelayOptions options_;
    hub::History& history_;
    BrokerLink& link_;
    hub::Bus& bus_;
    hub::BridgeCounts& counts_;
    base::Log& log_;
    const std::string channel_;
    const std::string index_;
    Phase phase_ = Phase::down;
    bool local_ = true;  ///< what is published is told here at once
    HistoryQueue queue_;
    std::size_t dropped_ = 0;
    /// Numbers of messages that were told here after they had been sent.
    std::unordered_set<std::uint64_t> told_late_;
    std::unordered_map<std::string, Topic> topics_;
    std::size_t most_topics_;
    std::size_t held_bytes_ = 0;
    std::deque<Question> asked_;
    std::string publish_script_;  ///< as the broker calls it
    std::string read_script_;
    std::uint64_t connected_at_ = 0;  ///< by the broker's clock, in milliseconds
    std::vector<std::string> to_load_;
    std::unordered_set<std::string> loaded_;  ///< in this connection, in phase loading
    std::size_t loading_ = 0;                 ///< topics
    bool index_read_ = false;
    unsigned new_topics_ = 0;      ///< in the index, since it was looked at
    std::string old_topics_{"0"};  ///< where that goes on
    base::LogThrottle refused_line_;
    net::Timer stall_timer_;
};

}  // namespace websocket::bridge
