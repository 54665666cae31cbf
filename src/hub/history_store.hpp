// SPDX-License-Identifier: Apache-2.0
// What was published to topics with a history, in memory that all processes share.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/shared_frame.hpp"
#include "hub/position.hpp"
#include "hub/topic_key.hpp"
#include "shm/block_pool.hpp"
#include "shm/robust_mutex.hpp"

namespace websocket::hub {

/// How much of a topic is kept.
struct HistoryLimits {
    std::uint32_t messages;
    std::chrono::milliseconds ttl;
    bool operator==(const HistoryLimits&) const = default;
};

/// Which messages of a topic are asked for.
struct HistoryRange {
    Position since = {};  ///< those behind it; without: the last ones
    std::uint64_t until = std::numeric_limits<std::uint64_t>::max();  ///< no larger offsets
    std::uint32_t most = std::numeric_limits<
        std::uint32_t>::max();  ///< the first ones behind `since`, else the last
    /// All of them or none: with more bytes, or where one behind `since` is missing, the excerpt is not complete and has
    /// no frames. Without: what there is.
    std::optional<std::size_t> whole_within = {};
};

struct HistoryExcerpt {
    Position top;  ///< of the last message of the topic, whether it is kept or not
    /// Nothing behind `since` is missing: what is not here was published later, or is beyond `until` or `most`. Else
    /// the frames are what is left of that epoch.
    bool complete = false;
    std::vector<engine::SharedFrame> frames =
        {};                 ///< with their positions and the fields of events
    std::size_t bytes = 0;  ///< of all frames
};

/// A message that has its position from elsewhere: the broker orders those of all hosts.
struct OrderedMessage {
    Position at;
    protocol::Opcode opcode;
    std::span<const std::uint8_t> payload;
    std::string_view fields;
    Origin origin;
    std::chrono::milliseconds published;  ///< by the clock of this memory
    std::int64_t broker_time;             ///< by that of the broker
};

enum class Placed : std::uint8_t {
    kept,
    known,        ///< it was there already
    unavailable,  ///< the lock or memory could not be had
};

/// How a topic stands to the broker's order.
struct OrderState {
    bool is_ordered = false;  ///< the epoch is the broker's, not one of this memory
    Position last =
        {};  ///< of the broker's messages; of those before the epoch, if that is not the broker's
    std::int64_t broker_time = 0;  ///< of that one
};

/// A handle on the memory. A topic has an epoch, which is new when the memory has forgotten the topic, and offsets that
/// grow by one with each message. Where memory runs out, topics without messages are forgotten, the one first that was not
/// used for longest; then the topic that takes the most gives its oldest message: so nobody can talk the others'
/// history away. A process may be killed at any instruction. All functions: [any thread] of any process, unless they
/// say more; those that answer nothing could not get the lock, because a process was stopped with it.
class HistoryStore {
public:
    using Time = std::chrono::
        milliseconds;  ///< of a clock that all processes have, and that never goes back

    static constexpr std::size_t kLeast = std::size_t{64} << 10;
    static constexpr std::size_t kMost = std::size_t{64} << 30;

    /// Maps so much memory, kLeast to kMost, which stays until the last process with it has ended. Throws
    /// std::system_error. [config]
    [[nodiscard]] static HistoryStore create(std::size_t bytes);
    /// The one in a file that another process has from create(); nothing when it is none of this version. Throws
    /// std::system_error.
    [[nodiscard]] static std::optional<HistoryStore> open(int file);
    /// The file that it lies in, in the process that made it and those forked from it.
    [[nodiscard]] int file() const noexcept;
    /// The one that an earlier create() has made there, perhaps of another version of this module; nothing when it cannot
    /// be used. [config]
    [[nodiscard]] static std::optional<HistoryStore> at(void* memory) noexcept;
    [[nodiscard]] void* memory() const noexcept { return header_; }
    [[nodiscard]] std::size_t bytes() const noexcept;
    struct Usage {
        std::size_t bytes;
        std::size_t topics;  ///< that are known, also without messages
        std::size_t messages;
    };
    /// Looks at each topic: for people and monitors, once in a while.
    [[nodiscard]] std::optional<Usage> usage() const noexcept;

