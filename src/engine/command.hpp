// SPDX-License-Identifier: Apache-2.0
// What other threads ask of a loop.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/connection_id.hpp"
#include "engine/groups.hpp"
#include "engine/loop_task.hpp"
#include "engine/shared_frame.hpp"

namespace websocket::engine {

class Channel;

/// One request to a loop. Requests of one thread are carried out in order.
struct Command {
    enum class Kind : std::uint8_t {
        adopt,  ///< serve `channel`
        send,   ///< write `frame`; its bytes are counted in the gate already
        messages,  ///< the same of whole messages, to which others may be added: nobody else has `frame`
        deflate,  ///< the same, but compress its message first
        close,    ///< write `frame`, a Close; the gate is closed already
        resume,   ///< the session can take messages again
        call,     ///< run `task`, also when the connection is gone
        join,     ///< become a member of `group`
        leave,    ///< leave `group`
        leave_all,
        broadcast,  ///< write `frame` to the members of `group`, `id` excepted
    };
    Kind kind;
    ConnectionId id;
    GroupId group = 0;
    std::uint32_t count = 1;  ///< of messages in `frame`
    SharedFrame frame;
    std::unique_ptr<Channel> channel;
    std::unique_ptr<LoopTask> task;

    Command(Kind what, ConnectionId whom, SharedFrame content = {}) noexcept;
    Command(Kind what, GroupId where, ConnectionId whom, SharedFrame content = {}) noexcept;
    explicit Command(std::unique_ptr<Channel> newcomer) noexcept;
    Command(ConnectionId whom, std::unique_ptr<LoopTask> work) noexcept;
    Command(Command&&) noexcept;
    Command& operator=(Command&&) noexcept;
    ~Command();
};

}  // namespace websocket::engine
