// One connection from connect() to the 101, or the head of an event stream, and many of them at once.
#pragma once

#include <sys/epoll.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "http_exchange.hpp"
#include "measure.hpp"
#include "protocol/client_handshake.hpp"
#include "stream.hpp"
#include "target.hpp"

namespace websocket::bench {

enum class Progress { waiting, open, failed };

class Handshake {
public:
    Handshake(const Target& target, std::size_t index)
        : stream_(target.connect(index), target.tls.get()), protocol_(target.offer) {
        if (target.events) events_.emplace(target.offer);
        if (stream_.fd() < 0) error_ = std::string("connect: ") + std::strerror(errno);
    }

    // Does what can be done without waiting; call it once at the start and at every epoll event.
    [[nodiscard]] Progress advance();

    [[nodiscard]] int fd() const { return stream_.fd(); }
    [[nodiscard]] Stream& stream() { return stream_; }
    [[nodiscard]] const std::string& error() const { return error_; }
    // What the server agreed to.
    [[nodiscard]] const protocol::ClientAgreement& agreement() const {
        return protocol_.agreement();
    }
    // Bytes that followed the 101 in the same read.
    [[nodiscard]] std::string take_rest() { return std::move(rest_); }

private:
    [[nodiscard]] Progress refuse(std::string why) {
        error_ = std::move(why);
        return Progress::failed;
    }
    [[nodiscard]] Progress secure();
    [[nodiscard]] Progress send_request();
    template <class Protocol>
    [[nodiscard]] Progress take_reply(Protocol& protocol, std::string_view bytes);

    Stream stream_;
    protocol::ClientHandshake protocol_;
    std::optional<EventStreamRequest> events_;  // instead of it
    bool secured_ = false;
    std::size_t sent_ = 0;
    std::string rest_;
    std::string error_;
};

inline Progress Handshake::secure() {
    const int result = secured_ ? 1 : stream_.shake_hands();
    secured_ = result == 1;
    if (secured_) return Progress::open;
    if (result < 0 && (errno == EAGAIN || errno == ENOTCONN)) return Progress::waiting;
    return refuse(std::string("TLS handshake: ") +
                  (result == 0 ? "the server closed the connection" : std::strerror(errno)));
}

inline Progress Handshake::send_request() {
    const std::string_view request = events_ ? events_->request() : protocol_.request();
    while (sent_ < request.size()) {
        const ssize_t n = stream_.send(request.substr(sent_));
        if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) return Progress::waiting;
        if (n < 0) return refuse(std::string("connect: ") + std::strerror(errno));
        sent_ += static_cast<std::size_t>(n);
    }
    return Progress::open;
}

template <class Protocol>
Progress Handshake::take_reply(Protocol& protocol, std::string_view bytes) {
    using Status = protocol::ClientHandshake::Status;
    bytes.remove_prefix(protocol.consume(bytes));
    if (protocol.status() == Status::waiting) return Progress::waiting;
    if (protocol.status() != Status::open) return refuse("handshake refused: " + protocol.error());
    rest_ = bytes;
    return Progress::open;
}

inline Progress Handshake::advance() {
    if (fd() < 0) return Progress::failed;
    if (const Progress securing = secure(); securing != Progress::open) return securing;
    if (const Progress sending = send_request(); sending != Progress::open) return sending;
    std::array<char, 4096> buffer;
    while (true) {
        const ssize_t n = stream_.receive(buffer);
        if (n < 0 && errno == EAGAIN) return Progress::waiting;
        if (n < 0) return refuse(std::string("handshake: ") + std::strerror(errno));
        if (n == 0) return refuse("the server closed the connection during the handshake");
        const std::string_view bytes(buffer.data(), static_cast<std::size_t>(n));
        const Progress progress =
            events_ ? take_reply(*events_, bytes) : take_reply(protocol_, bytes);
        if (progress != Progress::waiting) return progress;
    }
}

struct Opened {
    Stream stream;
    std::string rest;  // bytes the server sent right after its 101
    protocol::ClientAgreement agreement;
};

// Edge-triggered, in and out at once: no epoll_ctl per message. The kernel reports room to write only
// after a send that found none.
inline constexpr std::uint32_t all_edges = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

inline void watch(int epoll, int fd, std::uint64_t index) {
    epoll_event event{};
    event.events = all_edges;
    event.data.u64 = index;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        fail(run_failed, "epoll_ctl: %s", std::strerror(errno));
}

inline void need_descriptors(std::size_t count) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (count + 16 > limit.rlim_cur)
        fail(usage_error, "%zu connections need more than the %llu descriptors a process may have",
             count, static_cast<unsigned long long>(limit.rlim_cur));
}

// Opens `count` connections, at most `in_flight` handshakes at a time. One that fails, or `timeout`
// seconds without any progress, ends the program.
inline std::vector<Opened> open_connections(const Target& target, std::size_t count,
                                            std::size_t in_flight, double timeout) {
    need_descriptors(count);
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    std::vector<std::unique_ptr<Handshake>> handshakes(count);
    std::vector<Opened> opened(count);
    std::size_t started = 0;
    std::size_t done = 0;

    const auto advance = [&](std::size_t index) {
        std::unique_ptr<Handshake>& handshake = handshakes[index];
        if (!handshake) return;
        const Progress progress = handshake->advance();
        if (progress == Progress::failed)
            fail(run_failed, "connection %zu of %zu: %s", index + 1, count,
                 handshake->error().c_str());
        if (progress == Progress::waiting) return;
        epoll_ctl(epoll, EPOLL_CTL_DEL, handshake->fd(), nullptr);
        opened[index] = {std::move(handshake->stream()), handshake->take_rest(),
                         handshake->agreement()};
        handshake.reset();
        ++done;
    };

    std::array<epoll_event, 256> events;
    while (done < count) {
        while (started < count && started - done < in_flight) {
            handshakes[started] = std::make_unique<Handshake>(target, started);
            if (handshakes[started]->fd() >= 0) watch(epoll, handshakes[started]->fd(), started);
            advance(started++);
        }
        if (done == count) break;  // a server that is quick has answered the last one already
        const int ready = epoll_wait(epoll, events.data(), static_cast<int>(events.size()),
                                     static_cast<int>(timeout * 1e3));
        if (ready == 0 && done < count)
            fail(run_failed, "%zu of %zu handshakes done, then none for %g s", done, count,
                 timeout);
        for (int i = 0; i < ready; ++i) advance(events[static_cast<std::size_t>(i)].data.u64);
    }
    close(epoll);
    return opened;
}

}  // namespace websocket::bench
