// SPDX-License-Identifier: Apache-2.0
#include "net/socket_queue.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace websocket::net {

namespace {

/// What goes with a socket, between processes of the same program.
struct Note {
    std::int64_t put_in;  ///< SocketQueue::Clock's own unit
    std::int64_t first_put_in;
};

/// For some thousand sockets that wait; the kernel may allow less.
constexpr int kSendBuffer = 4 << 20;

/// A message that holds a note and, if there is room for it, one descriptor.
struct Message {
    explicit Message(Note& note) noexcept : part{&note, sizeof note} {
        header.msg_iov = &part;
        header.msg_iovlen = 1;
    }
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;

    void make_room() noexcept {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
    }

    msghdr header{};
    iovec part;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
};

bool is_whole(ssize_t received) noexcept { return received == static_cast<ssize_t>(sizeof(Note)); }

SocketQueue::Clock::time_point time_of(std::int64_t count) noexcept {
    return SocketQueue::Clock::time_point(SocketQueue::Clock::duration(count));
}

}  // namespace

SocketQueue::SocketQueue() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
        throw std::system_error(errno, std::generic_category(), "socketpair");
    }
    entrance_ = base::Descriptor(ends[0]);
    exit_ = base::Descriptor(ends[1]);
    ::setsockopt(entrance_.get(), SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
}

bool SocketQueue::put(int socket) const noexcept {
    const auto now = Clock::now();
    return put(socket, now, now);
}

bool SocketQueue::put_again(const Item& item) const noexcept {
    return put(item.socket.get(), Clock::now(), item.first_put_in);
}

bool SocketQueue::put(int socket, Clock::time_point now, Clock::time_point first) const noexcept {
    Note note{};
    note.put_in = now.time_since_epoch().count();
    note.first_put_in = first.time_since_epoch().count();
    Message message(note);
    message.make_room();
    cmsghdr* control = CMSG_FIRSTHDR(&message.header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof socket);
    std::memcpy(CMSG_DATA(control), &socket, sizeof socket);
    return is_whole(::sendmsg(entrance_.get(), &message.header, MSG_NOSIGNAL));
}

std::optional<SocketQueue::Item> SocketQueue::take() const noexcept {
    Note note{};
    Message message(note);
    message.make_room();
    if (!is_whole(::recvmsg(exit_.get(), &message.header, MSG_CMSG_CLOEXEC))) {
        return {};
    }
    const cmsghdr* control = CMSG_FIRSTHDR(&message.header);
    if (control == nullptr || control->cmsg_type != SCM_RIGHTS ||
        control->cmsg_len < CMSG_LEN(sizeof(int))) {
        return {};
    }
    int socket = -1;
    std::memcpy(&socket, CMSG_DATA(control), sizeof socket);
    return Item{base::Descriptor(socket), time_of(note.put_in), time_of(note.first_put_in)};
}

std::optional<SocketQueue::Clock::time_point> SocketQueue::oldest() const noexcept {
    Note note{};
    Message message(note);  // no room: a look makes no descriptor
    if (!is_whole(::recvmsg(exit_.get(), &message.header, MSG_PEEK))) {
        return {};
    }
    return time_of(note.put_in);
}

}  // namespace websocket::net
