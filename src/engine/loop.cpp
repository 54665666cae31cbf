// SPDX-License-Identifier: Apache-2.0
#include "engine/loop.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace websocket::engine {

constinit thread_local Loop* Loop::current_ = nullptr;

Loop::Loop(std::uint32_t index, base::Log& log, std::function<void()> on_slot_free)
    : index_(index), log_(log), on_slot_free_(std::move(on_slot_free)),
      read_buffer_(new std::uint8_t[kReadBuffer]), drain_(slots_) {}

Loop::~Loop() = default;

void Loop::run(const std::function<void()>& on_end) noexcept {
    on_end_ = on_end;
    current_ = this;
    while (!ended_) {
        turn();
    }
    current_ = nullptr;
    stand_in_.reset();
}

/// One round. The loop has ended when it was the last one.
void Loop::turn() noexcept {
    guarded([this] {
        if (begin_turn()) {
            finish_turn();
        }
    });
    if (stopping_ && !ended_ && is_over()) {
        ended_ = true;
        end_turn();
        heartbeat_.end_turn();
        if (!stand_in_leads_) {
            stand_in_.reset();
        }
        current_ = nullptr;  // nobody may take it for a loop that goes on
        on_end_();
    }
}

bool Loop::is_over() noexcept {
    return serving_ == 0 && !awaits_reserved() && end_tasks() && inbox_.close_if_empty();
}

/// Not at the end of a turn: that may end with an exception.
void Loop::end_turn() noexcept {
    while (turn_ends_ != nullptr) {
        TurnEnd& work = *turn_ends_;
        turn_ends_ = work.next_;
        work.at_turn_end();
    }
}

/// At the end of a drain: whose handshake is being answered just now still gets a Close.
bool Loop::awaits_reserved() const noexcept {
    return reserved_.load() > 0 && !stop_requested_.load() &&
           net::before(reactor_.now(), stop_deadline_);
}

/// False when the stand-in has gone on with the loop instead.
bool Loop::begin_turn() {
    dispatching_ = false;  // the last turn may have ended with an exception
    if (borrower_ != nullptr && !lend()) {
        return false;
    }
    const auto turn = reactor_.time();
    const auto asked = metered_ > 0 ? reactor_.elapsed() : turn;
    end_turn();
    heartbeat_.end_turn();
    const net::Reactor::Waited waited = reactor_.wait(most_wait());
    heartbeat_.begin_turn();
    if (metered_ > 0) {
        note_standstill(turn, asked, waited);
    }
    // What other threads have asked for happened before what the descriptors report.
    if (waited.woken || stop_requested_.load(std::memory_order_relaxed)) {
        carry_out_commands();
    }
    return true;
}

/// May be called once more for the same turn.
void Loop::finish_turn() {
    dispatching_ = true;
    if (!reactor_.dispatch([this] { return borrower_ == nullptr || lend(); })) {
        return;
    }
    dispatching_ = false;
    heartbeat_.note(LoopWork::timers);
    reactor_.fire_timers();
    watches_.reap();
    advance_drain();
    if (stopping_ && !net::before(reactor_.now(), stop_deadline_)) {
        slots_.for_each([](Channel& channel) { channel.kill(); });
    }
    if (borrower_ != nullptr && !lend()) {
        return;
    }
    service_dirty();
    shared_deflate_.trim(reactor_.now());
    heap_trim_.trim(reactor_.now());
}

