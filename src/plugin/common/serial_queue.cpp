// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/serial_queue.hpp"

#include <utility>

namespace websocket::plugin {

namespace {

/// Things of one connection that a thread handles before others have their turn.
constexpr int kThingsATurn = 16;

}  // namespace

engine::Flow SerialQueue::push(QueuedMessage::Owner message) noexcept {
    const std::size_t weight = message->weight();
    const std::size_t total = queued_.fetch_add(weight) + weight;
    messages_.push(std::move(message));
    schedule();
    if (total <= endpoint_.session.receive_buffer) {
        return engine::Flow::more;
    }
    return pause_until_fallen() ? engine::Flow::pause : engine::Flow::more;
}

void SerialQueue::push_open() noexcept {
    signals_.fetch_or(kOpen);
    schedule();
}

void SerialQueue::push_writable() noexcept {
    if ((signals_.fetch_or(kWritable) & kWritable) == 0) {
        schedule();
    }
}

bool SerialQueue::drained() noexcept {
    draining_.store(true);
    if (!pause_until_fallen()) {
        host_.engine.resume(id_);  // handled, but the answers may still be in the loop's inbox
    }
    return false;
}

/// False when little enough is queued; else Engine::resume() will be called once it is.
bool SerialQueue::pause_until_fallen() noexcept {
    paused_.store(true);
    // The pool may have emptied the queue before it could see the mark.
    return queued_.load() > resume_mark() || !paused_.exchange(false);
}

std::size_t SerialQueue::resume_mark() const noexcept {
    return draining_.load() ? 0 : endpoint_.session.receive_buffer / 2;
}

void SerialQueue::schedule() noexcept {
    if (pending_.fetch_add(1) == 0) {
        host_.pool.submit(*this);
    }
}

bool SerialQueue::take(Signal signal) noexcept {
    if ((signals_.load() & signal) == 0) {
        return false;
    }
    signals_.fetch_and(static_cast<std::uint8_t>(~signal));
    return true;
}

void SerialQueue::run() noexcept {
    for (int i = 0; i < kThingsATurn; ++i) {
        if (!has_room() && park()) {
            return;
        }
        if (take(kOpen)) {
            handle_open();
        } else if (QueuedMessage::Owner message = messages_.pop()) {
            handle(*message);
            const std::size_t weight = message->weight();
            message.reset();
            handled(weight);
        } else if (take(kWritable)) {
            handle_writable();
        } else {
            handle_end();
            return;
        }
        if (pending_.fetch_sub(1) == 1) {
            return;  // from here on the loop may submit this again
        }
    }
    host_.pool.submit(*this);
}

/// True when unpark() will submit this, or has done so.
bool SerialQueue::park() noexcept {
    parked_.store(true);
    return host_.engine.tell_when_writable(id_, endpoint_.connection.send_buffer / 2) ||
           !parked_.exchange(false);
}

void SerialQueue::unpark() noexcept {
    if (parked_.load() && parked_.exchange(false)) {
        host_.pool.submit(*this);
    }
}

void SerialQueue::handled(std::size_t weight) noexcept {
    queued_.fetch_sub(weight);
    if (queued_.load() > resume_mark() || !paused_.exchange(false)) {
        return;
    }
    // The mark may be younger than the look at the queue, and more have come in between.
    if (queued_.load() <= resume_mark()) {
        host_.engine.resume(id_);
    } else {
        paused_.store(true);
    }
}

}  // namespace websocket::plugin
