// SPDX-License-Identifier: Apache-2.0
#include "plugin/v1/v1_pool_session.hpp"

#include <new>
#include <utility>

#include "plugin/v1/call_queue.hpp"

namespace websocket::plugin {

engine::Flow V1PoolSession::on_message(engine::Message message) { return push(message); }

engine::Flow V1PoolSession::on_part(engine::MessagePart part) {
    QueuedMessage::Owner queued = QueuedMessage::make(QueuedMessage::Kind::part, part.payload);
    queued->type = part.type;
    queued->first = part.first;
    queued->last = part.last;
    return push(std::move(queued));
}

engine::Flow V1PoolSession::on_pong(std::span<const std::uint8_t> payload) {
    return instance().plugin().on_pong != nullptr
               ? push(QueuedMessage::make(QueuedMessage::Kind::pong, payload))
               : engine::Flow::more;
}

void V1PoolSession::on_close(const engine::CloseInfo& info) noexcept {
    close_info_ = info;
    push_end();
}

void V1PoolSession::call(const V1Call::Ref& call, std::uint32_t events) noexcept {
    try {
        QueuedMessage::Owner queued = QueuedMessage::make(QueuedMessage::Kind::call, {});
        queued->call = call;
        queued->events = events;
        static_cast<void>(push(std::move(queued)));
    } catch (const std::bad_alloc&) {
        leave_out(host(), *call);
    }
}

void V1PoolSession::handle(QueuedMessage& message) noexcept {
    if (message.kind == QueuedMessage::Kind::call) {
        run_in_pool(host(), *message.call, message.events);
        return;
    }
    if (failed_) {
        return;
    }
    try {
        switch (message.kind) {
            case QueuedMessage::Kind::message:
                call_on_message(message.type, message.payload);
                break;
            case QueuedMessage::Kind::part:
                call_on_fragment({message.type, message.first, message.last, message.payload});
                break;
            case QueuedMessage::Kind::pong: call_on_pong(message.payload); break;
            case QueuedMessage::Kind::call: break;
        }
    } catch (...) {
        failed_ = true;
        report("a callback");
    }
}

void V1PoolSession::handle_writable() noexcept {
    try {
        call_on_writable();
    } catch (...) {
        report("on_writable");
    }
}

void V1PoolSession::handle_end() noexcept { call_on_close(close_info_); }

}  // namespace websocket::plugin
