// fanout: N connections subscribe and one publishes. The server has to send what comes in on one
// connection to all the others (and to the sender or not, as it likes). A new message goes out when
// the last subscriber has got the one before, for a time or until there were so many. One thread; prints
// one line of JSON.

#include "frames.hpp"
#include "handshake.hpp"

using namespace websocket::bench;

namespace {

struct FanoutOptions {
    Target target;
    Target publisher;  // where messages come from; without a URL: the same
    std::uint64_t subscribers = 5000;
    std::uint64_t size = 125;
    std::uint64_t window = 1;
    std::uint64_t messages = 0;
    double duration = 5;
    double warmup = 1;
    double timeout = 10;
    std::uint64_t server_pid = 0;

    FanoutOptions(int argc, char** argv) {
        std::vector<Option> table = target_options(target);
        table.push_back(
            number("--subscribers", "connections that receive (5000)", subscribers, 1, 60000));
        table.push_back(text("--publisher", "ws://HOST:PORT/PATH",
                             "publish there, where it is another server", publisher.url));
        table.push_back(number("--size", "payload bytes of a message (125)", size, 0, 1U << 24));
        table.push_back(number("--window", "messages under way at a time (1)", window, 1, 1000));
        table.push_back(number("--messages", "publish so many, then end, however long it takes",
                               messages, 1, 1U << 30));
        table.push_back(seconds("--duration", "measured time (5)", duration, 0.01));
        table.push_back(seconds("--warmup", "time before it (1)", warmup, 0));
        table.push_back(
            seconds("--timeout", "longest time without any progress (10)", timeout, 0.1));
        table.push_back(
            number("--server-pid", "process whose CPU time is reported", server_pid, 1, 1U << 30));
        parse_options(argc, argv, "WebSocket fan-out", table);
        if (server_pid != 0 && cpu_seconds_of(server_pid) < 0)
            fail(usage_error, "--server-pid: there is no process %llu",
                 static_cast<unsigned long long>(server_pid));
        target.resolve();
        if (publisher.url.empty()) publisher = target;
        publisher.resolve();
    }
};

// What was published when, and how many have it. Message k stands at k % window.
class Publications {
public:
    Publications(std::uint64_t window, std::uint64_t subscribers)
        : subscribers_(subscribers), sent_at_(window), missing_(window) {}

    [[nodiscard]] bool may_send() const { return sent_ - complete_ < sent_at_.size(); }
    [[nodiscard]] std::uint64_t sent() const { return sent_; }
    [[nodiscard]] std::uint64_t complete() const { return complete_; }
    void send() {
        sent_at_[sent_ % sent_at_.size()] = now_ns();
        missing_[sent_ % sent_at_.size()] = subscribers_;
        ++sent_;
    }
    // False: nobody has published it.
    [[nodiscard]] bool received(std::uint64_t message, Histogram* latency) {
        if (message >= sent_) return false;
        const std::size_t place = message % sent_at_.size();
        if (latency != nullptr) latency->add(now_ns() - sent_at_[place]);
        --missing_[place];
        ++deliveries;
        while (complete_ < sent_ && missing_[complete_ % sent_at_.size()] == 0) ++complete_;
        return true;
    }

    std::uint64_t deliveries = 0;

private:
    const std::uint64_t subscribers_;
    std::vector<std::uint64_t> sent_at_;
    std::vector<std::uint64_t> missing_;
    std::uint64_t sent_ = 0;
    std::uint64_t complete_ = 0;
};

// Counts the messages of one connection.
class Member {
public:
    explicit Member(Opened&& opened) : stream_(std::move(opened.stream)) { consume(opened.rest); }

    // How many messages came; fails the program when the connection is over.
    std::uint64_t ready(std::span<char> buffer) {
        const std::uint64_t before = messages_;
        for (;;) {
            const ssize_t n = stream_.receive(buffer);
            if (n < 0 && errno == EAGAIN) break;
            if (n <= 0) fail(run_failed, "the server closed a connection");
            consume({buffer.data(), static_cast<std::size_t>(n)});
            // Less than asked for: the socket is empty, and its next byte raises a new edge.
            if (static_cast<std::size_t>(n) < buffer.size()) break;
        }
        return messages_ - before;
    }
    [[nodiscard]] int fd() const { return stream_.fd(); }
    [[nodiscard]] std::uint64_t messages() const { return messages_; }
    void send(std::string_view frame) {
        if (stream_.send(frame) != static_cast<ssize_t>(frame.size()))
            fail(run_failed, "a message did not fit the publisher's socket");
    }

    bool frame(Opcode opcode, bool fin, std::uint64_t length) {
        opcode_ = opcode;
        fin_ = fin;
        payload_.clear();
        return opcode < Opcode::close || length <= 125;
    }
    bool payload(std::string_view piece) {
        if (opcode_ == Opcode::ping || !counts_) payload_ += piece;
        return true;
    }
    bool frame_end() {
        if (opcode_ == Opcode::ping) send(masked_frame(Opcode::pong, payload_));
        if (opcode_ < Opcode::close && fin_) {
            if (counts_)
                ++messages_;
            else
                probe_ = payload_;
        }
        return opcode_ != Opcode::close;
    }

    // What came last before messages are counted.
    [[nodiscard]] const std::string& probe() const { return probe_; }
    void begin_to_count() { counts_ = true; }

private:
    void consume(std::string_view bytes) {
        if (!reader_.read(bytes, *this)) fail(run_failed, "the server sent a Close or nonsense");
    }

