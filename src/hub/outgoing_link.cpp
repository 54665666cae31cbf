// SPDX-License-Identifier: Apache-2.0
#include "hub/outgoing_link.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/iovec.hpp"
#include "hub/local_socket.hpp"

namespace websocket::hub {

namespace {

constexpr std::size_t kGather = 64;
/// Writes until others have their turn; each takes what the socket has room for.
constexpr int kWritesATurn = 8;
/// Memory that a part takes besides its bytes, which others may share.
constexpr std::size_t kPartCost = 64;

}  // namespace

int OutgoingLink::connect() noexcept {
    socket_ = connect_to(address_);
    return socket_.valid() ? 0 : errno;
}

void OutgoingLink::push_hello(const engine::SharedFrame& hello) {
    parts_.push_back(hello);
    bytes_ += hello.bytes().size() + kPartCost;
}

bool OutgoingLink::push(const engine::SharedFrame& head, const engine::SharedFrame& frame,
                        std::size_t limit) {
    if (bytes_ >= limit) {
        return false;
    }
    parts_.push_back(head);
    try {
        parts_.push_back(frame);
    } catch (...) {
        parts_.pop_back();
        throw;
    }
    bytes_ += head.bytes().size() + frame.bytes().size() + 2 * kPartCost;
    return true;
}

bool OutgoingLink::flush() noexcept {
    for (int i = 0; i < kWritesATurn && !parts_.empty(); ++i) {
        std::array<iovec, kGather> slots;
        const std::size_t count = std::min(kGather, parts_.size());
        std::size_t skip = written_;
        for (std::size_t part = 0; part < count; ++part) {
            const auto rest = parts_[part].bytes().subspan(skip);
            slots.at(part) = base::to_iovec(rest);
            skip = 0;
        }
        msghdr message{};
        message.msg_iov = slots.data();
        message.msg_iovlen = count;
        const ssize_t written = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
        if (written < 0) {
            return errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM;
        }
        drop_front(static_cast<std::size_t>(written));
    }
    return true;
}

void OutgoingLink::drop_front(std::size_t count) noexcept {
    written_ += count;
    while (!parts_.empty() && written_ >= parts_.front().bytes().size()) {
        const std::size_t size = parts_.front().bytes().size();
        written_ -= size;
        bytes_ -= size + kPartCost;
        parts_.pop_front();
    }
}

}  // namespace websocket::hub
