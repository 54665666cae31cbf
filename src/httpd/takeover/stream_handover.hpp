// SPDX-License-Identifier: Apache-2.0
// A client's connection that becomes an event stream.
#pragma once

#include <httpd.h>

#include <memory>

#include "engine/engine.hpp"
#include "engine/event_stream.hpp"
#include "httpd/takeover/handover.hpp"

namespace websocket::httpd {

class StreamHandover final : public Successor {
public:
    using Place = engine::Engine::PlaceOf<engine::EventStream>;

    StreamHandover(engine::Engine& engine, Place reserved, base::Descriptor socket,
                   const engine::ConnectionOptions& options) noexcept
        : place(std::move(reserved)), taken{.socket = std::move(socket)}, engine_(engine),
          options_(options) {}

    void take_over(conn_rec* c) noexcept override;
    /// It comes to nothing: tells the session. [httpd worker]
    void give_up() noexcept;

    Place place;
    std::unique_ptr<engine::Session> session;
    TakenConnection taken;
    engine::EventStreamOptions how;

private:
    engine::Engine& engine_;
    const engine::ConnectionOptions& options_;
};

/// The head of the response is out, and nothing of the body: takes the connection when httpd destroys it. What
/// the client has sent behind its request is nobody's. Returns what the handler has to return. [httpd worker]
[[nodiscard]] int hand_over_stream(request_rec* r, std::unique_ptr<StreamHandover> handover);

}  // namespace websocket::httpd
