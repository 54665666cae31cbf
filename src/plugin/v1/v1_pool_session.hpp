// SPDX-License-Identifier: Apache-2.0
// A connection of a plugin of ABI version 1 whose callbacks may block: they run in the pool.
#pragma once

#include "plugin/common/serial_queue.hpp"
#include "plugin/v1/v1_session.hpp"

namespace websocket::plugin {

/// After a callback has thrown, no more messages are handed to the plugin.
class V1PoolSession final : public V1Session, private SerialQueue {
public:
    V1PoolSession(V1Instance& instance, engine::ConnectionId id) noexcept
        : V1Session(instance, id), SerialQueue(instance.host(), instance.endpoint(), id) {}

    void on_open() noexcept override { push_open(); }
    [[nodiscard]] bool keeps_messages() const noexcept override {
        return SerialQueue::keeps_messages();
    }
    engine::Flow on_message(engine::Message message) override;
    engine::Flow on_part(engine::MessagePart part) override;
    engine::Flow on_pong(std::span<const std::uint8_t> payload) override;
    void on_writable() override { push_writable(); }
    [[nodiscard]] bool drained() noexcept override { return SerialQueue::drained(); }
    void on_close(const engine::CloseInfo& info) noexcept override;

    void call(const V1Call::Ref& call, std::uint32_t events) noexcept override;

private:
    void handle(QueuedMessage& message) noexcept override;
    void break_off() noexcept override { failed_ = true; }
    void handle_open() noexcept override { call_on_open(); }
    void handle_writable() noexcept override;
    void handle_end() noexcept override;
    void remove() noexcept override { delete this; }

    engine::CloseInfo close_info_{};
    bool failed_ = false;  // a callback threw; the pool's
};

}  // namespace websocket::plugin
