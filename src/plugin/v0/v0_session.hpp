// SPDX-License-Identifier: Apache-2.0
// A connection as a plugin of ABI version 0 sees it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "engine/session.hpp"
#include "plugin/common/endpoint.hpp"
#include "plugin/common/request.hpp"
#include "plugin/common/serial_queue.hpp"
#include "websocket_plugin.h"

namespace websocket::plugin {

/// Adapter between the engine and WebSocketPlugin callbacks. Made before the 101; the engine owns
/// it until on_close(), then it owns itself until on_disconnect has returned.
class V0Session final : public engine::Session, private SerialQueue {
public:
    enum class Connected : std::uint8_t {
        accepted,
        refused,  ///< on_connect returned NULL
        failed,   ///< on_connect threw
    };

    V0Session(Host& host, const Endpoint& endpoint, engine::ConnectionId id,
              std::unique_ptr<Request> request) noexcept;
    ~V0Session() override;

    /// Calls on_connect. Unless it accepted, nothing but the destructor is called after this.
    /// [httpd worker]
    [[nodiscard]] Connected connect() noexcept;

    void on_open() noexcept override;
    [[nodiscard]] bool keeps_messages() const noexcept override {
        return endpoint().session.dispatch == Dispatch::pool && SerialQueue::keeps_messages();
    }
    engine::Flow on_message(engine::Message message) override;
    void on_writable() override { unpark(); }
    [[nodiscard]] bool drained() noexcept override;
    void on_close(const engine::CloseInfo& info) noexcept override;

    // What a WebSocketServer can do.
    [[nodiscard]] Request& request() noexcept { return *request_; }
    [[nodiscard]] std::size_t
    send(int type,
         std::span<const std::uint8_t> payload) noexcept;        ///< [any thread]
    void close(std::span<const std::uint8_t> payload) noexcept;  ///< [any thread]

    [[nodiscard]] static V0Session* of(const WebSocketServer* server) noexcept;

private:
    enum class Phase : std::uint32_t { connecting, open, over };
    struct EarlyFrame {
        protocol::Opcode opcode;
        std::vector<std::uint8_t> payload;
    };
    /// What on_connect sent on its own thread, which cannot wait; it follows the 101.
    struct Early {
        std::thread::id connecting_thread;
        std::vector<EarlyFrame> frames;
        std::size_t bytes = 0;
        bool closed = false;  ///< a Close is the last frame
    };
    enum class Kept : std::uint8_t { yes, refused, not_yet, too_late };

    [[nodiscard]] bool has_room() noexcept override;
    void handle(QueuedMessage& message) noexcept override;
    void break_off() noexcept override;
    void handle_end() noexcept override;
    void remove() noexcept override { delete this; }
    void call_on_message(protocol::MessageType type, std::span<std::uint8_t> payload);
    void report_exception(const char* callback) noexcept;

    [[nodiscard]] Kept keep_early(protocol::Opcode opcode, std::span<const std::uint8_t> payload);
    [[nodiscard]] bool send_before_open(protocol::Opcode opcode,
                                        std::span<const std::uint8_t> payload, bool& sent);
    bool begin_close(std::span<const std::uint8_t> payload) noexcept;
    [[nodiscard]] bool transmit(protocol::Opcode opcode, std::span<const std::uint8_t> payload);
    void await_room(std::chrono::steady_clock::time_point& deadline);
    void give_up() noexcept;
    void enter(Phase phase) noexcept;
    [[nodiscard]] std::mutex& early_mutex() const noexcept;

    WebSocketServer server_;
    std::unique_ptr<Request> request_;
    void* private_ = nullptr;       // the plugin's
    std::unique_ptr<Early> early_;  // while connecting; guarded by early_mutex()
    std::atomic<Phase> phase_{Phase::connecting};
    static constexpr std::uint32_t kFailed = std::uint32_t{1} << 31;
    std::atomic<std::uint32_t> senders_{0};  // threads inside send(); kFailed: a callback threw
};

// One byte more, and malloc takes 16 more for each connection.
static_assert(sizeof(V0Session) <= 200);

}  // namespace websocket::plugin
