// SPDX-License-Identifier: Apache-2.0
#include "engine/command.hpp"

#include "engine/channel.hpp"

namespace websocket::engine {

Command::Command(Kind what, ConnectionId whom, SharedFrame content) noexcept
    : kind(what), id(whom), frame(std::move(content)) {}
Command::Command(Kind what, GroupId where, ConnectionId whom, SharedFrame content) noexcept
    : kind(what), id(whom), group(where), frame(std::move(content)) {}
Command::Command(std::unique_ptr<Channel> newcomer) noexcept
    : kind(Kind::adopt), id(newcomer->id()), channel(std::move(newcomer)) {}
Command::Command(ConnectionId whom, std::unique_ptr<LoopTask> work) noexcept
    : kind(Kind::call), id(whom), task(std::move(work)) {}
Command::Command(Command&&) noexcept = default;
Command& Command::operator=(Command&&) noexcept = default;
Command::~Command() = default;

}  // namespace websocket::engine
