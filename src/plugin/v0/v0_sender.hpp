// SPDX-License-Identifier: Apache-2.0
// Whom a thread serves that sends with the interface of version 0. For a client that does not read, a
// thread that serves this client alone may wait as long as it takes: it holds up nobody else.
#pragma once

#include "engine/connection_id.hpp"

namespace websocket::plugin {

class V0Session;

/// What is known of the calling thread. [any thread]
class V0Sender {
public:
    /// While it lives, the thread is in a callback of this session.
    class Callback {
    public:
        explicit Callback(const V0Session& session) noexcept;
        ~Callback();
        Callback(const Callback&) = delete;
        Callback& operator=(const Callback&) = delete;

    private:
        const V0Session* const outer_;
    };

    /// The thread sends to this client. Outside of callbacks it is one of the plugin's own: one that
    /// was started for a client, or one that serves several, which shows with the second.
    static void note(engine::ConnectionId client) noexcept;

    [[nodiscard]] static bool in_callback_of(const V0Session& session) noexcept;

    /// Whether others wait, too, when the thread waits for this session's client.
    [[nodiscard]] static bool holds_up_others(const V0Session& session) noexcept;
};

}  // namespace websocket::plugin
