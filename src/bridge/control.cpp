// SPDX-License-Identifier: Apache-2.0
#include "bridge/control.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace websocket::bridge {

Control::Control(net::Reactor& reactor, int descriptor) noexcept
    : reactor_(reactor), socket_(descriptor), ended_(!reactor.add(descriptor, *this, EPOLLIN)) {}

Control::~Control() { reactor_.remove(socket_.get(), *this); }

void Control::on_ready(std::uint32_t /*events*/) {
    char byte = 0;
    iovec part{&byte, sizeof byte};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> extra{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = extra.data();
    message.msg_controllen = extra.size();
    const ssize_t size = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (size <= 0) {
        ended_ = size == 0 || (errno != EAGAIN && errno != EINTR);
        return;
    }
    const cmsghdr* control = CMSG_FIRSTHDR(&message);
    if (control == nullptr || control->cmsg_type != SCM_RIGHTS ||
        control->cmsg_len < CMSG_LEN(sizeof(int))) {
        return;
    }
    int log = -1;
    std::memcpy(&log, CMSG_DATA(control), sizeof log);
    const base::Descriptor owner(log);
    ::dup2(log, STDERR_FILENO);
}

}  // namespace websocket::bridge
