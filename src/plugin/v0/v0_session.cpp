// SPDX-License-Identifier: Apache-2.0
#include "plugin/v0/v0_session.hpp"

#include <array>
#include <exception>
#include <new>

#include "plugin/common/outgoing_text.hpp"
#include "plugin/v0/v0_sender.hpp"
#include "plugin/v0/v0_server.hpp"
#include "protocol/close_code.hpp"

namespace websocket::plugin {

using engine::SendResult;
using protocol::MessageType;
using protocol::Opcode;

namespace {

constexpr int v0_type(MessageType type) {
    return type == MessageType::text ? MESSAGE_TYPE_TEXT : MESSAGE_TYPE_BINARY;
}

/// Whatever is no type of message closes.
constexpr Opcode v0_opcode(int type) {
    switch (type) {
        case MESSAGE_TYPE_TEXT: return Opcode::text;
        case MESSAGE_TYPE_BINARY: return Opcode::binary;
        case MESSAGE_TYPE_PING: return Opcode::ping;
        case MESSAGE_TYPE_PONG: return Opcode::pong;
        default: return Opcode::close;
    }
}

bool has_valid_reason(std::span<const std::uint8_t> payload) {
    return payload.size() <= 2 || protocol::is_utf8(payload.subspan(2));
}

/// What goes on the wire for a plugin's Close payload: never what may not be sent.
protocol::ClosePayload sanitised(std::span<const std::uint8_t> payload) {
    if (payload.size() < 2) {
        return {};
    }
    const std::uint16_t code = protocol::close_code_of(payload);
    if (protocol::is_prohibited(code)) {
        return {};
    }
    if (!has_valid_reason(payload)) {
        return {code, {}};
    }
    return {code, {reinterpret_cast<const char*>(payload.data()) + 2, payload.size() - 2}};
}

}  // namespace

V0Session::V0Session(Host& host, const Endpoint& endpoint, engine::ConnectionId id,
                     std::unique_ptr<Request> request) noexcept
    : SerialQueue(host, endpoint, id), server_(make_v0_server(*this)),
      request_(std::move(request)) {
    host.sessions.fetch_add(1);
}

V0Session::~V0Session() {
    // Senders that were waiting have been woken when the phase was entered that led here; they are
    // about to leave.
    while ((senders_.load() & ~kFailed) != 0) {
        std::this_thread::yield();
    }
    request_.reset();  // may run cleanups of the plugin: the session still counts
    host().sessions.fetch_sub(1);
}

// --- callbacks -----------------------------------------------------------------------------------

V0Session::Connected V0Session::connect() noexcept {
    auto connected = Connected::accepted;
    const V0Sender::Callback here(*this);
    try {
        early_ = std::make_unique<Early>();
        early_->connecting_thread = std::this_thread::get_id();
        if (endpoint().callbacks->on_connect != nullptr) {
            private_ = endpoint().callbacks->on_connect(&server_);
            connected = private_ != nullptr ? Connected::accepted : Connected::refused;
        }
    } catch (...) {
        report_exception("on_connect");
        connected = Connected::failed;
    }
    if (connected != Connected::accepted) {
        enter(Phase::over);
    }
    return connected;
}

void V0Session::on_open() noexcept {
    {
        const std::lock_guard lock(early_mutex());
        for (const EarlyFrame& frame : early_->frames) {
            if (frame.opcode == Opcode::close) {
                begin_close(frame.payload);
            } else {
                static_cast<void>(host().engine.send(id(), frame.opcode, frame.payload,
                                                     endpoint().connection.send_buffer));
            }
        }
        early_.reset();
        phase_.store(Phase::open);
    }
    phase_.notify_all();
}

engine::Flow V0Session::on_message(engine::Message message) {
    if (endpoint().session.dispatch == Dispatch::inline_) {
        call_on_message(message.type, message.payload);
        return engine::Flow::more;
    }
    return push(message);
}

bool V0Session::drained() noexcept {
    if (endpoint().session.dispatch == Dispatch::inline_) {
        return true;
    }
    unpark();  // if the gate has been closed meanwhile, nobody waits for room any more
    return SerialQueue::drained();
}

void V0Session::on_close(const engine::CloseInfo& /*info*/) noexcept {
    enter(Phase::over);
    unpark();  // the end is not queued yet, so this is still there afterwards
    if (endpoint().session.dispatch == Dispatch::inline_ &&
        endpoint().callbacks->on_disconnect == nullptr) {
        delete this;
        return;
    }
    // Also with Inline: on_disconnect commonly joins threads.
    push_end();
}

/// With Block, an answer would hold a thread of the pool.
bool V0Session::has_room() noexcept {
    return endpoint().session.slow_consumer != SlowConsumer::block ||
           host().engine.queued(id()).value_or(0) < endpoint().connection.send_buffer;
}

void V0Session::handle(QueuedMessage& message) noexcept {
    const V0Sender::Callback here(*this);
    try {
        call_on_message(message.type, message.payload);
    } catch (...) {
        report_exception("on_message");
    }
}

void V0Session::call_on_message(MessageType type, std::span<std::uint8_t> payload) {
    if ((senders_.load(std::memory_order_relaxed) & kFailed) != 0) {
        return;
    }
    static std::uint8_t nothing = 0;  // an empty payload has an address, too
    std::uint8_t* bytes = payload.empty() ? &nothing : payload.data();
    endpoint().callbacks->on_message(private_, &server_, v0_type(type), bytes, payload.size());
}

void V0Session::handle_end() noexcept {
    const V0Sender::Callback here(*this);
    if (endpoint().callbacks->on_disconnect != nullptr) {
        try {
            endpoint().callbacks->on_disconnect(private_, &server_);
        } catch (...) {
            report_exception("on_disconnect");
        }
    }
}

void V0Session::break_off() noexcept { senders_.fetch_or(kFailed); }

void V0Session::report_exception(const char* callback) noexcept {
    const base::ExceptionText exception;
    host().log.print(base::LogLevel::error, "WS0403: plugin threw in %s%s%s", callback,
                     exception.separator, exception.text);
    break_off();
    host().engine.close(
        id(), protocol::ClosePayload(protocol::CloseCode::internal_error, "plugin failed"));
}

// --- what the plugin calls -----------------------------------------------------------------------

V0Session* V0Session::of(const WebSocketServer* server) noexcept {
    return server != nullptr ? reinterpret_cast<V0Session*>(server->state) : nullptr;
}

std::size_t V0Session::send(int type, std::span<const std::uint8_t> payload) noexcept {
    // Only senders that may wait have to be counted: a loop never does, and the session outlives its own callbacks.
    struct Inside {
        std::atomic<std::uint32_t>* senders;
        explicit Inside(std::atomic<std::uint32_t>* count) : senders(count) {
            if (senders != nullptr) {
                senders->fetch_add(1);
            }
        }
        ~Inside() {
            if (senders != nullptr) {
                senders->fetch_sub(1);  // the session may be gone from here on
            }
        }
        Inside(const Inside&) = delete;
        Inside& operator=(const Inside&) = delete;
    };
    const bool may_wait = !engine::Engine::on_loop();
    const Inside inside(may_wait && !V0Sender::in_callback_of(*this) ? &senders_ : nullptr);
    const Opcode opcode = v0_opcode(type);
    if (opcode == Opcode::text && !may_leave(host(), endpoint(), payload)) {
        return 0;
    }
    if (may_wait) {
        V0Sender::note(id());
    }
    try {
        return transmit(opcode, payload) ? payload.size() : 0;
    } catch (const std::bad_alloc&) {
        return 0;
    }
}

void V0Session::close(std::span<const std::uint8_t> payload) noexcept {
    static_cast<void>(send(MESSAGE_TYPE_CLOSE, payload));
}

bool V0Session::transmit(Opcode opcode, std::span<const std::uint8_t> payload) {
    bool sent = false;
    if (phase_.load() != Phase::open && send_before_open(opcode, payload, sent)) {
        return sent;
    }
    if (opcode == Opcode::close) {
        return begin_close(payload);
    }
    const std::size_t high_water = endpoint().connection.send_buffer;
    const SlowConsumer slow_consumer = endpoint().session.slow_consumer;
    auto deadline = PoolWait::kNever;
    for (;;) {
        const SendResult result = host().engine.send(id(), opcode, payload, high_water);
        if (result != SendResult::full) {
            return result == SendResult::ok;
        }
        if (slow_consumer == SlowConsumer::close) {
            give_up();
            return false;
        }
        if (slow_consumer == SlowConsumer::drop || engine::Engine::on_loop()) {
            return false;
        }
        await_room(deadline);
    }
}

/// Until there is room or the client closes: one that takes too long is made to.
void V0Session::await_room(std::chrono::steady_clock::time_point& deadline) {
    const auto timeout = endpoint().session.send_timeout;
    if (deadline == PoolWait::kNever && timeout.count() > 0 && V0Sender::holds_up_others(*this)) {
        deadline = std::chrono::steady_clock::now() + timeout;
    }
    const PoolWait wait(
        host().pool, host().pool.lane(endpoint().place), deadline,
        [](void* self) noexcept { static_cast<V0Session*>(self)->give_up(); }, this);
    host().engine.wait_for_room(id(), endpoint().connection.send_buffer / 2);
}

void V0Session::give_up() noexcept { host().engine.close(id(), engine::too_slow()); }

bool V0Session::begin_close(std::span<const std::uint8_t> payload) noexcept {
    if (!has_valid_reason(payload)) {
        report_invalid_text(host(), endpoint(),
                            "a Close was sent without its reason, which is not UTF-8");
    }
    const bool began = host().engine.close(id(), sanitised(payload));
    unpark();
    return began;
}

/// True when the frame's fate is settled in `sent`, false when the session is open by now.
bool V0Session::send_before_open(Opcode opcode, std::span<const std::uint8_t> payload, bool& sent) {
    for (;;) {
        const Kept kept = keep_early(opcode, payload);
        sent = kept == Kept::yes;
        if (sent || kept == Kept::refused) {
            return true;
        }
        if (kept == Kept::too_late) {
            return phase_.load() == Phase::over;
        }
        phase_.wait(Phase::connecting);
    }
}

V0Session::Kept V0Session::keep_early(Opcode opcode, std::span<const std::uint8_t> payload) {
    const std::lock_guard lock(early_mutex());
    if (phase_.load() != Phase::connecting) {
        return Kept::too_late;
    }
    const bool control = opcode == Opcode::ping || opcode == Opcode::pong;
    if (early_->closed || (control && payload.size() > protocol::kMaxControlPayload)) {
        return Kept::refused;
    }
    if (early_->connecting_thread != std::this_thread::get_id()) {
        return Kept::not_yet;
    }
    if (early_->bytes >= endpoint().connection.send_buffer) {
        return Kept::refused;  // on_connect cannot wait for what happens after it
    }
    early_->frames.push_back({opcode, {payload.begin(), payload.end()}});
    early_->bytes += sizeof(EarlyFrame) + payload.size();
    early_->closed = opcode == Opcode::close;
    return Kept::yes;
}

void V0Session::enter(Phase phase) noexcept {
    {
        const std::lock_guard lock(early_mutex());
        early_.reset();
        phase_.store(phase);
    }
    phase_.notify_all();
}

/// Held for moments, once or twice in a connection's life: one for many sessions will do.
std::mutex& V0Session::early_mutex() const noexcept {
    static std::array<std::mutex, 16> mutexes;
    return mutexes[id().slot() % mutexes.size()];
}

}  // namespace websocket::plugin
