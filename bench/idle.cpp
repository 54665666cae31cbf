// idle: opens N connections, WebSockets or with --kind events event streams, and holds them, so that the memory of a
// server can be read meanwhile. Prints one line of JSON when all are open. Pings are answered. A connection that the
// server ends is counted and makes the exit status 1. Then each line of input is a command, answered with one line of
// JSON:
//     ping N    sends a Ping on N connections, evenly spread; waits for the Pongs, at most --timeout
//     publish   sends a text message on the first connection
//     count     how many messages have come on all of them so far
// Event streams can only be counted. Any other line, or the end of the input, ends the program.

#include "frames.hpp"
#include "handshake.hpp"

using namespace websocket::bench;

namespace {

constexpr std::uint64_t standard_input = ~std::uint64_t{0};

// On all connections.
struct Received {
    std::uint64_t messages = 0;
    std::uint64_t pongs = 0;
} received;

class IdleConnection {
public:
    IdleConnection(Opened&& opened, bool events)
        : stream_(std::move(opened.stream)), events_(events) {
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

    bool send(Opcode opcode, std::string_view payload) {
        const std::string frame = masked_frame(opcode, payload);
        return !over_ && stream_.send(frame) == static_cast<ssize_t>(frame.size());
    }

    bool frame(Opcode opcode, bool fin, std::uint64_t length) {
        opcode_ = opcode;
        fin_ = fin;
        payload_.clear();
        return opcode < Opcode::close || length <= 125;
    }
    bool payload(std::string_view piece) {
        if (opcode_ == Opcode::ping) payload_ += piece;
        return true;
    }
    bool frame_end() {
        if (opcode_ == Opcode::ping) return send(Opcode::pong, payload_);
        if (opcode_ == Opcode::pong) ++received.pongs;
        if (opcode_ < Opcode::close && fin_) ++received.messages;
        return opcode_ != Opcode::close;
    }

private:
    void consume(std::string_view bytes) {
        if (events_) {
            received.messages += static_cast<std::uint64_t>(events_in(bytes));
        } else {
            over_ = over_ || !reader_.read(bytes, *this);
        }
    }
    // Each line of data is one, as messages of the bench have no line ends; it begins behind one.
    [[nodiscard]] std::size_t events_in(std::string_view bytes) {
        constexpr std::string_view begin = "\ndata:";
        std::size_t found = 0;
        for (const char c : bytes) {
            seen_ = c == begin[seen_] ? seen_ + 1 : c == begin[0] ? 1 : 0;
            found += seen_ == begin.size() ? 1 : 0;
            seen_ %= begin.size();
        }
        return found;
    }

    Stream stream_;
    bool events_;
    std::size_t seen_ = 0;  // bytes of what begins an event
    bool over_ = false;
    bool fin_ = true;
    Opcode opcode_ = Opcode::text;
    std::string payload_;
    FrameReader reader_;
};

// All connections, until they are not to be held any more.
class Holder {
public:
    Holder(std::vector<IdleConnection>& connections, bool events, double timeout)
        : connections_(connections), events_(events), timeout_(timeout) {
        for (std::size_t i = 0; i < connections.size(); ++i) watch(epoll_, connections[i].fd(), i);
        epoll_event input{};
        input.events = EPOLLIN;
        input.data.u64 = standard_input;
        if (epoll_ctl(epoll_, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0)
            fail(usage_error, "standard input must be a pipe or a terminal");
    }

    // Returns how many connections ended meanwhile.
    std::size_t hold() {
        while (serve(-1)) {
        }
        return ended_;
    }

private:
    // Waits for at most so many ms. False when the input has ended the program.
    bool serve(int patience) {
        std::array<epoll_event, 256> events;
        const int ready =
            epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), patience);
        bool has_input = false;
        for (int i = 0; i < ready; ++i) {
            const std::uint64_t index = events[static_cast<std::size_t>(i)].data.u64;
            if (index == standard_input) {
                has_input = true;
                continue;
            }
            if (connections_[index].ready()) continue;
            epoll_ctl(epoll_, EPOLL_CTL_DEL, connections_[index].fd(), nullptr);
            ++ended_;
        }
        return !has_input || reading_ || obey();
    }

    bool obey() {
        std::array<char, 64> line{};
        const ssize_t n = read(STDIN_FILENO, line.data(), line.size() - 1);
        const std::string_view command(line.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
        if (command == "publish\n" && !events_) {
            publish();
        } else if (command == "count\n") {
            std::printf("{\"messages\": %llu}\n",
                        static_cast<unsigned long long>(received.messages));
        } else if (command.starts_with("ping ") && !events_) {
            ping(std::strtoull(line.data() + 5, nullptr, 10));
        } else {
            return false;
        }
        std::fflush(stdout);
        return true;
    }

    void publish() {
        if (!connections_.front().send(Opcode::text, "hello"))
            fail(run_failed, "cannot publish on the first connection");
        std::printf("{\"published\": 1}\n");
    }

    void ping(std::uint64_t count) {
        count = std::min<std::uint64_t>(std::max<std::uint64_t>(count, 1), connections_.size());
        received.pongs = 0;
        const std::uint64_t begin = now_ns();
        for (std::uint64_t i = 0; i < count; ++i)
            static_cast<void>(
                connections_[i * connections_.size() / count].send(Opcode::ping, "alive?"));
        reading_ = true;  // further commands come later
        const auto elapsed = [begin] { return static_cast<double>(now_ns() - begin) * 1e-9; };
        while (received.pongs < count && elapsed() < timeout_) serve(10);
        reading_ = false;
        std::printf("{\"pings\": %llu, \"pongs\": %llu, \"seconds\": %.6f}\n",
                    static_cast<unsigned long long>(count),
                    static_cast<unsigned long long>(received.pongs), elapsed());
    }

    std::vector<IdleConnection>& connections_;
    const bool events_;
    const double timeout_;
    const int epoll_ = epoll_create1(EPOLL_CLOEXEC);
    std::size_t ended_ = 0;
    bool reading_ = false;
};

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
    table.push_back({"--kind", "sockets|events", "WebSockets or event streams (sockets)",
                     [&target](const char* given) {
                         target.events = std::string_view(given) == "events";
                         if (!target.events && std::string_view(given) != "sockets")
                             refuse_value("--kind", given, "sockets or events");
                     }});
    parse_options(argc, argv, "holds idle connections", table);
    target.resolve();

    const std::uint64_t begin = now_ns();
    std::vector<IdleConnection> connections;
    connections.reserve(count);
    for (Opened& opened : open_connections(target, count, in_flight, timeout))
        connections.emplace_back(std::move(opened), target.events);
    const double elapsed = static_cast<double>(now_ns() - begin) * 1e-9;
    std::printf("{\"open\": %zu, \"seconds\": %.3f}\n", connections.size(), elapsed);
    std::fflush(stdout);

    if (const std::size_t ended = Holder(connections, target.events, timeout).hold(); ended > 0)
        fail(run_failed, "the server ended %zu of %zu connections", ended, connections.size());
    return 0;
}
