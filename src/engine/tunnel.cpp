// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <new>
#include <utility>

#include "base/iovec.hpp"
#include "engine/loop.hpp"
#include "protocol/frame.hpp"

namespace websocket::engine {

using protocol::CloseCode;
using protocol::Opcode;

namespace {

/// What the backend sends has no limits but those of the protocol.
constexpr protocol::ReaderLimits kBackendLimits{UINT64_MAX, UINT32_MAX, UINT32_MAX, 0, true};

/// What is longer is meant to be for ever; ticks, which wrap round, could not count years of it.
constexpr std::chrono::hours kLongestIdle{365 * 24};

}  // namespace

Tunnel::~Tunnel() {
    client_.leave(loop_.reactor());
    backend_.leave(loop_.reactor());
}

void Tunnel::prepare(Side client, Side backend, const ConnectionOptions& options,
                     const TunnelOptions& how) {
    Channel::prepare({}, nullptr, options);
    client_.begin_with(std::move(client.transport), std::move(client.early));
    backend_.begin_with(std::move(backend.transport), std::move(backend.early));
    how_ = how;
    if (how_.idle_timeout > kLongestIdle) {
        how_.idle_timeout = {};
    }
    if (how.frames) {
        frames_ = std::make_unique<TunnelFrames>(how.compressible);
    }
}

void Tunnel::open() {
    const Tick now = loop_.reactor().now();
    last_passed_ = now;
    liveness_.note(now, true);
    for (TunnelEnd* end : {&client_, &backend_}) {
        base::ByteBuffer early = end->take_early();
        if (!early.empty()) {
            guarded([&] { pass_on(*end, early.bytes()); });
        }
    }
    if (state_ == State::open) {  // what was read ahead may have ended it
        set_next_look(now);
    }
    loop_.mark_dirty(*this);
}

/// Whatever goes wrong, the streams are cut where they are.
template <class Work>
void Tunnel::guarded(Work work) noexcept {
    try {
        work();
    } catch (const std::exception&) {  // no memory, or no random numbers
        loop_.log().write(base::LogLevel::error, "WS0301: out of memory, closing one tunnel");
        note_end(static_cast<std::uint16_t>(CloseCode::internal_error), Ender::server,
                 "out of memory");
        kill();
    }
}

// --- turns of the loop ---------------------------------------------------------------------------

void Tunnel::on_ready_at(TunnelEnd& end, bool readable, bool writable) {
    loop_.heartbeat().note(LoopWork::input, options_);
    if (writable) {
        note_taken(end);  // the socket was full; maybe it has room for a part of a record only
    }
    if (readable && !dead_ && reads(end)) {
        guarded([&] { read(end); });
    }
    loop_.mark_dirty(*this);
}

void Tunnel::service() {
    for (TunnelEnd* end : {&client_, &backend_}) {
        const std::size_t waiting = end->kept();
        end->flush();
        if (end->kept() < waiting) {
            note_taken(*end);
        }
        if (!dead_ && reads(*end) && end->input_pending()) {
            guarded([&] { read(*end); });
        }
    }
    if (!dead_) {
        settle();
    }
    if (dead_) {
        return;
    }
    bool polled = true;
    for (TunnelEnd* end : {&client_, &backend_}) {
        polled = polled && end->poll(loop_.reactor(), reads(*end));
        if (reads(*end) && end->input_pending()) {
            loop_.mark_dirty(*this);  // others have their turn first
        }
    }
    if (!polled) {
        loop_.log().write(base::LogLevel::error, "WS0303: epoll_ctl failed, closing one tunnel");
        kill();
    }
}

/// A slow side takes what waits for it, while nothing new is read for it.
void Tunnel::note_taken(const TunnelEnd& by) noexcept {
    last_passed_ = loop_.reactor().now();
    if (&by == &client_ || state_ != State::open) {  // at the end, patience is for both
        liveness_.note(last_passed_, state_ == State::open);
    }
}

/// Whether there is any use in reading now.
bool Tunnel::reads(const TunnelEnd& from) noexcept {
    if (from.input_ended()) {
        return false;
    }
    const bool waits_for_rate = &from == &client_ && paused();
    return state_ == State::ending || (room_for(from) > 0 && !waits_for_rate);
}

std::size_t Tunnel::room_for(const TunnelEnd& from) noexcept {
    const std::size_t waiting = other(from).kept();
    return waiting < how_.buffer ? how_.buffer - waiting : 0;
}

/// True when there may be more.
bool Tunnel::read(TunnelEnd& from) {
    std::span<std::uint8_t> into = loop_.read_buffer();
    std::size_t most = into.size();
    if (state_ != State::ending) {
        most = std::min(most, room_for(from));
    }
    if (&from == &client_) {
        most = std::min(most, largest_read());
    }
    const net::IoResult result = from.read(into.first(most));
    if (&from == &client_ && result.count > 0) {
        liveness_.note(loop_.reactor().now(), state_ == State::open);
    }
    if (result.status == net::IoStatus::done) {
        pass_on(from, into.first(result.count));
        return true;
    }
    if (from.input_ended()) {
        constexpr auto kAbnormal = static_cast<std::uint16_t>(CloseCode::abnormal);
        const bool broken = result.status == net::IoStatus::failed;
        const Ender by = &from == &client_ ? Ender::client : Ender::backend;
        note_end(frames_ != nullptr ? kAbnormal : 0, broken ? Ender::network : by, nullptr);
    }
    return false;
}

void Tunnel::pass_on(TunnelEnd& from, std::span<std::uint8_t> bytes) {
    if (state_ == State::ending) {
        return;  // discarded
    }
    last_passed_ = loop_.reactor().now();
    account(from, bytes.size());
    if (frames_ != nullptr) {
        pass_frames(from, bytes);
    } else {
        other(from).write(std::array{base::to_iovec(bytes)});
    }
}

void Tunnel::account(const TunnelEnd& from, std::size_t bytes) noexcept {
    if (&from == &backend_) {
        account_wire(bytes);
    } else if (record_ != nullptr) {
        record_read(bytes, state_ == State::open);
    }
}

/// The rest of kill() for who takes part in no group and has no session.
void Tunnel::kill() noexcept {
    if (dead_) {
        return;
    }
    note_end(0, Ender::network, nullptr);
    state_ = State::ending;  // whoever still comes in this turn must not begin anything
    retire();
    die();
}

// --- frames --------------------------------------------------------------------------------------

void Tunnel::pass_frames(TunnelEnd& from, std::span<std::uint8_t> bytes) {
    const bool upstream = &from == &client_;
    const auto held = upstream ? frames_->to_backend.held() : frames_->to_client.held();
    base::ByteBuffer joined;
    if (!held.empty()) {
        joined.append(held);
        joined.append(bytes);
        bytes = joined.bytes();
    }
    const PassedFrames passed = upstream ? frames_->to_backend.pass(bytes, options_->reader)
                                         : frames_->to_client.pass(bytes, kBackendLimits);
    if (!passed.pieces.empty()) {
        other(from).write(passed.pieces);
    }
    if (const auto code =
            upstream ? frames_->to_backend.close_code() : frames_->to_client.close_code()) {
        note_end(*code, upstream ? Ender::client : Ender::backend, nullptr);
    }
    if (upstream) {
        charge_frames(passed);
    } else if (record_ != nullptr) {
        record_->traffic.messages_out += passed.messages;
    }
    if (passed.violation) {
        // The client did nothing wrong when the backend did.
        const CloseCode code = upstream ? passed.violation->code : CloseCode::internal_error;
        begin_close(code, passed.violation->reason);
    } else if (frames_->to_backend.closed() && frames_->to_client.closed()) {
        begin_end();
    }
}

void Tunnel::charge_frames(const PassedFrames& passed) noexcept {
    const auto all = [](std::uint32_t count, auto admit) {
        while (count > 0 && admit()) --count;
        return count == 0;
    };
    static_cast<void>(all(passed.messages, [this] { return admit_message(); }) &&
                      all(passed.fragments, [this] { return admit_fragment(); }) &&
                      all(passed.controls, [this] { return admit_control_frame(); }));
}

void Tunnel::on_rate_exceeded(const char* reason) noexcept {
    begin_close(CloseCode::policy_violation, reason);
}

// --- the end -------------------------------------------------------------------------------------

/// The first one counts.
void Tunnel::note_end(std::uint16_t code, Ender by, const char* reason) noexcept {
    if (!std::exchange(end_noted_, true) && record_ != nullptr) {
        record_->ending = {code, by, reason};
    }
}

/// What has ended on one side ends on the other, too, behind what waits for it.
void Tunnel::settle() noexcept {
    if (state_ == State::leaving) {
        const auto over = [](const auto& stream, const TunnelEnd& from) {
            return stream.ended() || from.input_ended();
        };
        if (over(frames_->to_backend, client_) && over(frames_->to_client, backend_)) {
            begin_end();
        }
    }
    const auto gone = [](const TunnelEnd& end) { return end.ended(); };
    if (state_ == State::open &&
        ((!how_.half_close && (client_.input_ended() || backend_.input_ended())) || gone(client_) ||
         gone(backend_))) {
        begin_end();
    }
    for (TunnelEnd* end : {&client_, &backend_}) {
        if (end->kept() == 0 && (state_ == State::ending || other(*end).input_ended())) {
            end->shut();
        }
    }
    if (client_.ended() && backend_.ended()) {
        kill();
    }
}

/// Each side is told why, if there is a way to tell it, and nothing follows.
void Tunnel::begin_close(CloseCode code, const char* reason) noexcept {
    if (state_ != State::open) {
        return;
    }
    note_end(frames_ != nullptr ? static_cast<std::uint16_t>(code) : 0, Ender::server, reason);
    end_pauses();
    start_close_timer();
    loop_.mark_dirty(*this);
    if (frames_ == nullptr) {
        begin_end();
        return;
    }
    state_ = State::leaving;
    guarded([&] {
        const protocol::ClosePayload payload(code, reason);
        if (const auto frame = frames_->to_backend.close(payload); !frame.empty()) {
            backend_.write(std::array{base::to_iovec(frame)});
        }
        if (const auto frame = frames_->to_client.close(payload); !frame.empty()) {
            client_.write(std::array{base::to_iovec(frame)});
        }
    });
}

void Tunnel::begin_end() noexcept {
    if (state_ == State::ending) {
        return;
    }
    start_close_timer();
    state_ = State::ending;
    end_pauses();
    loop_.mark_dirty(*this);
}

bool Tunnel::leave(CloseCode code, const char* reason) noexcept {
    const bool open = state_ == State::open;
    begin_close(code, reason);
    if (open && state_ == State::leaving) {
        loop_.reactor().clear_time(*this);  // the frame that is under way has until cut_short()
    }
    return open;
}

void Tunnel::fail(CloseCode code, const char* reason) noexcept { begin_close(code, reason); }

Departure Tunnel::cut_short(CloseCode code, const char* reason) noexcept {
    const State state = state_;
    begin_close(code, reason);
    if (state_ == State::leaving) {
        // A frame has been cut.
        begin_end();
        return state == State::open ? Departure::forced : Departure::forced_though_told;
    }
    return Departure::in_order;
}

// --- time ----------------------------------------------------------------------------------------

/// To both sides together.
net::Delivery Tunnel::delivery() const noexcept {
    const net::Delivery one = client_.delivery();
    const net::Delivery other = backend_.delivery();
    return {one.untaken + other.untaken, one.taken + other.taken};
}

void Tunnel::start_close_timer() noexcept {
    const Tick now = loop_.reactor().now();
    liveness_.begin_close(now, delivery());
    loop_.reactor().set_time(*this, now + to_ticks(options_->close_timeout));
}

void Tunnel::end_in_time(Tick now) noexcept {
    if (overslept(now, deadline)) {
        start_close_timer();  // the time was not the peers'
        return;
    }
    const Tick timeout = to_ticks(options_->close_timeout);
    const bool takes = liveness_.takes(delivery());
    if (takes) {
        liveness_.note(now, false);
    }
    if (liveness_.may_go_on(now, timeout) && (takes || client_.kept() > 0 || backend_.kept() > 0)) {
        loop_.reactor().set_time(*this,
                                 liveness_.last() + timeout);  // slow, but taking what is kept
        return;
    }
    kill();
}

void Tunnel::on_time() noexcept {
    const Tick now = loop_.reactor().now();
    if (state_ != State::open) {
        end_in_time(now);
        return;
    }
    if (idle_too_long(now)) {
        begin_close(CloseCode::going_away, "no traffic within the time limit");
        return;
    }
    if (frames_ != nullptr && options_->ping_interval.count() > 0) {
        keep_alive(now);
    }
    if (state_ == State::open && !dead_) {
        set_next_look(now);
    }
}

/// When half of the time without traffic is over. What a slow side takes of what the kernel has for it, in the
/// other half, is traffic, too.
Tick Tunnel::idle_middle() const noexcept { return last_passed_ + to_ticks(how_.idle_timeout) / 2; }

bool Tunnel::idle_too_long(Tick now) noexcept {
    if (how_.idle_timeout.count() == 0 || overslept(now, deadline) ||
        net::before(now, idle_middle())) {
        return false;
    }
    if (net::before(now, last_passed_ + to_ticks(how_.idle_timeout))) {
        if (std::exchange(seen_since_, last_passed_) != last_passed_) {
            seen_ = delivery();
        }
        return false;
    }
    if (seen_since_ == last_passed_ && seen_.untaken > 0 && delivery().taken != seen_.taken) {
        last_passed_ = now;
        return false;
    }
    return true;
}

void Tunnel::set_next_look(Tick now) noexcept {
    const bool pings = frames_ != nullptr && options_->ping_interval.count() > 0;
    const bool idles = how_.idle_timeout.count() > 0;
    if (!pings && !idles) {
        return;
    }
    Tick when = now + 1;  // overslept: looked at once more
    for (const Tick look : {last_passed_ + to_ticks(how_.idle_timeout), idle_middle()}) {
        when = net::before(now, look) ? look : when;
    }
    if (pings) {
        const Tick look = liveness_.next_look(now, to_ticks(options_->ping_interval),
                                              to_ticks(options_->pong_timeout));
        when = !idles || net::before(look, when) ? look : when;
    }
    loop_.reactor().set_time(*this, when);
}

/// Pings a client that is quiet, and ends the tunnel of one that has gone.
void Tunnel::keep_alive(Tick now) noexcept {
    if (!reads(client_) && client_.kept() == 0) {
        // What the client has sent meanwhile is unread, and it has taken all that was sent to it.
        liveness_.excuse(now);
    }
    const Tick interval = to_ticks(options_->ping_interval);
    if (liveness_.overdue(now, to_ticks(options_->pong_timeout))) {
        judge_silence(now);
    }
    if (dead_ || state_ != State::open || !liveness_.silent(now, interval) ||
        liveness_.awaits_pong() || !frames_->to_client.at_boundary()) {
        return;
    }
    liveness_.begin_ping(now, client_.delivery());
    guarded([this] {
        const protocol::EncodedHeader header(Opcode::ping, kPingPayload.size());
        const std::array pieces{base::to_iovec(header.bytes()), base::to_iovec(kPingPayload)};
        frames_->to_backend.expect_pong(kPingPayload);
        client_.write(pieces);
    });
    loop_.mark_dirty(*this);
}

void Tunnel::judge_silence(Tick now) noexcept {
    if (overslept(now, deadline)) {
        liveness_.prolong(now);
        return;
    }
    // epoll may not have told of what the client has sent: others were in front of it.
    guarded([this] {
        for (unsigned i = 0; i < kMaxReadsALook && reads(client_) && read(client_); ++i) {
        }
    });
    loop_.mark_dirty(*this);
    if (liveness_.takes(client_.delivery())) {
        liveness_.note(now, true);
    }
    if (!dead_ && liveness_.awaits_pong() && state_ == State::open) {
        begin_close(CloseCode::going_away, "no sign of life after a Ping");
    }
}

}  // namespace websocket::engine
