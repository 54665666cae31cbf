// SPDX-License-Identifier: Apache-2.0
// A connection of a plugin of ABI version 1 whose callbacks never block: they run on the loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/session.hpp"
#include "plugin/common/request.hpp"
#include "plugin/v1/v1_call.hpp"
#include "plugin/v1/v1_instance.hpp"

namespace websocket::plugin {

/// Nothing is queued, copied or allocated for a message. Idle connections are many, so this is small.
class V1Session : public engine::Session {
public:
    V1Session(V1Instance& instance, engine::ConnectionId id) noexcept;
    ~V1Session() override;

    /// A session of the kind that the plugin wants. Throws std::bad_alloc.
    [[nodiscard]] static std::unique_ptr<V1Session> make(V1Instance& instance,
                                                         engine::ConnectionId id);

    /// Calls on_upgrade. 0 when it accepts, else the status to refuse with; then nothing but the
    /// destructor is called. Keeps `request`, which may be null unless V1Instance::asks_for_request(), if the
    /// plugin wants that. Throws std::bad_alloc before
    /// the plugin is asked. [httpd worker]
    [[nodiscard]] std::uint32_t upgrade(std::unique_ptr<Request>& request);

    void on_open() noexcept override;
    engine::Flow on_message(engine::Message message) override;
    engine::Flow on_part(engine::MessagePart part) override;
    engine::Flow on_pong(std::span<const std::uint8_t> payload) override;
    void on_writable() override;
    void on_close_reason(std::string_view reason) noexcept override;
    void on_close(const engine::CloseInfo& info) noexcept override;

    /// Has a call run on the connection's thread: now. [loop]
    virtual void call(const V1Call::Ref& call, std::uint32_t events) noexcept;

protected:
    [[nodiscard]] V1Instance& instance() const noexcept { return instance_; }

    // The callbacks; what they throw passes, unless noexcept. [conn]
    void call_on_open() noexcept;
    void call_on_message(protocol::MessageType type, std::span<std::uint8_t> payload);
    void call_on_fragment(const engine::MessagePart& part);
    void call_on_pong(std::span<const std::uint8_t> payload);
    void call_on_writable();
    void call_on_close(const engine::CloseInfo& info) noexcept;
    void report(const char* where) noexcept { instance_.report_exception(where, id_); }

private:
    /// What few connections need.
    struct Extra {
        std::unique_ptr<Request> request;  ///< kept for the plugin
        std::string close_reason;
    };

    V1Instance& instance_;
    const engine::ConnectionId id_;
    void* state_ = nullptr;  // the plugin's
    std::unique_ptr<Extra> extra_;
};

static_assert(sizeof(V1Session) <= 40);

}  // namespace websocket::plugin
