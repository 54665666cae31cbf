// SPDX-License-Identifier: Apache-2.0
#include "plugin/v1/v1_listener.hpp"

#include <new>
#include <span>

#include "plugin/v1/v1_delivery.hpp"

namespace websocket::plugin {

namespace {

/// Memory that a message takes besides its bytes, which others may share.
constexpr std::size_t kMessageCost = 64;

/// Of a frame as a server writes it: without a mask.
std::span<const std::uint8_t> payload_of(const engine::SharedFrame& frame) noexcept {
    constexpr std::uint8_t kLength = 0x7F;
    constexpr std::size_t kShort = 2;
    const auto bytes = frame.bytes();
    const unsigned length = bytes[1] & kLength;
    return bytes.subspan(length == 126 ? kShort + 2 : length == 127 ? kShort + 8 : kShort);
}

}  // namespace

V1Listener::V1Listener(V1Instance& instance, std::string_view topic, const Functions& functions)
    : instance_(instance),
      scope_(functions.scope.empty() ? std::string_view(instance.endpoint().topics.scope)
                                     : functions.scope),
      topic_(topic), functions_(functions) {
    instance_.enter();
}

V1Listener::~V1Listener() {
    if (functions_.done != nullptr) {
        try {
            functions_.done(functions_.data);
        } catch (...) {
            instance_.report_exception("a done function", {});
        }
    }
    instance_.leave();
}

hub::TopicResult V1Listener::begin() noexcept {
    return instance_.host().topics->listen(scope_, topic_, shared_from_this(),
                                           &instance_.topic_quota());
}

void V1Listener::end() noexcept {
    ended_.store(true);
    instance_.host().topics->ignore(scope_, topic_, *this);
}

void V1Listener::stand_for(std::uint32_t subscribers) noexcept {
    instance_.host().topics->stand_for(scope_, topic_, *this, subscribers);
}

bool V1Listener::take(const engine::SharedFrame& frame) noexcept {
    const std::lock_guard lock(mutex_);
    if (ended_.load()) {
        return true;
    }
    if (bytes_ >= instance_.host().listener_buffer) {
        return false;
    }
    try {
        waiting_.push_back(frame);
    } catch (const std::bad_alloc&) {
        return false;
    }
    bytes_ += frame.bytes().size() + kMessageCost;
    if (!scheduled_) {
        const ws_result result = schedule();
        scheduled_ = result == WS_OK;
        if (!scheduled_) {
            waiting_.clear();
            bytes_ = 0;
            return result == WS_GONE;  // then nobody misses it
        }
    }
    return true;
}

ws_result V1Listener::schedule() noexcept {
    using Self = std::shared_ptr<V1Listener>;
    try {
        auto self = std::make_unique<Self>(shared_from_this());
        const V1Call::Ref call =
            V1Call::make(instance_, {}, 0,
                         {[](void* data) { (*static_cast<Self*>(data))->deliver(); }, nullptr,
                          [](void* data) { delete static_cast<Self*>(data); }, self.get()});
        static_cast<void>(self.release());
        return post_to_loop(instance_.host().engine, instance_.home(),
                            [call](engine::Loop& loop, engine::Channel*) noexcept {
                                plugin::deliver(loop, call, 0);
                            });
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
}

/// All that is there: what is posted after a message of another thread has come is run after it.
void V1Listener::deliver() noexcept {
    std::deque<engine::SharedFrame> batch;
    {
        const std::lock_guard lock(mutex_);
        batch.swap(waiting_);
        bytes_ = 0;
        scheduled_ = false;
    }
    for (const engine::SharedFrame& frame : batch) {
        if (ended_.load()) {
            return;
        }
        const std::span<const std::uint8_t> payload = payload_of(frame);
        const bool text = (frame.bytes().front() & protocol::kOpcodeBits) ==
                          static_cast<std::uint8_t>(protocol::Opcode::text);
        try {
            call(text ? WS_TEXT : WS_BINARY, payload, frame);
        } catch (...) {
            instance_.report_exception("a listener of a topic", {});
        }
    }
}

void V1Listener::call(std::uint32_t type, std::span<const std::uint8_t> payload,
                      const engine::SharedFrame& frame) {
    if (functions_.remembered == nullptr) {
        functions_.message(functions_.data, type, payload.data(), payload.size());
        return;
    }
    const hub::Position position = hub::position_of(frame);
    const ws_position at{position.epoch, position.offset};
    functions_.remembered(functions_.data, type, payload.data(), payload.size(),
                          position ? &at : nullptr);
}

}  // namespace websocket::plugin
