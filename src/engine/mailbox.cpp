// SPDX-License-Identifier: Apache-2.0
#include "engine/mailbox.hpp"

#include <sys/eventfd.h>

#include <cerrno>
#include <system_error>

#include "engine/connection.hpp"

namespace websocket::engine {

Command::Command(Kind what, ConnectionId whom, SharedFrame content) noexcept
    : kind(what), id(whom), frame(std::move(content)) {}
Command::Command(Kind what, GroupId where, ConnectionId whom, SharedFrame content) noexcept
    : kind(what), id(whom), group(where), frame(std::move(content)) {}
Command::Command(std::unique_ptr<Connection> newcomer) noexcept
    : kind(Kind::adopt), id(newcomer->id()), connection(std::move(newcomer)) {}
Command::Command(ConnectionId whom, std::unique_ptr<LoopTask> work) noexcept
    : kind(Kind::call), id(whom), task(std::move(work)) {}
Command::Command(Command&&) noexcept = default;
Command& Command::operator=(Command&&) noexcept = default;
Command::~Command() = default;

Mailbox::Mailbox() : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (!event_.valid()) {
        throw std::system_error(errno, std::generic_category(), "eventfd");
    }
}

bool Mailbox::post(Command&& command) {
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) {
            return false;
        }
        first = commands_.empty();
        commands_.push_back(std::move(command));
    }
    if (first) {
        wake();
    }
    return true;
}

void Mailbox::wake() const noexcept {
    const std::uint64_t one = 1;
    // Fails only when the counter is full, and then the descriptor is readable anyway.
    static_cast<void>(!::write(event_.get(), &one, sizeof one));
}

void Mailbox::take(std::vector<Command>& batch) noexcept {
    std::uint64_t count = 0;
    static_cast<void>(!::read(event_.get(), &count, sizeof count));
    const std::lock_guard lock(mutex_);
    commands_.swap(batch);
}

bool Mailbox::close_if_empty() noexcept {
    const std::lock_guard lock(mutex_);
    closed_ = closed_ || commands_.empty();
    return closed_;
}

}  // namespace websocket::engine
