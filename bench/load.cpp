// load: keeps K messages in flight on each of N connections to an echo server and counts the echoes, for a
// time or until there are so many; or sends at a fixed rate and measures how long echoes take (--rate). One
// thread; prints one line of JSON.

#include "echo_client.hpp"

using namespace websocket::bench;

namespace {

struct LoadOptions {
    Target target;
    std::uint64_t connections = 64;
    std::uint64_t size = 125;
    std::uint64_t pipeline = 1;
    std::string type = "binary";
    std::uint64_t rate = 0;
    std::uint64_t messages = 0;
    double duration = 5;
    double warmup = 1;
    double timeout = 10;
    std::uint64_t server_pid = 0;

    LoadOptions(int argc, char** argv) {
        std::vector<Option> table = target_options(target);
        table.push_back(number("--connections", "connections (64)", connections, 1, 60000));
        table.push_back(number("--size", "payload bytes of a message (125)", size, 0, 1U << 30));
        table.push_back(
            number("--pipeline", "messages in flight on a connection (1)", pipeline, 1, 100000));
        table.push_back(number("--rate",
                               "messages a second of all connections together, sent whether or not "
                               "echoes are back; keeps the thread busy",
                               rate, 1, 100'000'000));
        table.push_back(number("--messages", "on each connection, then end, however long it takes",
                               messages, 1, 1U << 30));
        table.push_back(text("--type", "text|accents|binary",
                             "of the messages: ASCII, text with other letters, or bytes (binary)",
                             type));
        table.push_back(seconds("--duration", "measured time (5)", duration, 0.01));
        table.push_back(seconds("--warmup", "time before it (1)", warmup, 0));
        table.push_back(
            seconds("--timeout", "longest time without any progress (10)", timeout, 0.1));
        table.push_back(
            number("--server-pid", "process whose CPU time is reported", server_pid, 1, 1U << 30));
        parse_options(argc, argv, "WebSocket echo load", table);
        if (type != "text" && type != "accents" && type != "binary")
            refuse_value("--type", type.c_str(), "text, accents or binary");
        if (rate != 0 && (messages != 0 || pipeline != 1))
            fail(usage_error, "--rate does not go with --messages or --pipeline");
        if (server_pid != 0 && cpu_seconds_of(server_pid) < 0)
            fail(usage_error, "--server-pid: there is no process %llu",
                 static_cast<unsigned long long>(server_pid));
        target.resolve();
    }
    [[nodiscard]] Content content() const {
        return type == "binary" ? Content::bytes
               : type == "text" ? Content::ascii
                                : Content::accents;
    }
};

// Counters at one end of the measured time.
struct Reading {
    std::uint64_t messages;
    Usage usage;

    Reading(const Tally& tally, std::uint64_t server_pid)
        : messages(tally.messages), usage(server_pid) {}
};

class Load {
public:
    explicit Load(const LoadOptions& options)
        : options_(options),
          work_(options.content(), options.size, options.rate > 0 ? kOpenLoop : options.pipeline,
                options.messages > 0 ? options.messages : UINT64_MAX),
          epoll_(epoll_create1(EPOLL_CLOEXEC)), buffer_(256U << 10) {
        clients_.reserve(options.connections);
        for (Opened& opened :
             open_connections(options.target, options.connections, 64, options.timeout))
            clients_.emplace_back(work_, clients_.size(), std::move(opened));
        for (std::size_t i = 0; i < clients_.size(); ++i) watch(epoll_, clients_[i].fd(), i);
    }

    void run() {
        if (options_.rate > 0)
            run_scheduled();
        else if (options_.messages > 0)
            run_counted();
        else
            run_timed();
        for (EchoClient& client : clients_) client.finish();
    }

private:
    void start() {
        for (EchoClient& client : clients_) {
            client.start();
            check(client);
        }
    }

    void run_counted() {
        tally_.timing = options_.pipeline == 1;
        const Reading begin(tally_, options_.server_pid);
        start();
        const std::uint64_t all = options_.connections * options_.messages;
        run_until([&] { return tally_.messages == all; }, UINT64_MAX);
        print(begin, Reading(tally_, options_.server_pid));
    }

    void run_timed() {
        start();
        run_until([] { return false; }, ns_after(options_.warmup));
        // The first messages grow buffers at both ends, and the largest take longer than any warm-up.
        run_until([this] { return all_are_warm(); }, ns_after(options_.timeout));
        if (!all_are_warm())
            fail(run_failed, "short run: not every connection got an echo within %g s",
                 options_.timeout);
        std::vector<std::uint64_t> before;
        for (const EchoClient& client : clients_) before.push_back(client.messages());
        tally_.timing = options_.pipeline == 1;
        const Reading begin(tally_, options_.server_pid);
        run_until([] { return false; }, ns_after(options_.duration));
        const Reading end(tally_, options_.server_pid);
        tally_.timing = false;

        // The server finds a clean end and the next run an idle server. A connection may wait for its turn for
        // longer than was measured, but none may be forgotten.
        for (std::size_t i = 0; i < clients_.size(); ++i)
            without_echo_ += clients_[i].messages() == before[i];
        tally_.draining = true;
        const std::uint64_t all = end.messages + options_.connections * options_.pipeline;
        run_until([&] { return tally_.messages == all; }, UINT64_MAX);
        print(begin, end);
    }

    [[nodiscard]] bool all_are_warm() const {
        return std::all_of(clients_.begin(), clients_.end(), [](const EchoClient& client) {
            return client.messages() >= kWarmMessages;
        });
    }

