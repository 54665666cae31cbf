// SPDX-License-Identifier: Apache-2.0
#include "httpd/takeover/held_sockets.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <new>
#include <utility>

#include "base/descriptor.hpp"

namespace websocket::httpd {

HeldSockets::Hold* HeldSockets::hold(int socket, bool (*reserve_left)(int)) noexcept {
    base::Descriptor duplicate(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
    if (!duplicate.valid() || !reserve_left(duplicate.get())) {
        return nullptr;
    }
    const std::lock_guard lock(mutex_);
    for (Hold& hold : holds_) {
        if (hold.socket_.load() == Hold::kFree) {
            hold.shut_down_.store(false);
            hold.socket_.store(duplicate.release());
            return &hold;
        }
    }
    try {
        Hold& hold = holds_.emplace_back();
        hold.socket_.store(duplicate.release());
        return &hold;
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void HeldSockets::let_go(Hold& hold) noexcept {
    for (;;) {
        int socket = hold.socket_.load();
        // In use: the watcher is about to put it back, also while this thread is in a signal handler.
        if (socket >= 0 && hold.socket_.compare_exchange_strong(socket, Hold::kFree)) {
            const base::Descriptor closed(socket);
            return;
        }
    }
}

std::size_t HeldSockets::shut_down() noexcept {
    std::size_t count = 0;
    const std::lock_guard lock(mutex_);
    for (Hold& hold : holds_) {
        int socket = hold.socket_.load();
        if (socket >= 0 && hold.socket_.compare_exchange_strong(socket, Hold::kInUse)) {
            ::shutdown(socket, SHUT_RDWR);
            count += hold.shut_down_.exchange(true) ? 0U : 1U;
            hold.socket_.store(socket);
        }
    }
    return count;
}

}  // namespace websocket::httpd
