// SPDX-License-Identifier: Apache-2.0
// What the threads of libnats, and the one that uses it, tell the loop.
#pragma once

#include <nats/nats.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/wake_event.hpp"
#include "net/inbox.hpp"

namespace websocket::bridge {

struct DestroyNatsMessage {
    void operator()(natsMsg* message) const noexcept { ::natsMsg_Destroy(message); }
};
using NatsMessage = std::unique_ptr<natsMsg, DestroyNatsMessage>;

/// About a connection, which has a number; what is left of an earlier one comes too late and is of no use.
struct NatsEvent {
    enum class Type : std::uint8_t {
        up,         ///< `text` says where, `most` how large a message may be
        confirmed,  ///< the server has `count` more messages, and has refused `refused`
        denied,     ///< `text`: the user may not do something
        ended,      ///< `text` says why; or it was never there
    };
    Type type = Type::ended;
    std::uint64_t connection = 0;
    std::string text;
    std::size_t most = 0;
    std::size_t count = 0;
    std::size_t refused = 0;
    std::size_t bytes = 0;  ///< of all that is not waiting any more
};

/// Callbacks of libnats may still run when their connection is gone, and there is no telling when the last one has
/// returned. So this is made for a process, and never destroyed.
class NatsEvents {
public:
    /// `most` bytes of messages may wait. Throws std::system_error without a descriptor.
    [[nodiscard]] static NatsEvents& make(std::size_t most);
    NatsEvents(const NatsEvents&) = delete;
    NatsEvents& operator=(const NatsEvents&) = delete;

    /// Readable when something is there. The reactor tells it once.
    [[nodiscard]] int descriptor() const noexcept { return wake_.descriptor(); }

    /// Without memory for it, the next take says so. [any thread]
    void post(NatsEvent event) noexcept;
    /// What is too much is missed. [any thread]
    void post(NatsMessage message) noexcept;
    void note_missed() noexcept;

    void take(std::vector<NatsEvent>& batch) noexcept { events_.take(batch); }
    void take(std::vector<NatsMessage>& batch) noexcept { messages_.take(batch); }
    /// Whether messages were missed since this was asked.
    [[nodiscard]] bool take_missed() noexcept { return missed_.exchange(false); }
    /// Whether events were lost because memory ran out.
    [[nodiscard]] bool take_lost() noexcept { return lost_.exchange(false); }
    /// Nothing more is kept.
    void close() noexcept;

private:
    explicit NatsEvents(std::size_t most) : events_(wake_), messages_(wake_, most) {}

    const base::WakeEvent wake_;
    net::Inbox<NatsEvent, base::WakeEvent> events_;
    net::Inbox<NatsMessage, base::WakeEvent> messages_;
    std::atomic<bool> missed_{false};
    std::atomic<bool> lost_{false};
    NatsEvents* earlier_ = nullptr;  ///< made before this one
};

}  // namespace websocket::bridge