    // Latencies are of the messages planned within the measured time, however late they come back.
    void run_scheduled() {
        const Schedule schedule(static_cast<double>(options_.rate), options_.connections);
        tally_.schedule = &schedule;
        const std::uint64_t from = ns_after(options_.warmup);
        const std::uint64_t end_at = from + static_cast<std::uint64_t>(options_.duration * 1e9);
        tally_.first_timed = schedule.first_from(from);
        tally_.end_timed = schedule.first_from(end_at);
        tally_.timing = true;
        run_until([] { return false; }, from);
        const Reading begin(tally_, options_.server_pid);
        run_until([] { return false; }, end_at);
        const Reading end(tally_, options_.server_pid);
        if (end.messages == begin.messages)
            fail(run_failed, "short run: no echo within %g s", options_.duration);
        run_until([&] { return tally_.messages == tally_.end_timed; }, UINT64_MAX);
        print(begin, end);
    }

    // Sends what is due, or some of it: echoes are read in between, however late the load is. The lateness is
    // the load's own doing.
    void send_due() {
        const Schedule& schedule = *tally_.schedule;
        for (int i = 0; i < kDueAtOnce && sent_ < tally_.end_timed; ++i, ++sent_) {
            const std::uint64_t now = now_ns();
            const std::uint64_t planned = schedule.planned(sent_);
            if (planned > now) return;
            EchoClient& client = clients_[schedule.connection_of(sent_)];
            client.send_one();
            check(client);
            if (sent_ >= tally_.first_timed) lateness_.add(now - planned);
        }
    }

    static void check(const EchoClient& client) {
        if (!client.error().empty())
            fail(run_failed, "after %llu messages on a connection: %s",
                 static_cast<unsigned long long>(client.messages()), client.error().c_str());
    }

    // Until it is done, or that time on the clock of now_ns().
    template <class Done>
    void run_until(Done done, std::uint64_t end) {
        std::uint64_t now = now_ns();
        std::uint64_t last_message = now;
        std::uint64_t messages = tally_.messages;
        const std::uint64_t patience = static_cast<std::uint64_t>(options_.timeout * 1e9);
        std::array<epoll_event, 512> events;
        while (now < end && !done()) {
            const bool sending = tally_.schedule != nullptr && sent_ < tally_.end_timed;
            if (sending) send_due();
            const std::uint64_t left_ms =
                sending ? 0 : std::min<std::uint64_t>((end - now) / 1'000'000, 100);
            const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                         static_cast<int>(left_ms));
            for (int i = 0; i < ready; ++i) {
                EchoClient& client = clients_[events[static_cast<std::size_t>(i)].data.u64];
                client.ready(buffer_, tally_);
                check(client);
                if (sending) send_due();
            }
            now = now_ns();
            if (tally_.messages != messages) {
                messages = tally_.messages;
                last_message = now;
            }
            // With a schedule, of few messages a second perhaps, only once all are sent.
            if (sending) last_message = now;
            if (now - last_message > patience)
                fail(run_failed, "short run: no echo for %g s", options_.timeout);
        }
    }

    void print(const Reading& begin, const Reading& end) const {
        const double elapsed = seconds_between(begin.usage, end.usage);
        const double messages = static_cast<double>(end.messages - begin.messages);
        std::printf(
            "{\"url\": \"%s\", \"connections\": %llu, \"size\": %llu, \"pipeline\": %llu, "
            "\"type\": \"%s\", \"seconds\": %.3f, \"messages\": %.0f, "
            "\"messages_per_second\": %.1f, \"payload_bytes_per_second\": %.0f",
            options_.target.url.c_str(), static_cast<unsigned long long>(options_.connections),
            static_cast<unsigned long long>(options_.size),
            static_cast<unsigned long long>(options_.pipeline), options_.type.c_str(), elapsed,
            messages, messages / elapsed, messages * static_cast<double>(options_.size) / elapsed);
        print_usage(begin.usage, end.usage, messages, "message");
        if (without_echo_ > 0)
            std::printf(", \"connections_without_echo\": %llu",
                        static_cast<unsigned long long>(without_echo_));
        if (options_.rate > 0)
            std::printf(", \"rate\": %llu, \"sent_late_us\": {\"p50\": %.1f, \"p99\": %.1f}",
                        static_cast<unsigned long long>(options_.rate), lateness_.microseconds(0.5),
                        lateness_.microseconds(0.99));
        if (options_.pipeline == 1)
            std::printf(
                ", \"latency_us\": {\"p50\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}",
                tally_.latency.microseconds(0.5), tally_.latency.microseconds(0.99),
                tally_.latency.microseconds(0.999), tally_.latency.microseconds(1));
        std::printf("}\n");
    }

    static constexpr std::uint64_t kOpenLoop = 1U << 30;  // messages in flight: as many as it takes
    static constexpr int kDueAtOnce = 16;
    static constexpr std::uint64_t kWarmMessages = 2;

    const LoadOptions& options_;
    const Workload work_;
    const int epoll_;
    std::vector<char> buffer_;
    std::vector<EchoClient> clients_;
    Tally tally_;
    std::uint64_t without_echo_ = 0;  // connections that got none in the measured time
    Histogram lateness_;
    std::uint64_t sent_ = 0;  // messages of the schedule
};

}  // namespace

int main(int argc, char** argv) {
    const LoadOptions options(argc, argv);
    Load(options).run();
    return 0;
}
