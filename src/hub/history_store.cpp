// SPDX-License-Identifier: Apache-2.0
#include "hub/history_store.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <new>
#include <string>

#include "base/descriptor.hpp"
#include "engine/event_form.hpp"
#include "protocol/event_encoder.hpp"
#include "shm/mapping.hpp"

namespace websocket::hub {

using engine::SharedFrame;
using engine::text_bytes;

namespace {

/// Changes whenever the memory does.
constexpr std::uint64_t kHistoryLayout = 0x57534849'00000003;
/// Lists of topics that take about as much: n of them 2^(n-1) to 2^n blocks, the first one none.
constexpr std::size_t kLists = 33;

std::uint64_t new_epoch() noexcept {
    std::uint64_t epoch = 0;
    while (epoch == 0) {
        if (::getrandom(&epoch, sizeof epoch, 0) != sizeof epoch) {
            epoch = static_cast<std::uint64_t>(
                std::chrono::system_clock::now().time_since_epoch().count());
        }
    }
    return epoch;
}

/// The offset that Message::skip is of: the lowest bit that is set is gone.
constexpr std::uint64_t skip_of(std::uint64_t offset) noexcept { return offset & (offset - 1); }

}  // namespace

/// Begins a chain; the fields of events and the payload follow.
struct HistoryStore::Message {
    std::uint64_t offset;
    std::int64_t time;
    Origin origin;
    Index next;  ///< of the topic
    std::uint32_t size;
    std::uint32_t blocks;
    std::uint16_t fields_size;
    std::uint8_t opcode;
    // derived; of messages that were dropped meanwhile, it is not to be followed
    Index before = 0;
    Index skip = 0;  ///< see skip_of()

    [[nodiscard]] protocol::EncodedHeader header() const noexcept {
        return {static_cast<protocol::Opcode>(opcode), size};
    }
};

/// Begins a chain; the key follows. What is not said to be derived is what recover() believes.
struct HistoryStore::Topic {
    std::uint64_t hash;
    std::uint64_t epoch;
    std::uint64_t top = 0;   ///< of the last message, at least
    std::uint64_t seen = 0;  ///< see begin_epoch()
    Position broker = {};    ///< OrderState::last, unless is_ordered
    std::int64_t broker_time = 0;
    std::uint32_t is_ordered = 0;  ///< the epoch is the broker's
    std::uint32_t key_size = 0;
    Index next = 0;   ///< in its bucket
    Index first = 0;  ///< message
    // derived
    Index last = 0;
    std::uint32_t messages = 0;
    std::uint32_t blocks = 0;  ///< of the messages
    std::uint32_t in_list = 0;
    Index before = 0;
    Index behind = 0;

