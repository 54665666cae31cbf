// SPDX-License-Identifier: Apache-2.0
// What any thread may ask of a loop: at once when it is the loop's own, else through its inbox.
#include <new>
#include <utility>

#include "engine/loop.hpp"

namespace websocket::engine {

void Loop::discard(std::unique_ptr<Channel> channel) noexcept {
    const std::uint32_t index = channel->id().slot();
    channel.reset();
    slots_.find(index)->gate.retire();
    slots_.give_back(index);
    reserved_.fetch_sub(1);
}

void Loop::adopt(std::unique_ptr<Channel> channel) noexcept {
    Command command(std::move(channel));
    bool posted = false;
    try {
        posted = inbox_.post(std::move(command)) == net::Posted::yes;
    } catch (const std::bad_alloc&) {
        report_no_memory(log_);
    }
    // NOLINTBEGIN(bugprone-use-after-move): post() has left the command as it was
    if (!posted) {
        command.channel->abandon();
        discard(std::move(command.channel));
        on_slot_free_();
    }
    // NOLINTEND(bugprone-use-after-move)
}

namespace {

/// Bytes of a message that is added to others, and of those before it.
constexpr std::size_t kMostToExtend = 16U << 10;

}  // namespace

Gate* Loop::gate(ConnectionId id) noexcept {
    Slot* slot = slots_.find(id.slot());
    return slot != nullptr ? &slot->gate : nullptr;
}

SendResult Loop::post_message(ConnectionId id, protocol::Opcode opcode,
                              std::span<const std::uint8_t> payload, std::size_t high_water,
                              Compression compression) noexcept {
    if (compression == Compression::as_agreed && deflates(id, opcode, payload.size()))
        [[unlikely]] {
        return send_deflated(id, opcode, payload, high_water);
    }
    const protocol::EncodedHeader header(opcode, payload.size());
    const std::size_t bytes = header.bytes().size() + payload.size();
    const bool control = protocol::is_control(opcode);
    // What the loop itself posts has to be a command that own_posts_ counts.
    if (last_receiver_.load(std::memory_order_relaxed) == id.value() && bytes <= kMostToExtend &&
        !control && current_ != this) {
        if (const auto result = extend_last_message(id, header, payload, high_water)) {
            return *result;
        }
    }
    last_receiver_.store(control ? 0 : id.value(), std::memory_order_relaxed);
    return post_frame(control ? Command::Kind::send : Command::Kind::messages, id, bytes,
                      high_water, passage_of(header.bytes().front()),
                      [&] { return SharedFrame::join(header.bytes(), payload); });
}

/// Messages that one thread sends to one client in a row are one command, so that the loop has one frame to
/// write. Nothing when the last command is another.
std::optional<SendResult> Loop::extend_last_message(ConnectionId id,
                                                    const protocol::EncodedHeader& header,
                                                    std::span<const std::uint8_t> payload,
                                                    std::size_t high_water) noexcept {
    const std::size_t bytes = header.bytes().size() + payload.size();
    SendResult result = SendResult::ok;
    const auto extend = [&](Command& last) {
        if (last.kind != Command::Kind::messages || !(last.id == id) ||
            last.frame.bytes().size() > kMostToExtend) {
            return false;
        }
        result = to_result(gate(id)->admit(id.generation(), bytes, high_water, Passage::behind));
        if (result == SendResult::ok) {
            last.frame.append(header.bytes(), payload);
            ++last.count;
        }
        return true;
    };
    try {
        return inbox_.extend_last(extend) ? std::optional(result) : std::nullopt;
    } catch (const std::bad_alloc&) {
        gate(id)->withdraw(id.generation(), bytes);
        return SendResult::no_memory;
    }
}

SendResult Loop::post_message(ConnectionId id, const SharedFrame& frame, std::size_t high_water,
                              Compression compression) noexcept {
    const bool may_deflate = compression == Compression::as_agreed && frame.is_plain_message();
    if (may_deflate && deflates(id, frame.opcode(), frame.payload().size())) [[unlikely]] {
        return send_deflated(id, frame, high_water);
    }
    return post_frame(Command::Kind::send, id, frame, high_water);
}

SendResult Loop::post_frame(Command::Kind kind, ConnectionId id, const SharedFrame& frame,
                            std::size_t high_water) noexcept {
    return post_frame(kind, id, frame.bytes().size(), high_water, passage_of(frame.bytes().front()),
                      [&] { return frame; });
}

template <class MakeFrame>
SendResult Loop::post_frame(Command::Kind kind, ConnectionId id, std::size_t bytes,
                            std::size_t high_water, Passage passage,
                            MakeFrame make_frame) noexcept {
    Gate* gate = this->gate(id);
    if (gate == nullptr) {
        return SendResult::gone;
    }
    if (const SendResult result =
            to_result(gate->admit(id.generation(), bytes, high_water, passage));
        result != SendResult::ok) {
        return result;
    }
    try {
        Command command(kind, id, make_frame());
        return post(std::move(command)) ? SendResult::ok : SendResult::gone;
    } catch (const std::bad_alloc&) {
        gate->withdraw(id.generation(), bytes);
        return SendResult::no_memory;
    }
}

bool Loop::post(ConnectionId id, std::unique_ptr<LoopTask>& task, bool& ended) noexcept {
    Command command(id, std::move(task));
    ended = false;
    try {
        if (inbox_.post(std::move(command)) == net::Posted::yes) {
            return true;
        }
        ended = true;
    } catch (const std::bad_alloc&) {
        ended = false;
    }
    task = std::move(command.task);  // NOLINT(bugprone-use-after-move): post() has left it
    return false;
}

bool Loop::tell_when_writable(ConnectionId id, std::size_t low_water, Passage passage) noexcept {
    Gate* gate = this->gate(id);
    return gate != nullptr && gate->begin_wait(id.generation(), low_water, passage);
}

std::optional<std::size_t> Loop::queued(ConnectionId id) noexcept {
    Gate* gate = this->gate(id);
    if (gate == nullptr || gate->generation() != id.generation() || gate->closing()) {
        return {};
    }
    return gate->queued();
}

bool Loop::close(ConnectionId id, const protocol::ClosePayload& payload) noexcept {
    Gate* gate = this->gate(id);
    if (gate == nullptr || !gate->close(id.generation())) {
        return false;
    }
    const Visit visit(*this);
    try {
        SharedFrame frame = SharedFrame::build(protocol::Opcode::close, payload.bytes());
        if (!at_once()) {
            post_or_remember(Command(Command::Kind::close, id, std::move(frame)));
        } else if (Connection* connection = find(id)) {
            connection->enqueue_close(std::move(frame));
        } else if (EventStream* stream = find_stream(id)) {
            stream->enqueue_close(frame);
        }
    } catch (const std::bad_alloc&) {
        lost_requests_.store(true);
        reactor_.wake();
    }
    return true;
}

void Loop::resume(ConnectionId id) noexcept {
    // Posted on the loop, too: it comes behind what the session's other threads have sent.
    post_or_remember(Command(Command::Kind::resume, id));
}

void Loop::post_or_remember(Command&& command) noexcept {
    try {
        static_cast<void>(post(std::move(command)));
    } catch (const std::bad_alloc&) {
        lost_requests_.store(true);
        reactor_.wake();
    }
}

/// What the loop's own thread has posted once, all that follows must not overtake. In an errand, all that it posts is
/// behind something.
bool Loop::post(Command&& command) {
    const Visit visit(*this);
    if (current_ != this) {
        return inbox_.post(std::move(command)) == net::Posted::yes;
    }
    const bool in_order = own_posts_ > 0 || lent_ == this || command.kind >= Command::Kind::leave;
    const bool posted = inbox_.post(std::move(command)) == net::Posted::yes;
    own_posts_ += in_order && posted ? 1U : 0U;
    return posted;
}

void Loop::wait_for_room(ConnectionId id, std::size_t low_water) {
    Gate* gate = this->gate(id);
    if (gate == nullptr) {
        return;
    }
    if (lent_ != nullptr) {
        lent_->stand_in_->hurry();
    }
    std::unique_lock lock(room_mutex_);
    while (gate->begin_wait(id.generation(), low_water, Passage::behind)) {
        room_.wait(lock);
    }
}

void Loop::wake_senders() noexcept {
    // The lock makes sure that whoever has called begin_wait() is waiting by now.
    { const std::lock_guard lock(room_mutex_); }
    room_.notify_all();
}

void Loop::drain(const DrainOrder& order) noexcept {
    drain_request_.put(order);
    drain_requested_.store(true);
    reactor_.wake();
}

void Loop::stop() noexcept {
    stop_requested_.store(true);
    reactor_.wake();
}

}  // namespace websocket::engine
