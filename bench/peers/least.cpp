// The least that an echo server has to do for a message: what it takes is the kernel's work, and nobody who waits with
// epoll and calls recv() and send() can take less. No server: it checks nothing, has no limits, and knows small frames only.
// g++ -std=c++20 -O3 bench/peers/least.cpp -o /tmp/least-echo -lcrypto; /tmp/least-echo PORT

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

/// Read and written in this place; a connection keeps no bytes.
std::array<std::uint8_t, 1U << 16> input;
std::array<std::uint8_t, 1U << 16> output;

void send_all(int socket, const void* bytes, std::size_t size) {
    if (::send(socket, bytes, size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) ::close(socket);
}

void answer(int socket, std::string_view request) {
    constexpr std::string_view kName = "Sec-WebSocket-Key: ";
    const std::size_t at = request.find(kName);
    if (at == std::string_view::npos) {
        ::close(socket);
        return;
    }
    const std::string key(request.substr(at + kName.size(), 24));
    const std::string text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<std::uint8_t, 20> digest;
    std::array<std::uint8_t, 29> accept;
    EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha1(), nullptr);
    EVP_EncodeBlock(accept.data(), digest.data(), static_cast<int>(digest.size()));
    const std::string response =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " +
        std::string(accept.begin(), accept.end() - 1) + "\r\n\r\n";
    send_all(socket, response.data(), response.size());
}

/// Frames of at most 64 KiB, which come whole; all that came at once is answered at once.
void echo(int socket, std::size_t size) {
    const std::uint8_t* from = input.data();
    const std::uint8_t* const end = from + size;
    std::uint8_t* to = output.data();
    while (end - from >= 6) {
        const bool close = (from[0] & 0x0f) == 8;
        std::size_t length = from[1] & 0x7fU;
        *to++ = from[0];
        *to++ = from[1] & 0x7fU;
        from += 2;
        if (length == 126) {
            length = static_cast<std::size_t>(from[0]) << 8 | from[1];
            *to++ = *from++;
            *to++ = *from++;
        }
        std::uint64_t key = 0;
        std::memcpy(&key, from, 4);
        key |= key << 32;
        from += 4;
        for (std::size_t i = 0; i < length;
             i += 8) {  // a little over the end, which is overwritten
            std::uint64_t word = 0;
            std::memcpy(&word, from + i, 8);
            word ^= key;
            std::memcpy(to + i, &word, 8);
        }
        from += length;
        to += length;
        if (close) {
            send_all(socket, output.data(), static_cast<std::size_t>(to - output.data()));
            ::close(socket);
            return;
        }
    }
    send_all(socket, output.data(), static_cast<std::size_t>(to - output.data()));
}

}  // namespace

int main(int argc, char** argv) {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 9003);
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener, 1024) != 0) {
        std::perror("least-echo");
        return 1;
    }
    const int epoll = ::epoll_create1(0);
    const auto watch = [epoll](int socket) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = socket;
        ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
    };
    watch(listener);
    std::array<epoll_event, 1024> events;
    for (;;) {
        const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < count; ++i) {
            const int socket = events[static_cast<std::size_t>(i)].data.fd;
            if (socket == listener) {
                const int client = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
                ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                watch(client);
                continue;
            }
            const ssize_t size = ::recv(socket, input.data(), input.size() - 8, 0);
            if (size <= 0) {
                ::close(socket);
            } else if (input[0] == 'G') {
                answer(socket,
                       {reinterpret_cast<char*>(input.data()), static_cast<std::size_t>(size)});
            } else {
                echo(socket, static_cast<std::size_t>(size));
            }
        }
    }
}