std::chrono::milliseconds Loop::most_wait() const noexcept {
    if (dirty_ != Channel::kLast) {
        return std::chrono::milliseconds{0};
    }
    if (stopping_) {
        return kTickLength;
    }
    constexpr auto kMax = std::chrono::milliseconds{60'000};
    return drain_.active() ? std::min(kMax, drain_.rest(reactor_.time())) : kMax;
}

/// Between two looks at the descriptors: the turn that began at `turn` and waited from `asked` on took
/// long, or the wait longer than its limit. A wait is interrupted only when the process was stopped, as
/// all signals are blocked.
void Loop::note_standstill(std::chrono::milliseconds turn, std::chrono::milliseconds asked,
                           const net::Reactor::Waited& waited) noexcept {
    const auto now = reactor_.time();
    const auto idle =
        waited.interrupted ? std::chrono::milliseconds{0} : std::min(waited.limit, now - asked);
    const auto still = now - turn - idle;
    if (still < kTickLength) {
        return;
    }
    if (standstill_.caught_up <= turn) {
        standstill_.begun = now - still;
    }
    standstill_.caught_up = now + still;
}

void Loop::carry_out_commands() {
    heartbeat_.note(LoopWork::requests);
    const std::size_t own_posts = own_posts_;
    inbox_.take(batch_);
    broadcasts_end_ = std::find_if(batch_.rbegin(), batch_.rend(), [](const Command& command) {
                          return command.kind == Command::Kind::broadcast;
                      }).base();
    for (auto command = batch_.begin(); command != batch_.end();) {
        command = carry_out_corked(command);
    }
    batch_.clear();
    own_posts_ -= own_posts;
    if (lost_requests_.exchange(false)) {
        slots_.for_each([](Channel& channel) { channel.recover_lost_requests(); });
    }
    if (drain_requested_.exchange(false)) {
        take_drain_order();
    }
    if (stop_requested_.load() && !stopping_) {
        begin_stop(protocol::CloseCode::going_away, "server is stopping");
    }
}

/// Carries out all consecutive requests for one connection; what they send leaves in one write.
std::vector<Command>::iterator Loop::carry_out_corked(std::vector<Command>::iterator command) {
    if (command->kind == Command::Kind::adopt) {
        start_serving(std::move(command->channel));
        return command + 1;
    }
    if (command->kind == Command::Kind::broadcast) {
        return broadcast_now(command);
    }
    if (command->kind >= Command::Kind::join) {
        carry_out_for_group(*command);
        return command + 1;
    }
    const ConnectionId id = command->id;
    const auto end = std::find_if(command, batch_.end(), [id](const Command& other) {
        return !(other.id == id) || other.kind >= Command::Kind::join;
    });
    if (Connection* connection = find(id)) {
        heartbeat_.note(&connection->options());
        const Corked corked(cork_, *connection);
        std::for_each(command, end, [&](Command& one) { carry_out(one, connection); });
        return end;
    }
    if (EventStream* stream = find_stream(id)) {
        heartbeat_.note(&stream->options());
        std::for_each(command, end, [&](Command& one) { carry_out(one, *stream); });
        return end;
    }
    for (; command != end; ++command) {
        if (command->kind == Command::Kind::call) {
            command->task->run(*this, nullptr);
        }
    }
    return end;
}

void Loop::carry_out(Command& command, Connection* connection) {
    try {
        switch (command.kind) {
            case Command::Kind::send:
            case Command::Kind::messages:
                connection->enqueue(std::move(command.frame), command.count);
                break;
            case Command::Kind::deflate: connection->enqueue_plain(std::move(command.frame)); break;
            case Command::Kind::close: connection->enqueue_close(std::move(command.frame)); break;
            case Command::Kind::resume: connection->resume(); break;
            case Command::Kind::call:
                command.task->run(*this, serving(command.id));
                command.task.reset();
                break;
            default: break;
        }
    } catch (const std::bad_alloc&) {
        connection->fail_without_memory();
    }
}

void Loop::carry_out(Command& command, EventStream& stream) noexcept {
    try {
        switch (command.kind) {
            case Command::Kind::send:
            case Command::Kind::messages:
            case Command::Kind::deflate: stream.enqueue(command.frame); break;
            case Command::Kind::close: stream.enqueue_close(command.frame); break;
            case Command::Kind::call:
                command.task->run(*this, serving(command.id));
                command.task.reset();
                break;
            default: break;  // what is not read is not resumed
        }
    } catch (const std::bad_alloc&) {
        stream.fail_without_memory();
    }
}

void Loop::start_serving(std::unique_ptr<Channel> channel) {
    Channel* served = channel.release();  // until free_channel()
    slots_.find(served->id().slot())->channel = served;
    ++serving_;
    reserved_.fetch_sub(1);
    metered_ += served->metered() ? 1U : 0U;
    if (open_counts_ != nullptr) {
        open_counts_->opened(served->category());
    }
    heartbeat_.note(&served->options());
    served->open();
    if (stopping_) {
        const bool drained = drain_.active() && !stop_requested_.load();
        const auto code = drained ? drain_.code() : protocol::CloseCode::going_away;
        served->fail(code, Drain::reason(code));
    } else if (drain_.active()) {
        drain_.accept(*served, reactor_.time());
    }
}

void Loop::take_drain_order() noexcept {
    const DrainOrder order = drain_request_.get();
    drain_.begin(std::chrono::ceil<std::chrono::milliseconds>(order.deadline - reactor_.start()),
                 order.code, reactor_.time(), serving_);
}

void Loop::advance_drain() {
    if (!draining()) {
        return;
    }
    drain_.advance(reactor_.time());
    in_order_.store(static_cast<std::uint32_t>(drain_.told()), std::memory_order_relaxed);
    if (drain_.over(reactor_.time())) {
        const protocol::CloseCode code = drain_.code();
        begin_stop(code, Drain::reason(code));
    }
}

void Loop::begin_stop(protocol::CloseCode code, const char* reason) noexcept {
    stopping_ = true;
    stop_deadline_ = reactor_.now() + to_ticks(kStopTimeout);
    std::uint32_t forced = 0;
    std::uint32_t told = 0;
    slots_.for_each([&](Channel& channel) {
        const Departure departure = channel.cut_short(code, reason);
        forced += departure != Departure::in_order ? 1U : 0U;
        told += departure == Departure::forced_though_told ? 1U : 0U;
    });
    in_order_.fetch_sub(told, std::memory_order_relaxed);
    forced_.store(forced, std::memory_order_relaxed);
}

void Loop::service_dirty() {
    std::uint32_t next = std::exchange(dirty_, Channel::kLast);
    while (next != Channel::kLast) {
        Channel* channel = slots_.find(next)->channel;
        next = std::exchange(channel->next_dirty, Channel::kUnlisted);
        if (!channel->dead()) {
            heartbeat_.note(LoopWork::output, &channel->options());
            channel->service();
        } else {
            free_channel(channel);
        }
    }
}

void Loop::free_channel(Channel* channel) noexcept {
    const std::uint32_t index = channel->id().slot();
    if (open_counts_ != nullptr) {
        open_counts_->closed(channel->category());
    }
    metered_ -= channel->metered() ? 1U : 0U;
    delete channel;
    slots_.find(index)->channel = nullptr;
    slots_.give_back(index);
    --serving_;
    on_slot_free_();
}

/// Null unless it is served, of whatever kind.
Channel* Loop::find_any(ConnectionId id) noexcept {
    Slot* slot = slots_.find(id.slot());
    Channel* channel = slot != nullptr ? slot->channel : nullptr;
    return channel != nullptr && channel->id() == id ? channel : nullptr;
}

EventStream* Loop::find_stream(ConnectionId id) noexcept {
    Channel* channel = find_any(id);
    return channel != nullptr && channel->is_event_stream() ? static_cast<EventStream*>(channel)
                                                            : nullptr;
}

Channel* Loop::serving(ConnectionId id) noexcept {
    Channel* channel = find_any(id);
    return channel != nullptr && channel->session() != nullptr ? channel : nullptr;
}

void Loop::forget(ConnectionId id) noexcept {
    reactor_.timers().cancel_all(id.value());
    watches_.stop_all(id.value());
}

/// No connection is left. Ends the timers and watches that belong to none; true when that posted
/// nothing.
bool Loop::end_tasks() noexcept {
    reactor_.timers().cancel_all();
    watches_.stop_all();
    watches_.reap();
    return true;
}

}  // namespace websocket::engine
