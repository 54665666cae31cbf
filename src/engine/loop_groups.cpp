// SPDX-License-Identifier: Apache-2.0
// The part of a loop that sends one frame to many connections.
#include <algorithm>
#include <new>
#include <span>
#include <utility>

#include "engine/loop.hpp"

namespace websocket::engine {

namespace {

/// What a broadcast costs in the inbox besides its bytes: so many small ones are bounded, too.
constexpr std::size_t kBroadcastCost = 128;
/// Broadcasts of together so many bytes are copied, once, to leave in one piece.
constexpr std::size_t kMaxJoined = 64U << 10;

/// The frames one behind the other. Empty when that is not worth it, or cannot be.
SharedFrame joined_frames(std::span<const Command> broadcasts) noexcept {
    std::size_t size = 0;
    for (const Command& one : broadcasts) {
        if ((one.frame.bytes().front() & protocol::kFin) == 0) {
            return {};  // a part of a message: others may have to wait
        }
        size += one.frame.bytes().size();
    }
    if (broadcasts.size() == 1) {
        return broadcasts.front().frame;
    }
    if (size > kMaxJoined) {
        return {};
    }
    try {
        SharedFrame joined = SharedFrame::unwritten(size);
        auto into = joined.writable().begin();
        for (const Command& one : broadcasts) {
            into = std::copy(one.frame.bytes().begin(), one.frame.bytes().end(), into);
        }
        return joined;
    } catch (const std::bad_alloc&) {
        return {};
    }
}

}  // namespace

void Loop::set_groups(std::size_t broadcast_buffer, GroupListener* listener) noexcept {
    broadcast_buffer_ = broadcast_buffer;
    group_listener_ = listener;
}

bool Loop::join(GroupId group, ConnectionId id) {
    Gate* gate = this->gate(id);
    return gate != nullptr && gate->generation() == id.generation() &&
           post(Command(Command::Kind::join, group, id));
}

void Loop::leave(GroupId group, ConnectionId id) noexcept {
    leave_or_close(Command(Command::Kind::leave, group, id));
}

void Loop::leave_all(ConnectionId id) noexcept {
    leave_or_close(Command(Command::Kind::leave_all, 0, id));
}

/// A connection that cannot leave because memory ran out must not get what it has no right to.
void Loop::leave_or_close(Command&& command) noexcept {
    const ConnectionId id = command.id;
    try {
        static_cast<void>(post(std::move(command)));
    } catch (const std::bad_alloc&) {
        if (Gate* gate = this->gate(id)) {
            gate->close(id.generation());
            lost_requests_.store(true);
            reactor_.wake();
        }
    }
}

SendResult Loop::broadcast(GroupId group, const SharedFrame& frame, ConnectionId except) noexcept {
    const std::size_t cost = frame.bytes().size() + kBroadcastCost;
    if (frame.bytes().size() >= Gate::kMaxQueued) {
        return SendResult::too_big;
    }
    if (broadcasts_.load(std::memory_order_relaxed) >= broadcast_buffer_) {
        return SendResult::full;
    }
    broadcasts_.fetch_add(cost, std::memory_order_relaxed);
    SendResult result = SendResult::gone;
    try {
        if (post(Command(Command::Kind::broadcast, group, except, frame))) {
            return SendResult::ok;
        }
    } catch (const std::bad_alloc&) {
        result = SendResult::no_memory;
    }
    broadcasts_.fetch_sub(cost, std::memory_order_relaxed);
    return result;
}

void Loop::carry_out_for_group(Command& command) noexcept {
    if (command.kind == Command::Kind::join) {
        join_now(command);
    } else if (find_any(command.id) != nullptr) {
        if (command.kind == Command::Kind::leave) {
            groups_.leave(command.group, command.id);
        } else {
            groups_.leave_all(command.id);
        }
    }
}

void Loop::join_now(const Command& command) noexcept {
    Channel* member = find_any(command.id);
    if (member == nullptr || member->session() == nullptr || member->retired()) {
        if (group_listener_ != nullptr) {
            group_listener_->on_gone(command.id);
        }
        return;
    }
    member->make_member();  // also when it fails: then the end has to be reported as well
    try {
        groups_.join(command.group, *member);
    } catch (const std::bad_alloc&) {
        member->fail_without_memory();
    }
}

/// Carries out all consecutive broadcasts to the same connections. When more are to come at this turn,
/// they are queued, so that each connection gets all in one write.
std::vector<Command>::iterator
Loop::broadcast_now(std::vector<Command>::iterator command) noexcept {
    const auto end = std::find_if(command, batch_.end(), [command](const Command& other) {
        return other.kind != Command::Kind::broadcast || other.group != command->group ||
               !(other.id == command->id);
    });
    const std::span<const Command> all(command, end);
    const SharedFrame joined = end == broadcasts_end_ ? joined_frames(all) : SharedFrame();
    std::size_t too_slow = 0;
    groups_.for_each(command->group, [&](Channel& member) {
        if (member.id() == command->id) {
            return;
        }
        if (!member.is_connection()) [[unlikely]] {
            too_slow +=
                send_broadcasts(static_cast<EventStream&>(member), all, end == broadcasts_end_);
            return;
        }
        auto& connection = static_cast<Connection&>(member);
        if (joined && connection.write_shared(joined, all.size())) {
            return;
        }
        for (const Command& one : all) {
            too_slow += send_broadcast(connection, one.frame) ? 0 : 1;
        }
    });
    for (const Command& one : all) {
        broadcasts_.fetch_sub(one.frame.bytes().size() + kBroadcastCost, std::memory_order_relaxed);
    }
    if (too_slow > 0 && group_listener_ != nullptr) {
        group_listener_->on_too_slow(too_slow);
    }
    return end;
}

/// False when the member is too slow for it.
template <class Member>
bool Loop::send_broadcast(Member& member, const SharedFrame& frame) noexcept {
    try {
        if (member.enqueue_shared(frame)) {
            return true;
        }
        if (member.options().closes_slow) {
            close(member.id(), too_slow());
        }
        return false;
    } catch (const std::bad_alloc&) {
        member.fail_without_memory();
        return true;
    }
}

/// Each becomes an event of its own, which all streams share. How many were too many.
std::size_t Loop::send_broadcasts(EventStream& stream, std::span<const Command> all,
                                  bool last) noexcept {
    if (last && all.size() == 1 && stream.write_shared(all.front().frame)) {
        return 0;
    }
    std::size_t too_slow = 0;
    for (const Command& one : all) {
        too_slow += send_broadcast(stream, one.frame) ? 0 : 1;
    }
    return too_slow;
}

void Loop::end_memberships(ConnectionId id) noexcept {
    groups_.leave_all(id);
    if (group_listener_ != nullptr) {
        group_listener_->on_gone(id);
    }
}

}  // namespace websocket::engine
