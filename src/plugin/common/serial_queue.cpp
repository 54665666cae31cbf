// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/serial_queue.hpp"

#include <new>
#include <utility>

#include "engine/channel.hpp"
#include "engine/loop.hpp"
#include "protocol/close_code.hpp"

namespace websocket::plugin {

namespace {

/// Things of one connection that a thread handles before others have their turn.
constexpr std::size_t kThingsATurn = 16;

}  // namespace

engine::Flow SerialQueue::push(engine::Message message) {
    InputBatch* const batch = batch_for(message);
    if (batch == nullptr) {
        return push(QueuedMessage::make(message));
    }
    // Nobody else writes this before the batch is handled.
    const std::uint64_t backlog =
        backlog_.load(std::memory_order_relaxed) + word_of({0, batch->add(message)});
    backlog_.store(backlog, std::memory_order_relaxed);
    return flow_with(amount_of(backlog).bytes);
}

/// Null unless this thread will handle the message where it is, and nothing else before it.
InputBatch* SerialQueue::batch_for(const engine::Message& message) noexcept {
    InputBatch& batch = InputBatch::own();
    const std::uint32_t waiting = amount_of(backlog_.load()).things;
    engine::Loop* const loop = engine::Loop::current();
    if (loop == nullptr || !loop->stays(message)) {
        return nullptr;
    }
    if (batch.belongs_to(*this)) {
        return waiting == 1 && !batch.full() ? &batch : nullptr;
    }
    if (waiting > 0 || batch.in_use() || !pace().brief() || !host_.pool.runs_brief(*loop) ||
        !batch.begin(*this)) {
        return nullptr;
    }
    backlog_.store(word_of({1, 0}), std::memory_order_relaxed);  // the batch is one thing
    host_.pool.run_next(*this, *loop);
    return &batch;
}

engine::Flow SerialQueue::push(QueuedMessage::Owner message) noexcept {
    const Amount more{1, message->weight()};
    messages_.push(std::move(message));
    const Amount before = amount_of(backlog_.fetch_add(word_of(more)));
    if (before.things == 0) {
        submit();
    }
    return flow_with(before.bytes + more.bytes);
}

/// What a message wants that is the last of so many bytes.
engine::Flow SerialQueue::flow_with(std::size_t bytes) noexcept {
    const bool too_much = bytes > endpoint_.session.receive_buffer;
    return too_much && pause_until_fallen() ? engine::Flow::pause : engine::Flow::more;
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
    return amount_of(backlog_.load()).bytes > resume_mark() || !paused_.exchange(false);
}

std::size_t SerialQueue::resume_mark() const noexcept {
    return draining_.load() ? 0 : endpoint_.session.receive_buffer / 2;
}

void SerialQueue::schedule() noexcept {
    if (amount_of(backlog_.fetch_add(word_of({1, 0}))).things == 0) {
        submit();
    }
}

void SerialQueue::submit() noexcept {
    pace().brief() ? host_.pool.submit_brief(*this) : host_.pool.submit(*this);
}

bool SerialQueue::take(Signal signal) noexcept {
    if ((signals_.load() & signal) == 0) {
        return false;
    }
    signals_.fetch_and(static_cast<std::uint8_t>(~signal));
    return true;
}

void SerialQueue::run() noexcept {
    const auto begun = Clock::now();
    InputBatch& batch = InputBatch::own();
    if (!batch.belongs_to(*this)) {
        run_some(begun);
    } else if (run_batch(batch, begun)) {
        run_some(Clock::now());
    }
}

/// False when nothing else is to be done.
bool SerialQueue::run_batch(InputBatch& batch, Clock::time_point begun) noexcept {
    const std::span<QueuedMessage> messages = batch.messages();
    std::size_t handled = 0;
    while (handled < messages.size() && has_room()) {
        handle(messages[handled++]);
    }
    if (handled > 0) {
        pace().note(Clock::now() - begun, handled, batch.bytes());
    }
    keep(messages.subspan(handled));
    Amount done{1, batch.bytes()};
    batch.clear();
    return settle(done) > 0;
}

/// What came before anything that is queued, and cannot be handled yet, is queued as well.
void SerialQueue::keep(std::span<QueuedMessage> messages) noexcept {
    try {
        for (; !messages.empty(); messages = messages.first(messages.size() - 1)) {
            QueuedMessage& last = messages.back();
            base::ByteBuffer* const owner = last.buffer.empty() ? nullptr : &last.buffer;
            QueuedMessage::Owner kept = QueuedMessage::make({last.type, last.payload, owner});
            backlog_.fetch_add(word_of({1, kept->weight()}));
            messages_.put_back(std::move(kept));
        }
    } catch (const std::bad_alloc&) {
        engine::report_no_memory(host_.log);
        break_off();
        host_.engine.close(
            id_, protocol::ClosePayload(protocol::CloseCode::internal_error, "out of memory"));
    }
}

void SerialQueue::run_some(Clock::time_point begun) noexcept {
    Amount done;  // of what is handled, what backlog_ counts still
    std::uint32_t known = amount_of(backlog_.load()).things;
    const auto settle_up = [&] {
        if (done.things > 0) {
            const auto now = Clock::now();
            pace().note(now - std::exchange(begun, now), done.things, done.bytes);
        }
        known = settle(done);
    };
    for (std::size_t things = 0; things < kThingsATurn; ++things) {
        if (!has_room()) {
            settle_up();
            if (park()) {
                return;
            }
        }
        if (take(kOpen)) {
            handle_open();
        } else if (QueuedMessage::Owner message = messages_.pop()) {
            handle(*message);
            done.bytes += message->weight();
        } else if (take(kWritable)) {
            handle_writable();
        } else {
            handle_end();
            pace().note(Clock::now() - begun, done.things + 1, done.bytes);
            remove();
            return;
        }
        if (++done.things == known) {
            settle_up();
            if (known == 0) {
                return;  // from here on the loop may submit this again
            }
        }
    }
    settle_up();
    submit();
}

/// Returns how many things are left. With none, this may be gone, and the pool as well.
std::uint32_t SerialQueue::settle(Amount& done) noexcept {
    if (done.bytes > 0) {
        backlog_.fetch_sub(word_of({0, done.bytes}));
        resume_if_fallen();
    }
    const Amount before = amount_of(backlog_.fetch_sub(word_of({done.things, 0})));
    return before.things - std::exchange(done, {}).things;
}

/// True when unpark() will submit this, or has done so: then this may be gone.
bool SerialQueue::park() noexcept {
    parked_.store(Parked::soon);
    if (host_.engine.tell_when_writable(id_, endpoint_.connection.send_buffer / 2)) {
        Parked soon = Parked::soon;
        return parked_.compare_exchange_strong(soon, Parked::yes);
    }
    parked_.store(Parked::no);
    return false;
}

void SerialQueue::unpark() noexcept {
    Parked was = parked_.load();
    while (was != Parked::no && !parked_.compare_exchange_weak(was, Parked::no)) {
    }
    if (was == Parked::yes) {
        submit();
    }
}

void SerialQueue::resume_if_fallen() noexcept {
    const auto has_fallen = [this] { return amount_of(backlog_.load()).bytes <= resume_mark(); };
    if (!has_fallen() || !paused_.exchange(false)) {
        return;
    }
    // The mark may be younger than the look at the queue, and more have come in between.
    if (has_fallen()) {
        host_.engine.resume(id_);
    } else {
        paused_.store(true);
    }
}

}  // namespace websocket::plugin