    Stream stream_;
    Opcode opcode_ = Opcode::text;
    bool fin_ = true;
    std::string payload_;
    std::string probe_;
    bool counts_ = false;
    std::uint64_t messages_ = 0;
    FrameReader reader_;
};

struct Reading {
    std::uint64_t deliveries;
    Usage usage;

    Reading(std::uint64_t so_far, std::uint64_t server_pid)
        : deliveries(so_far), usage(server_pid) {}
};

class Fanout {
public:
    explicit Fanout(const FanoutOptions& options)
        : options_(options), frame_(masked_frame(Opcode::binary, std::string(options.size, 'x'))),
          publications_(options.window, options.subscribers), epoll_(epoll_create1(EPOLL_CLOEXEC)),
          buffer_(64U << 10) {
        members_.reserve(options.subscribers + 1);  // the last one publishes
        add_members(options.target, options.subscribers);
        add_members(options.publisher, 1);
        for (std::size_t i = 0; i < members_.size(); ++i) watch(epoll_, members_[i].fd(), i);
    }

    void run() {
        await_subscriptions();
        if (options_.messages == 0) run_until(ns_after(options_.warmup), nullptr);
        const Reading begin(publications_.deliveries, options_.server_pid);
        run_until(options_.messages > 0 ? UINT64_MAX : ns_after(options_.duration), &latency_);
        print(begin, Reading(publications_.deliveries, options_.server_pid));
    }

private:
    void add_members(const Target& target, std::uint64_t count) {
        for (Opened& opened : open_connections(target, count, 64, options_.timeout))
            members_.emplace_back(std::move(opened));
    }

    [[nodiscard]] bool all_sent() const {
        return options_.messages > 0 && publications_.sent() == options_.messages;
    }

    void publish() {
        while (publications_.may_send() && !all_sent()) {
            publications_.send();
            members_.back().send(frame_);
        }
    }

    // A connection is open before it is subscribed: publishes until all get it.
    void await_subscriptions() {
        const std::uint64_t end = ns_after(options_.timeout);
        std::array<epoll_event, 512> events;
        const auto subscribed = [this](const std::string& probe) {
            return std::all_of(members_.begin(), members_.end() - 1,
                               [&](const Member& member) { return member.probe() == probe; });
        };
        std::string probe;
        for (int number = 0; probe.empty() || !subscribed(probe); ++number) {
            if (now_ns() > end)
                fail(run_failed, "not all were subscribed within %g s", options_.timeout);
            probe = std::to_string(number);
            members_.back().send(masked_frame(Opcode::binary, probe));
            const std::uint64_t next = ns_after(kProbeInterval);
            while (!subscribed(probe) && now_ns() < next) {
                const int ready =
                    epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 10);
                for (int i = 0; i < ready; ++i)
                    static_cast<void>(
                        members_[events[static_cast<std::size_t>(i)].data.u64].ready(buffer_));
            }
        }
        for (Member& member : members_) member.begin_to_count();
    }

    // Until all subscribers have all, or that time on the clock of now_ns().
    void run_until(std::uint64_t end, Histogram* latency) {
        std::uint64_t now = now_ns();
        std::uint64_t last_delivery = now;
        const auto patience = static_cast<std::uint64_t>(options_.timeout * 1e9);
        std::array<epoll_event, 512> events;
        while (now < end) {
            publish();
            if (all_sent() && publications_.complete() == publications_.sent()) return;
            const int ready =
                epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 100);
            const std::uint64_t before = publications_.deliveries;
            for (int i = 0; i < ready; ++i)
                receive(events[static_cast<std::size_t>(i)].data.u64, latency);
            now = now_ns();
            if (publications_.deliveries != before) last_delivery = now;
            if (now - last_delivery > patience)
                fail(run_failed, "short run: nothing delivered for %g s", options_.timeout);
        }
    }

    void receive(std::uint64_t index, Histogram* latency) {
        Member& member = members_[index];
        const std::uint64_t came = member.ready(buffer_);
        if (index == options_.subscribers) return;  // the publisher may get its own, or not
        for (std::uint64_t i = member.messages() - came; i < member.messages(); ++i)
            if (!publications_.received(i, latency))
                fail(run_failed, "a subscriber got a message that nobody has published");
    }

    void print(const Reading& begin, const Reading& end) const {
        const double elapsed = seconds_between(begin.usage, end.usage);
        const double deliveries = static_cast<double>(end.deliveries - begin.deliveries);
        std::printf("{\"url\": \"%s\", \"subscribers\": %llu, \"size\": %llu, \"window\": %llu, "
                    "\"seconds\": %.3f, \"deliveries\": %.0f, \"deliveries_per_second\": %.1f",
                    options_.target.url.c_str(),
                    static_cast<unsigned long long>(options_.subscribers),
                    static_cast<unsigned long long>(options_.size),
                    static_cast<unsigned long long>(options_.window), elapsed, deliveries,
                    deliveries / elapsed);
        print_usage(begin.usage, end.usage, deliveries, "delivery");
        std::printf(", \"latency_us\": {\"p50\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, "
                    "\"max\": %.1f}}\n",
                    latency_.microseconds(0.5), latency_.microseconds(0.99),
                    latency_.microseconds(0.999), latency_.microseconds(1));
    }

    static constexpr double kProbeInterval = 1;  // seconds

    const FanoutOptions& options_;
    const std::string frame_;
    Publications publications_;
    Histogram latency_;
    const int epoll_;
    std::vector<char> buffer_;
    std::vector<Member> members_;
};

}  // namespace

int main(int argc, char** argv) {
    const FanoutOptions options(argc, argv);
    Fanout(options).run();
    return 0;
}
