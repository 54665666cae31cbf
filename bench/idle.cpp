// idle: opens N connections and holds them without a message, so that the memory of a server can be read
// meanwhile. Prints one line of JSON when all are open; ends at a line or the end of its input.
// Pings are answered. A connection that the server ends is counted and makes the exit status 1.

#include "frames.hpp"
#include "handshake.hpp"

using namespace websocket::bench;

namespace {

constexpr std::uint64_t standard_input = ~std::uint64_t{0};

class IdleConnection {
public:
    explicit IdleConnection(Opened&& opened) : stream_(std::move(opened.stream)) {
        consume(opened.rest);
    }

    // False once the connection is over.
    bool ready() {
        std::array<char, 4096> buffer;
        while (!over_) {
            const ssize_t n = stream_.receive(buffer);
            if (n < 0 && errno == EAGAIN) return true;
            if (n <= 0) break;
            consume({buffer.data(), static_cast<std::size_t>(n)});
        }
        return false;
    }
    [[nodiscard]] int fd() const { return stream_.fd(); }

    bool frame(Opcode opcode, bool, std::uint64_t length) {
        opcode_ = opcode;
        payload_.clear();
        return opcode < Opcode::close || length <= 125;
    }
    bool payload(std::string_view piece) {
        if (opcode_ == Opcode::ping) payload_ += piece;
        return true;
    }
    bool frame_end() {
        if (opcode_ == Opcode::ping) {
            const std::string pong = masked_frame(Opcode::pong, payload_);
            const ssize_t n = stream_.send(pong);
            return n == static_cast<ssize_t>(pong.size());
        }
        return opcode_ != Opcode::close;
    }

private:
    void consume(std::string_view bytes) { over_ = over_ || !reader_.read(bytes, *this); }

    Stream stream_;
    bool over_ = false;
    Opcode opcode_ = Opcode::text;
    std::string payload_;
    FrameReader reader_;
};

// Returns how many connections ended while they were to be held.
std::size_t hold(std::vector<IdleConnection>& connections, int epoll) {
    std::size_t ended = 0;
    std::array<epoll_event, 256> events;
    while (true) {
        const int ready = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < ready; ++i) {
            const std::uint64_t index = events[static_cast<std::size_t>(i)].data.u64;
            if (index == standard_input) return ended;
            IdleConnection& connection = connections[index];
            if (connection.ready()) continue;
            epoll_ctl(epoll, EPOLL_CTL_DEL, connection.fd(), nullptr);
            ++ended;
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    Target target;
    std::uint64_t count = 1000;
    std::uint64_t in_flight = 64;
    double timeout = 10;
    std::vector<Option> table = target_options(target);
    table.push_back(number("--connections", "connections (1000)", count, 1, 60000));
    table.push_back(number("--in-flight", "handshakes at a time (64)", in_flight, 1, 4096));
    table.push_back(seconds("--timeout", "longest time without any progress (10)", timeout, 0.1));
    parse_options(argc, argv, "holds idle WebSocket connections", table);
    target.resolve();

    const std::uint64_t begin = now_ns();
    std::vector<IdleConnection> connections;
    connections.reserve(count);
    for (Opened& opened : open_connections(target, count, in_flight, timeout))
        connections.emplace_back(std::move(opened));
    const double elapsed = static_cast<double>(now_ns() - begin) * 1e-9;
    std::printf("{\"open\": %zu, \"seconds\": %.3f}\n", connections.size(), elapsed);
    std::fflush(stdout);

    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (std::size_t i = 0; i < connections.size(); ++i) watch(epoll, connections[i].fd(), i);
    epoll_event input{};
    input.events = EPOLLIN;
    input.data.u64 = standard_input;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0)
        fail(usage_error, "standard input must be a pipe or a terminal");
    if (const std::size_t ended = hold(connections, epoll); ended > 0)
        fail(run_failed, "the server ended %zu of %zu connections", ended, connections.size());
    return 0;
}