    [[nodiscard]] Position last_of_broker() const noexcept {
        return is_ordered != 0 ? Position{epoch, top} : broker;
    }
};

struct alignas(64) HistoryStore::Header {
    struct List {
        Index oldest;
        Index newest;
    };
    std::uint64_t layout;
    std::uint64_t size;  ///< of all
    std::uint32_t buckets;
    std::uint32_t blocks;
    int file;
    std::atomic<std::uint64_t> appended;
    shm::RobustMutex mutex;
    shm::BlockPool::Header pool;
    std::array<List, kLists> lists;  ///< derived
};

// --- the memory ----------------------------------------------------------------------------------

HistoryStore::HistoryStore(Header* header) noexcept
    : header_(header), buckets_(reinterpret_cast<Index*>(header + 1)),
      pool_(header->pool, buckets_ + header->buckets, header->blocks) {}

shm::RobustLock HistoryStore::locked() const noexcept {
    return {header_->mutex, [this] { recover(); }};
}

HistoryStore HistoryStore::create(std::size_t bytes) {
    const std::size_t buckets = std::bit_floor(bytes / shm::BlockPool::kBlock / 4);
    const std::size_t before = sizeof(Header) + buckets * sizeof(Index);
    base::Descriptor file;
    shm::Mapping mapping = shm::Mapping::in_new_file("websocket-history", bytes, file);
    auto* header = new (mapping.data()) Header{};
    header->file = file.release();
    header->size = bytes;
    header->buckets = static_cast<std::uint32_t>(buckets);
    header->blocks = static_cast<std::uint32_t>((bytes - before) / shm::BlockPool::kBlock);
    header->layout = kHistoryLayout;
    mapping.release();
    return HistoryStore(header);
}

std::optional<HistoryStore> HistoryStore::at(void* memory) noexcept {
    auto* header = static_cast<Header*>(memory);
    if (header == nullptr || header->layout != kHistoryLayout) {
        return {};
    }
    return HistoryStore(header);
}

std::optional<HistoryStore> HistoryStore::open(int file) {
    shm::Mapping mapping = shm::Mapping::of_whole_file(file, kLeast);
    if (!mapping.valid()) {
        return {};
    }
    auto* header = static_cast<Header*>(mapping.data());
    if (header->layout != kHistoryLayout || header->size != mapping.size()) {
        return {};
    }
    mapping.release();
    return HistoryStore(header);
}

int HistoryStore::file() const noexcept { return header_->file; }

std::uint64_t HistoryStore::appended() const noexcept {
    return header_->appended.load(std::memory_order_relaxed);
}

std::size_t HistoryStore::bytes() const noexcept { return header_->size; }

std::optional<HistoryStore::Usage> HistoryStore::usage() const noexcept {
    const shm::RobustLock lock = locked();
    if (!lock) {
        return {};
    }
    Usage usage{.bytes = pool_.bytes_used(), .topics = 0, .messages = 0};
    for (std::uint32_t bucket = 0; bucket < header_->buckets; ++bucket) {
        for (Index at = buckets_[bucket]; at != 0; at = topic(at).next) {
            ++usage.topics;
            usage.messages += topic(at).messages;
        }
    }
    return usage;
}

HistoryStore::Topic& HistoryStore::topic(Index index) const noexcept {
    return pool_.at<Topic>(index);
}
HistoryStore::Message& HistoryStore::message(Index index) const noexcept {
    return pool_.at<Message>(index);
}
HistoryStore::Index& HistoryStore::bucket_of(std::uint64_t hash) const noexcept {
    return buckets_[hash % header_->buckets];
}

/// What can be reached is true, and everything else is made from it anew.
void HistoryStore::recover() const noexcept {
    header_->lists = {};
    pool_.begin_recovery();
    for (std::uint32_t bucket = 0; bucket < header_->buckets; ++bucket) {
        for (Index at = buckets_[bucket]; at != 0; at = topic(at).next) {
            if (pool_.keep(at)) {
                recover(at, topic(at));
            }
        }
    }
    pool_.end_recovery();
}

void HistoryStore::recover(Index index, Topic& head) const noexcept {
    head.last = 0;
    head.messages = 0;
    head.blocks = 0;
    for (Index at = head.first; at != 0; at = message(at).next) {
        pool_.keep(at);
        link_back(head, at);
        head.top = std::max(head.top, message(at).offset);
    }
    list(index);
}

// --- topics --------------------------------------------------------------------------------------

HistoryStore::Index HistoryStore::find(const TopicKey& key) const noexcept {
    const auto bytes = text_bytes(key.bytes());
    for (Index at = bucket_of(key.hash()); at != 0; at = topic(at).next) {
        const Topic& head = topic(at);
        if (head.hash == key.hash() && head.key_size == bytes.size() &&
            pool_.cursor(at, sizeof(Topic)).equals(bytes)) {
            return at;
        }
    }
    return 0;
}

HistoryStore::Index HistoryStore::find_or_make(const TopicKey& key) const noexcept {
    if (const Index known = find(key)) {
        return known;
    }
    return make(key, Topic{.hash = key.hash(), .epoch = new_epoch()}, 0);
}

/// The new one takes the place of the old one by one word, so nobody ever sees one that is half of either.
HistoryStore::Index HistoryStore::make(const TopicKey& key, const Topic& head,
                                       Index instead_of) const noexcept {
    const auto name = text_bytes(key.bytes());
    const std::size_t size = sizeof(Topic) + name.size();
    if (!make_room(size, instead_of)) {
        return 0;
    }
    Index* link = &bucket_of(key.hash());
    while (instead_of != 0 && *link != instead_of) {
        link = &topic(*link).next;
    }
    const Index made = pool_.take(size);
    Topic& fresh = pool_.make(made, head);
    fresh.key_size = static_cast<std::uint32_t>(name.size());
    fresh.next = instead_of != 0 ? topic(instead_of).next : *link;
    pool_.cursor(made, sizeof(Topic)).write(name);
    shm::BlockPool::set(*link, made);
    if (instead_of != 0) {
        unlist(instead_of);
        while (topic(instead_of).first != 0) {
            drop_oldest(instead_of);
        }
        pool_.give_back(instead_of);
    }
    list(made);
    return made;
}

/// Of the broker.
HistoryStore::Index HistoryStore::begin(const TopicKey& key, Index known, const Position& behind,
                                        std::uint64_t seen,
                                        std::int64_t broker_time) const noexcept {
    return make(key,
                Topic{.hash = key.hash(),
                      .epoch = behind.epoch,
                      .top = behind.offset,
                      .seen = seen,
                      .broker_time = broker_time,
                      .is_ordered = 1},
                known);
}

void HistoryStore::forget(Index index) const noexcept {
    while (topic(index).first != 0) {
        drop_oldest(index);
    }
    unlist(index);
    Index* link = &bucket_of(topic(index).hash);
    while (*link != index) {
        link = &topic(*link).next;
    }
    shm::BlockPool::set(*link, topic(index).next);
    pool_.give_back(index);
}

void HistoryStore::list(Index index) const noexcept {
    Topic& head = topic(index);
    head.in_list = static_cast<std::uint32_t>(std::bit_width(head.blocks));
    Header::List& ends = header_->lists.at(head.in_list);
    head.before = ends.newest;
    head.behind = 0;
    (ends.newest != 0 ? topic(ends.newest).behind : ends.oldest) = index;
    ends.newest = index;
}

void HistoryStore::unlist(Index index) const noexcept {
    const Topic& head = topic(index);
    Header::List& ends = header_->lists.at(head.in_list);
    (head.before != 0 ? topic(head.before).behind : ends.oldest) = head.behind;
    (head.behind != 0 ? topic(head.behind).before : ends.newest) = head.before;
}

// --- room ----------------------------------------------------------------------------------------

bool HistoryStore::make_room(std::size_t bytes, Index needed) const noexcept {
    const std::size_t blocks = shm::BlockPool::blocks_for(bytes);
    while (pool_.available() < blocks) {
        Index empty = header_->lists.front().oldest;
        if (empty == needed && empty != 0) {
            empty = topic(empty).behind;
        }
        if (empty != 0) {
            forget(empty);
            continue;
        }
        const auto largest = std::find_if(header_->lists.rbegin(), header_->lists.rend() - 1,
                                          [](const Header::List& one) { return one.oldest != 0; });
        if (largest == header_->lists.rend() - 1) {
            return false;
        }
        const Index giver = largest->oldest;
        unlist(giver);
        drop_oldest(giver);
        list(giver);
    }
    return true;
}

/// Does not list the topic anew.
void HistoryStore::drop_oldest(Index index) const noexcept {
    Topic& head = topic(index);
    const Index oldest = head.first;
    head.blocks -= message(oldest).blocks;
    --head.messages;
    shm::BlockPool::set(head.first, message(oldest).next);
    if (head.first == 0) {
        head.last = 0;
    }
    pool_.give_back(oldest);
}

void HistoryStore::drop_all(Index index) const noexcept {
    unlist(index);
    while (topic(index).first != 0) {
        drop_oldest(index);
    }
    list(index);
}

void HistoryStore::drop_surplus(Index index, const HistoryLimits& limits, Time now) const noexcept {
    const Topic& head = topic(index);
    const auto surplus = [&] {
        return head.messages > limits.messages ||
               Time(message(head.first).time) + limits.ttl <= now;
    };
    if (head.first == 0 || !surplus()) {
        return;
    }
    unlist(index);
    while (head.first != 0 && surplus()) {
        drop_oldest(index);
    }
    list(index);
}

// --- messages ------------------------------------------------------------------------------------

bool HistoryStore::put(Index index, protocol::Opcode opcode, std::span<const std::uint8_t> payload,
                       std::string_view fields, const Origin& origin, Time time) const noexcept {
    header_->appended.fetch_add(1, std::memory_order_relaxed);
    Topic& head = topic(index);
    const std::size_t size = sizeof(Message) + fields.size() + payload.size();
    const std::size_t blocks = shm::BlockPool::blocks_for(size);
    if (blocks > pool_.count() / 2) {
        drop_all(index);
        ++head.top;
        return true;
    }
    if (!make_room(size, index)) {
        return false;
    }
    const Index made = pool_.take(size);
    pool_.make(made, Message{.offset = head.top + 1,
                             .time = time.count(),
                             .origin = origin,
                             .next = 0,
                             .size = static_cast<std::uint32_t>(payload.size()),
                             .blocks = static_cast<std::uint32_t>(blocks),
                             .fields_size = static_cast<std::uint16_t>(fields.size()),
                             .opcode = static_cast<std::uint8_t>(opcode)});
    auto cursor = pool_.cursor(made, sizeof(Message));
    cursor.write(text_bytes(fields));
    cursor.write(payload);
    unlist(index);
    shm::BlockPool::set(head.first != 0 ? message(head.last).next : head.first, made);
    ++head.top;
    link_back(head, made);
    list(index);
    return true;
}

void HistoryStore::link_back(Topic& head, Index added) const noexcept {
    Message& last = message(added);
    const std::uint64_t skip = skip_of(last.offset);
    last.before = head.last;
    last.skip = skip >= message(head.first).offset ? find(head.last, skip) : 0;
    head.last = added;
    ++head.messages;
    head.blocks += last.blocks;
}

/// A few steps for each bit of the offset, and on average one where link_back() is to skip.
HistoryStore::Index HistoryStore::find(Index from, std::uint64_t offset) const noexcept {
    Index at = from;
    while (message(at).offset > offset) {
        const Message& one = message(at);
        at = skip_of(one.offset) >= offset ? one.skip : one.before;
    }
    return at;
}

/// Ends where it is too much: who asks for more than that pays for no more.
bool HistoryStore::fits(Index first, std::uint64_t count, std::size_t bytes) const noexcept {
    for (Index at = first; count > 0; --count, at = message(at).next) {
        const Message& one = message(at);
        const std::size_t size = one.header().bytes().size() + one.size;
        if (size > bytes) {
            return false;
        }
        bytes -= size;
    }
    return true;
}

std::optional<Position> HistoryStore::append(const TopicKey& key, const HistoryLimits& limits,
                                             protocol::Opcode opcode,
                                             std::span<const std::uint8_t> payload,
                                             std::string_view fields, Time now) noexcept {
    const shm::RobustLock lock = locked();
    Index index = lock ? find_or_make(key) : 0;
    if (index != 0 && topic(index).is_ordered != 0) {
        const Topic& ordered = topic(index);
        index = make(key,
                     Topic{.hash = key.hash(),
                           .epoch = new_epoch(),
                           .broker = ordered.last_of_broker(),
                           .broker_time = ordered.broker_time},
                     index);
    }
    if (index == 0 || !put(index, opcode, payload, fields, {}, now)) {
        return {};
    }
    drop_surplus(index, limits, now);
    return Position{topic(index).epoch, topic(index).top};
}

Placed HistoryStore::append_at(const TopicKey& key, const HistoryLimits& limits,
                               const OrderedMessage& message, Time now) noexcept {
    const shm::RobustLock lock = locked();
    if (!lock) {
        return Placed::unavailable;
    }
    const Position before{message.at.epoch, message.at.offset - 1};
    Index index = find(key);
    if (index == 0 || topic(index).is_ordered == 0 || topic(index).epoch != before.epoch) {
        index = begin(key, index, before, before.offset, message.broker_time);
        if (index == 0) {
            return Placed::unavailable;
        }
    }
    Topic& head = topic(index);
    if (head.top > before.offset) {
        return Placed::known;
    }
    if (head.top < before.offset) {
        drop_all(index);
        head.top = before.offset;
    }
    head.broker_time = message.broker_time;
    if (!put(index, message.opcode, message.payload, message.fields, message.origin,
             message.published)) {
        return Placed::unavailable;
    }
    drop_surplus(index, limits, now);
    return Placed::kept;
}

bool HistoryStore::begin_epoch(const TopicKey& key, const Position& behind, std::uint64_t seen,
                               std::int64_t broker_time) noexcept {
    const shm::RobustLock lock = locked();
    if (!lock || begin(key, find(key), behind, seen, broker_time) == 0) {
        return false;
    }
    header_->appended.fetch_add(1, std::memory_order_relaxed);
    return true;
}

std::optional<OrderState> HistoryStore::order_of(const TopicKey& key) noexcept {
    const shm::RobustLock lock = locked();
    if (!lock) {
        return {};
    }
    const Index index = find(key);
    if (index == 0) {
        return OrderState{};
    }
    const Topic& head = topic(index);
    return OrderState{head.is_ordered != 0, head.last_of_broker(), head.broker_time};
}

std::optional<Position> HistoryStore::start_of(const TopicKey& key) noexcept {
    const shm::RobustLock lock = locked();
    const Index index = lock ? find_or_make(key) : 0;
    if (index == 0) {
        return {};
    }
    return Position{topic(index).epoch, topic(index).seen};
}

std::optional<Position> HistoryStore::top(const TopicKey& key, const HistoryLimits& limits,
                                          Time now) noexcept {
    const shm::RobustLock lock = locked();
    const Index index = lock ? find_or_make(key) : 0;
    if (index == 0) {
        return {};
    }
    drop_surplus(index, limits, now);
    const Topic& head = topic(index);
    return Position{head.epoch, std::max(head.top, head.seen)};
}

std::optional<HistoryExcerpt> HistoryStore::read(const TopicKey& key, const HistoryLimits& limits,
                                                 const HistoryRange& range, Time now) {
    const shm::RobustLock lock = locked();
    const Index index = lock ? find_or_make(key) : 0;
    if (index == 0) {
        return {};
    }
    drop_surplus(index, limits, now);
    const Topic& head = topic(index);
    const std::uint64_t missing = head.top - head.messages;  // the last one that is not here
    HistoryExcerpt excerpt{.top = {head.epoch, std::max(head.top, head.seen)}};
    excerpt.complete = range.since.epoch == head.epoch && range.since.offset <= head.top &&
                       range.since.offset >= missing &&
                       head.top >= head.seen;  // else it is being filled
    const std::uint64_t until = std::min(range.until, head.top);
    const std::uint64_t last_ones = until - std::min<std::uint64_t>(range.most, until);
    const std::uint64_t behind = std::max(missing, range.since ? range.since.offset : last_ones);
    if ((range.since && range.since.epoch != head.epoch) || behind >= until) {
        return excerpt;
    }
    const std::uint64_t count = std::min<std::uint64_t>(range.most, until - behind);
    Index at = find(head.last, behind + 1);
    if (range.whole_within) {
        excerpt.complete = excerpt.complete && fits(at, count, *range.whole_within);
        if (!excerpt.complete) {
            return excerpt;
        }
    }
    for (std::uint64_t left = count; left > 0; --left, at = message(at).next) {
        excerpt.frames.push_back(frame_of(at, head.epoch));
        excerpt.bytes += excerpt.frames.back().bytes().size();
    }
    return excerpt;
}

SharedFrame HistoryStore::frame_of(Index index, std::uint64_t epoch) const {
    const Message& stored = message(index);
    const protocol::EncodedHeader header = stored.header();
    SharedFrame frame = SharedFrame::unwritten(header.bytes().size() + stored.size);
    const auto payload =
        std::copy(header.bytes().begin(), header.bytes().end(), frame.writable().begin());
    std::string fields(stored.fields_size, '\0');
    auto cursor = pool_.cursor(index, sizeof(Message));
    cursor.read({reinterpret_cast<std::uint8_t*>(fields.data()), fields.size()});
    cursor.read({payload, frame.writable().end()});
    mark_with_position(frame, fields, {epoch, stored.offset});
    if (stored.origin) {
        set_origin(frame, stored.origin);
    }
    return frame;
}

void mark_with_position(const SharedFrame& frame, std::string_view fields,
                        const Position& position) {
    set_position(frame, position);
    if (protocol::has_event_id(fields)) {
        engine::set_event_fields(frame, fields);
    } else {
        engine::set_event_fields(frame,
                                 std::string(fields) +
                                     protocol::event_fields({}, text_of(position)).value_or(""));
    }
}

}  // namespace websocket::hub
