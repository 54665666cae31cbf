// SPDX-License-Identifier: Apache-2.0
#include "engine/channel.hpp"

#include <array>
#include <new>
#include <span>

#include "engine/loop.hpp"

namespace websocket::engine {

namespace {

constexpr std::size_t kGather = 64;

}  // namespace

Channel::Channel(Loop& loop, Gate& gate, ConnectionId id) noexcept
    : loop_(loop), gate_(gate), id_(id) {}

Channel::~Channel() {
    if (registered_) {
        loop_.reactor().remove(transport_.descriptor(), *this);
    }
}

void Channel::prepare(net::AnyTransport transport, std::unique_ptr<Session> session,
                      const ConnectionOptions& options) noexcept {
    transport_ = std::move(transport);
    session_ = std::move(session);
    options_ = &options;
}

bool Channel::poll(bool input) noexcept {
    watches_input_ = input;
    const auto events = static_cast<std::uint8_t>(transport_.poll_events(input, !outbox_.empty()));
    if (registered_ && events == polled_) {
        return true;
    }
    net::Reactor& reactor = loop_.reactor();
    if (!(registered_ ? reactor.change(transport_.descriptor(), *this, events)
                      : reactor.add(transport_.descriptor(), *this, events))) {
        return false;
    }
    registered_ = true;
    polled_ = events;
    return true;
}

void Channel::queue(SharedFrame frame) {
    const std::size_t bytes = frame.bytes().size();
    loop_.heap_trim().note(bytes);
    outbox_.push(std::move(frame));
    if (!retired_) {
        gate_.add(bytes);
    }
    loop_.mark_dirty(*this);
}

void Channel::park(SharedFrame frame, bool plain) {
    const std::size_t bytes = frame.bytes().size();
    outbox_.park(std::move(frame), plain);
    if (!retired_ && outbox_.parked_bytes() >= options_->send_buffer) {
        gate_.hold_up();
    }
    account_written(bytes);  // until end_parts()
}

void Channel::end_parts(SharedFrame last) {
    const std::size_t parked = outbox_.push_last(std::move(last));
    if (!retired_) {
        gate_.add(parked);
        gate_.let_on();
    }
}

void Channel::close_gate() noexcept {
    gate_.close(id_.generation());
    if (!retired_ && gate_.end_wait()) {
        loop_.wake_senders();
    }
}

bool Channel::queue_rest(const SharedFrame& frame, const net::IoResult& result) noexcept {
    bool healthy = result.status != net::IoStatus::failed && result.status != net::IoStatus::closed;
    if (healthy && result.count < frame.bytes().size()) {
        try {
            queue(frame);
            outbox_.drop_front(result.count);
            account_written(result.count);
        } catch (const std::bad_alloc&) {
            healthy = false;
        }
    }
    return healthy;
}

bool Channel::flush() noexcept {
    bool encoded = false;  // one piece: then others have their turn
    while (!outbox_.empty() && !dead_) {
        std::array<iovec, kGather> slots;
        const std::size_t count = outbox_.gather(slots);
        if (count == 0) {
            if (encoded) {
                loop_.mark_dirty(*this);
                return false;
            }
            encoded = true;
            encode_next();
            continue;
        }
        const net::IoResult result = transport_.write({slots.data(), count});
        if (result.status == net::IoStatus::would_block) {
            return false;
        }
        if (result.status != net::IoStatus::done) {
            kill();
            return false;
        }
        if ((polled_ & EPOLLOUT) != 0) {
            on_taken();  // the socket was full
        }
        outbox_.drop_front(result.count);
        account_written(result.count);
        account_wire(result.count);
    }
    return outbox_.empty();
}

void Channel::account_written(std::size_t bytes) noexcept {
    if (!retired_ && gate_.release(bytes, low_water()) && gate_.end_wait()) {
        loop_.wake_senders();
        room_again_ = true;
        loop_.mark_dirty(*this);
    }
}

void Channel::retire() noexcept {
    loop_.forget(id_);
    gate_.close(id_.generation());
    if (gate_.retire()) {
        loop_.wake_senders();
    }
    retired_ = true;
    if (member_) {
        loop_.end_memberships(id_);
    }
}

void Channel::fail_without_memory() noexcept {
    report_no_memory(loop_.log());
    fail(protocol::CloseCode::internal_error, "out of memory");
}

void Channel::die() noexcept {
    dead_ = true;
    stop_pause_timer();
    loop_.reactor().clear_time(*this);
    loop_.mark_dirty(*this);
}

}  // namespace websocket::engine
