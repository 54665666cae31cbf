// SPDX-License-Identifier: Apache-2.0
// A client that probably wants a place in the engine of this child, and has one before its handshake is read.
#pragma once

#include <httpd.h>

#include <cstdint>
#include <optional>

#include "engine/engine.hpp"

namespace websocket::httpd {

/// So that two handshakes that arrive at the same time do not both count on the last place. What nobody has
/// used goes back to the engine before another response begins, or with the request.
class Arrival {
public:
    using Place = engine::Engine::Place;

    /// Connections for which there are descriptors beside those up to `socket`, the newest one. [any thread]
    [[nodiscard]] static std::uint32_t places_beyond(int socket) noexcept;
    /// Tells siblings how many places this child has. False when all are taken. [any thread]
    static bool measure() noexcept;
    /// A place; nothing when all are taken. `socket` is the client's, the newest descriptor.
    /// [httpd worker, doorkeeper]
    [[nodiscard]] static std::optional<Place> reserve(engine::Engine& engine, int socket) noexcept;
    /// The place is for this client. [httpd worker]
    static void attach(conn_rec* c, Place place) noexcept;
    /// The place of the request's client, if there is one. [httpd worker]
    [[nodiscard]] static std::optional<Place> take(const request_rec* r) noexcept;
    /// The client wants something else, or gets it. [httpd]
    static void give_back(conn_rec* c) noexcept;
};

}  // namespace websocket::httpd
