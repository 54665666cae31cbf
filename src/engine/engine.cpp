// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.hpp"

#include <new>
#include <system_error>
#include <utility>

#include "base/signal_mask.hpp"
#include "engine/heap_trim.hpp"

namespace websocket::engine {

Engine::~Engine() {
    begin_stop();
    for (const std::unique_ptr<Loop>& loop : loops_) {
        loop->stop();  // also those of a start that was never completed
    }
    for (std::thread& thread : threads_) {
        thread.join();
    }
}

bool Engine::start() noexcept {
    if (started_.load(std::memory_order_acquire)) {
        return true;
    }
    const std::lock_guard lock(start_mutex_);
    if (started_.load(std::memory_order_relaxed) || stopping_.load()) {
        return started_.load(std::memory_order_relaxed);
    }
    keep_freed_memory();
    try {
        const base::SignalsBlocked blocked;  // inherited by the threads
        threads_.reserve(options_.loops);
        hang_detectors_.resize(options_.loops);
        while (loops_.size() < options_.loops) {
            loops_.push_back(
                std::make_unique<Loop>(static_cast<std::uint32_t>(loops_.size()), log_, [this] {
                    connections_.fetch_sub(1, std::memory_order_relaxed);
                }));
            loops_.back()->set_groups(options_.broadcast_buffer, group_listener_);
            loops_.back()->set_open_counts(options_.open_counts);
        }
        while (threads_.size() < options_.loops) {
            Loop& loop = *loops_[threads_.size()];
            running_.fetch_add(1);
            try {
                threads_.emplace_back([this, &loop] { run(loop); });
            } catch (...) {
                running_.fetch_sub(1);
                throw;
            }
        }
    } catch (const std::exception&) {
        log_.write(base::LogLevel::error, "WS0305: cannot start the event loops: out of resources");
        return false;  // what has started is used when the next attempt completes it
    }
    started_.store(true);
    // What came meanwhile could not see the loops.
    if (draining_.load()) {
        order_drain();
    }
    if (stopping_.load()) {
        begin_stop();
        return false;
    }
    return true;
}

void Engine::run(Loop& loop) noexcept {
    loop.run([this] {
        if (ended_.fetch_add(1) + 1 == options_.loops && options_.on_end) {
            options_.on_end();
        }
        running_.fetch_sub(1);
    });
}

bool Engine::takes_nobody() const noexcept {
    const auto deadline = drain_deadline();
    return stopping_.load(std::memory_order_relaxed) ||
           (deadline && std::chrono::steady_clock::now() >= *deadline);
}

bool Engine::begin(Refusal& why) noexcept {
    if (takes_nobody()) {
        why = Refusal::stopping;
        return false;
    }
    why = Refusal::no_resources;
    return start();
}

/// A loop where there may be a slot, which counts as taken; null when there is none.
Loop* Engine::begin_reservation(Refusal& why) noexcept {
    if (takes_nobody()) {
        why = Refusal::stopping;
        return nullptr;
    }
    const std::uint32_t before = connections_.fetch_add(1, std::memory_order_relaxed);
    if (options_.max_connections != 0 && before >= options_.max_connections) {
        why = Refusal::too_many_connections;
    } else if (!start()) {
        why = Refusal::no_resources;
    } else if (Loop* loop = next_loop()) {
        return loop;
    } else {
        why = Refusal::hanging;
    }
    connections_.fetch_sub(1, std::memory_order_relaxed);
    return nullptr;
}

void Engine::give_back(Loop& loop, std::unique_ptr<Channel> channel) noexcept {
    loop.discard(std::move(channel));
    connections_.fetch_sub(1, std::memory_order_relaxed);
    taken_.fetch_sub(1, std::memory_order_relaxed);
}

void Engine::adopt(Place place, net::AnyTransport transport, std::unique_ptr<Session> session,
                   const ConnectionOptions& options, unsigned version,
                   base::ByteBuffer early_input) noexcept {
    place->prepare(std::move(transport), std::move(session), options, version,
                   std::move(early_input));
    serve(std::move(place));
}

/// On the connection's own loop `transmit` with it, be it a Connection or an EventStream; elsewhere `post(Loop&)`.
template <class Transmit, class Post>
inline SendResult Engine::send(ConnectionId id, std::size_t high_water, Passage passage, Tell tell,
                               Transmit transmit, Post post) noexcept {
    Loop* loop = loop_of(id);
    if (loop == nullptr) {
        return SendResult::gone;
    }
    const std::size_t low_water = high_water / 2;
    const Loop::Visit visit(*loop);
    SendResult result = SendResult::gone;
    bool much = true;
    if (!loop->at_once()) {
        result = post(*loop);
    } else if (Connection* connection = loop->find(id)) {
        result = transmit(*connection);
        much = connection->queued() > low_water;
    } else if (EventStream* stream = loop->find_stream(id)) {
        result = transmit(*stream);
        much = stream->queued() > low_water;
    }
    return result == SendResult::ok && tell == Tell::session && much &&
                   loop->tell_when_writable(id, low_water, passage)
               ? SendResult::queued
               : result;
}

SendResult Engine::send(ConnectionId id, protocol::Opcode opcode,
                        std::span<const std::uint8_t> payload, std::size_t high_water,
                        Compression compression, Tell tell) noexcept {
    Loop* loop = loop_of(id);
    return loop != nullptr && loop->try_cork(id, opcode, payload, compression)
               ? SendResult::ok
               : send_otherwise(id, opcode, payload, high_water, compression, tell);
}

/// A function of its own, so that the short way needs no registers for it.
[[gnu::noinline]] SendResult Engine::send_otherwise(ConnectionId id, protocol::Opcode opcode,
                                                    std::span<const std::uint8_t> payload,
                                                    std::size_t high_water, Compression compression,
                                                    Tell tell) noexcept {
    if (protocol::is_control(opcode) && payload.size() > protocol::kMaxControlPayload) {
        return SendResult::too_big;
    }
    const Passage passage = protocol::is_control(opcode) ? Passage::between : Passage::behind;
    return send(
        id, high_water, passage, tell,
        [&](auto& channel) { return channel.transmit(opcode, payload, compression); },
        [&](Loop& loop) {
            return loop.post_message(id, opcode, payload, high_water, compression);
        });
}

SendResult Engine::send(ConnectionId id, const SharedFrame& frame, std::size_t high_water,
                        Compression compression, Tell tell) noexcept {
    return send(
        id, high_water, passage_of(frame.bytes().front()), tell,
        [&](auto& channel) { return channel.transmit(frame, compression); },
        [&](Loop& loop) { return loop.post_message(id, frame, high_water, compression); });
}

protocol::DeflateSettings Engine::deflate(ConnectionId id) noexcept {
    Loop* loop = loop_of(id);
    return loop != nullptr ? loop->deflate(id) : protocol::DeflateSettings{};
}

Engine::Posted Engine::post(ConnectionId id, std::unique_ptr<LoopTask>& task) noexcept {
    Loop* loop = loop_of(id);
    bool ended = true;
    if (loop != nullptr && loop->post(id, task, ended)) {
        return Posted::yes;
    }
    return ended ? Posted::gone : Posted::no_memory;
}

/// Each in turn but those that hang; null when all do.
Loop* Engine::next_loop() noexcept {
    for (std::size_t tried = 0; tried < loops_.size(); ++tried) {
        Loop& loop = *loops_[next_loop_.fetch_add(1, std::memory_order_relaxed) % loops_.size()];
        if (!loop.heartbeat().hangs()) {
            return &loop;
        }
    }
    return nullptr;
}

std::uint32_t Engine::look_for_hangs(std::chrono::steady_clock::time_point now,
                                     const std::function<void(const Hang&)>& report) noexcept {
    const bool on_time = now - last_look_ < 2 * HangDetector::kPollInterval;
    last_look_ = now;
    if (!started_.load(std::memory_order_acquire)) {
        return 0;
    }
    std::uint32_t hanging = 0;
    for (std::size_t i = 0; i < loops_.size(); ++i) {
        Heartbeat& heartbeat = loops_[i]->heartbeat();
        const Heartbeat::Beat beat = heartbeat.look();
        const HangDetector::Verdict verdict = hang_detectors_[i].judge(beat, on_time);
        hanging += hang_detectors_[i].hangs() ? 1U : 0U;
        if (verdict != HangDetector::Verdict::unchanged) {
            const bool over = verdict == HangDetector::Verdict::back;
            heartbeat.set_hangs(!over);
            report({static_cast<std::uint32_t>(i), over, beat});
        }
    }
    return hanging;
}

ConnectionId Engine::some_loop() noexcept {
    const Loop* loop = next_loop();
    return {loop != nullptr ? loop->index() : 0, 0, 0};
}

bool Engine::tell_when_writable(ConnectionId id, std::size_t low_water, Passage passage) noexcept {
    Loop* loop = loop_of(id);
    return loop != nullptr && loop->tell_when_writable(id, low_water, passage);
}

std::optional<std::size_t> Engine::queued(ConnectionId id) noexcept {
    Loop* loop = loop_of(id);
    return loop != nullptr ? loop->queued(id) : std::nullopt;
}

bool Engine::close(ConnectionId id, const protocol::ClosePayload& payload) noexcept {
    Loop* loop = loop_of(id);
    return loop != nullptr && loop->close(id, payload);
}

void Engine::resume(ConnectionId id) noexcept {
    if (Loop* loop = loop_of(id)) {
        loop->resume(id);
    }
}

void Engine::wait_for_room(ConnectionId id, std::size_t low_water) {
    if (Loop* loop = loop_of(id)) {
        loop->wait_for_room(id, low_water);
    }
}

void Engine::begin_drain(const DrainOrder& order) noexcept {
    drain_request_.put(order);
    draining_.store(true);
    if (started_.load()) {
        order_drain();
    }
}

std::optional<std::chrono::steady_clock::time_point> Engine::drain_deadline() const noexcept {
    if (!draining_.load()) {
        return {};
    }
    return drain_request_.get().deadline;
}

void Engine::order_drain() noexcept {
    for (const std::unique_ptr<Loop>& loop : loops_) {
        loop->drain(drain_request_.get());
    }
}

Departures Engine::departures() const noexcept {
    Departures all;
    if (started_.load(std::memory_order_acquire)) {
        for (const std::unique_ptr<Loop>& loop : loops_) {
            const Departures some = loop->departures();
            all.in_order += some.in_order;
            all.forced += some.forced;
        }
    }
    return all;
}

bool Engine::join(GroupId group, ConnectionId id) {
    Loop* loop = loop_of(id);
    return loop != nullptr && loop->join(group, id);
}

void Engine::leave(GroupId group, ConnectionId id) noexcept {
    if (Loop* loop = loop_of(id)) {
        loop->leave(group, id);
    }
}

void Engine::leave_all(ConnectionId id) noexcept {
    if (Loop* loop = loop_of(id)) {
        loop->leave_all(id);
    }
}

SendResult Engine::broadcast(std::uint32_t loop, GroupId group, const SharedFrame& frame,
                             ConnectionId except) noexcept {
    Loop* target = loop_at(loop);
    return target != nullptr ? target->broadcast(group, frame, except) : SendResult::gone;
}

void Engine::begin_stop() noexcept {
    stopping_.store(true);
    if (!started_.load()) {
        return;
    }
    for (const std::unique_ptr<Loop>& loop : loops_) {
        loop->stop();
    }
}

}  // namespace websocket::engine