    /// A text or binary message gets the next position and is kept. Where the epoch is the broker's, it is the first one of
    /// a new epoch. One that takes more than half of the memory gets a
    /// position only, and whoever comes back to before it cannot recover.
    [[nodiscard]] std::optional<Position> append(const TopicKey& key, const HistoryLimits& limits,
                                                 protocol::Opcode opcode,
                                                 std::span<const std::uint8_t> payload,
                                                 std::string_view fields, Time now) noexcept;
    /// The same for one that has a position. Where that is of another epoch, this becomes the epoch, and what was before is
    /// forgotten. Where messages before it are missing, those before them are forgotten.
    [[nodiscard]] Placed append_at(const TopicKey& key, const HistoryLimits& limits,
                                   const OrderedMessage& message, Time now) noexcept;
    /// The broker's epoch begins here, behind this position, and what was before is forgotten. Whoever was there
    /// before has got all up to the offset `seen`.
    [[nodiscard]] bool begin_epoch(const TopicKey& key, const Position& behind, std::uint64_t seen,
                                   std::int64_t broker_time) noexcept;
    /// Zeros for a topic that is not known.
    [[nodiscard]] std::optional<OrderState> order_of(const TopicKey& key) noexcept;

    /// Where whoever comes from an earlier epoch stands in this one: all up to there it has got.
    [[nodiscard]] std::optional<Position> start_of(const TopicKey& key) noexcept;
    /// Of the last message; with offset 0 when there was none.
    [[nodiscard]] std::optional<Position> top(const TopicKey& key, const HistoryLimits& limits,
                                              Time now) noexcept;
    /// Grows with each message of any topic.
    [[nodiscard]] std::uint64_t appended() const noexcept;
    /// Costs what the frames do, however much is kept. Throws std::bad_alloc.
    [[nodiscard]] std::optional<HistoryExcerpt>
    read(const TopicKey& key, const HistoryLimits& limits, const HistoryRange& range, Time now);

private:
    using Index = shm::BlockPool::Index;
    struct Message;
    struct Topic;
    struct Header;

    explicit HistoryStore(Header* header) noexcept;

    [[nodiscard]] shm::RobustLock locked() const noexcept;

    // The lock is held.
    void recover() const noexcept;
    void recover(Index topic, Topic& head) const noexcept;
    [[nodiscard]] Index find(const TopicKey& key) const noexcept;
    /// 0 when there is no room for it.
    [[nodiscard]] Index find_or_make(const TopicKey& key) const noexcept;
    [[nodiscard]] Index make(const TopicKey& key, const Topic& head,
                             Index instead_of) const noexcept;
    [[nodiscard]] Index begin(const TopicKey& key, Index known, const Position& behind,
                              std::uint64_t seen, std::int64_t broker_time) const noexcept;
    /// The next message of the topic. False when there is no room.
    [[nodiscard]] bool put(Index topic, protocol::Opcode opcode,
                           std::span<const std::uint8_t> payload, std::string_view fields,
                           const Origin& origin, Time time) const noexcept;
    /// It is the last one of the chain of the topic.
    void link_back(Topic& head, Index added) const noexcept;
    /// The message of an offset that is kept, from one at or behind it.
    [[nodiscard]] Index find(Index from, std::uint64_t offset) const noexcept;
    [[nodiscard]] bool fits(Index first, std::uint64_t count, std::size_t bytes) const noexcept;
    void drop_all(Index topic) const noexcept;
    [[nodiscard]] bool make_room(std::size_t bytes, Index needed) const noexcept;
    void forget(Index topic) const noexcept;
    void drop_oldest(Index topic) const noexcept;
    void drop_surplus(Index topic, const HistoryLimits& limits, Time now) const noexcept;
    /// Into the list of those that take about as much, as the one that was used last.
    void list(Index topic) const noexcept;
    void unlist(Index topic) const noexcept;
    [[nodiscard]] engine::SharedFrame frame_of(Index message, std::uint64_t epoch) const;
    [[nodiscard]] Topic& topic(Index index) const noexcept;
    [[nodiscard]] Message& message(Index index) const noexcept;
    [[nodiscard]] Index& bucket_of(std::uint64_t hash) const noexcept;

    Header* header_;
    Index* buckets_;
    shm::BlockPool pool_;
};

/// What a subscriber of an event stream gets as an id, unless the publisher has given one; with the position of the
/// message, kept with its frame. Throws std::bad_alloc.
void mark_with_position(const engine::SharedFrame& frame, std::string_view fields,
                        const Position& position);

}  // namespace websocket::hub
