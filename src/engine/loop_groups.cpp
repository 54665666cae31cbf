// SPDX-License-Identifier: Apache-2.0
// The part of a loop that sends one frame to many connections.
#include <new>
#include <utility>

#include "engine/loop.hpp"

namespace websocket::engine {

namespace {

/// What a broadcast costs in the mailbox besides its octets: so many small ones are bounded, too.
constexpr std::size_t kBroadcastCost = 128;

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

/// A connection that cannot leave for want of memory must not get what it has no right to.
void Loop::leave_or_close(Command&& command) noexcept {
    const ConnectionId id = command.id;
    try {
        static_cast<void>(post(std::move(command)));
    } catch (const std::bad_alloc&) {
        if (Gate* gate = this->gate(id)) {
            gate->close(id.generation());
            lost_requests_.store(true);
            mailbox_.wake();
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
    } else if (command.kind == Command::Kind::broadcast) {
        broadcast_now(command);
    } else if (Connection* connection = find(command.id)) {
        if (command.kind == Command::Kind::leave) {
            groups_.leave(command.group, *connection);
        } else {
            groups_.leave_all(*connection);
        }
    }
}

void Loop::join_now(const Command& command) noexcept {
    Connection* connection = find(command.id);
    if (connection == nullptr || connection->retired_) {
        if (group_listener_ != nullptr) {
            group_listener_->on_gone(command.id);
        }
        return;
    }
    connection->member_ = true;  // also when it fails: then the end has to be reported as well
    try {
        groups_.join(command.group, *connection);
    } catch (const std::bad_alloc&) {
        log_.write(LogLevel::error, "WS0301: out of memory, closing one connection");
        connection->fail(protocol::CloseCode::internal_error, "out of memory");
    }
}

void Loop::broadcast_now(const Command& command) noexcept {
    std::size_t too_slow = 0;
    groups_.for_each(command.group, [&](Connection& connection) {
        if (connection.id() == command.id) {
            return;
        }
        try {
            if (connection.enqueue_shared(command.frame)) {
                return;
            }
            ++too_slow;
            if (connection.options().slow_consumer == SlowConsumer::close) {
                close(connection.id(),
                      protocol::ClosePayload(protocol::CloseCode::policy_violation, "too slow"));
            }
        } catch (const std::bad_alloc&) {
            log_.write(LogLevel::error, "WS0301: out of memory, closing one connection");
            connection.fail(protocol::CloseCode::internal_error, "out of memory");
        }
    });
    broadcasts_.fetch_sub(command.frame.bytes().size() + kBroadcastCost, std::memory_order_relaxed);
    if (too_slow > 0 && group_listener_ != nullptr) {
        group_listener_->on_too_slow(too_slow);
    }
}

void Loop::end_memberships(Connection& connection) noexcept {
    groups_.leave_all(connection);
    if (group_listener_ != nullptr) {
        group_listener_->on_gone(connection.id());
    }
}

bool Connection::enqueue_shared(const SharedFrame& frame) {
    // Unlike a sender, a broadcast may pass the gate behind close(): it was there first.
    if (close_queued_ || retired_ || broken_) {
        return true;
    }
    if (gate_.queued() >= options_->send_buffer) {
        return false;
    }
    const bool deflate = deflates_ && frame.is_plain_message() &&
                         agreed().applies_to(frame.opcode(), frame.payload().size());
    const bool in_context = deflate && agreed().server_takeover;
    SharedFrame form = deflate && !in_context ? wire_form(frame) : frame;
    const std::size_t octets = form.bytes().size();
    gate_.add(octets);
    try {
        in_context ? enqueue_plain(std::move(form)) : enqueue(std::move(form));
    } catch (...) {
        account_written(octets);
        throw;
    }
    return true;
}

}  // namespace websocket::engine
