// load: keeps K messages in flight on each of N connections to an echo server and counts the echoes, for a
// time or until there are so many. One thread; prints one line of JSON.

#include "echo_client.hpp"

using namespace websocket::bench;

namespace {

struct LoadOptions {
    Target target;
    std::uint64_t connections = 64;
    std::uint64_t size = 125;
    std::uint64_t pipeline = 1;
    std::string type = "binary";
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
        table.push_back(number("--messages", "on each connection, then end, however long it takes",
                               messages, 1, 1U << 30));
        table.push_back(text("--type", "text|binary", "of the messages (binary)", type));
        table.push_back(seconds("--duration", "measured time (5)", duration, 0.01));
        table.push_back(seconds("--warmup", "time before it (1)", warmup, 0));
        table.push_back(
            seconds("--timeout", "longest time without any progress (10)", timeout, 0.1));
        table.push_back(
            number("--server-pid", "process whose CPU time is reported", server_pid, 1, 1U << 30));
        parse_options(argc, argv, "WebSocket echo load", table);
        if (type != "text" && type != "binary")
            refuse_value("--type", type.c_str(), "text or binary");
        if (server_pid != 0 && cpu_seconds_of(server_pid) < 0)
            fail(usage_error, "--server-pid: there is no process %llu",
                 static_cast<unsigned long long>(server_pid));
        target.resolve();
    }
};

// Counters at one end of the measured time.
struct Reading {
    std::uint64_t at = now_ns();
    std::uint64_t messages = 0;
    double own_cpu = own_cpu_seconds();
    double server_cpu = -1;
    double machine_cpu = machine_cpu_seconds();

    Reading(const Tally& tally, std::uint64_t server_pid) : messages(tally.messages) {
        if (server_pid != 0) server_cpu = cpu_seconds_of(server_pid);
    }
};

class Load {
public:
    explicit Load(const LoadOptions& options)
        : options_(options),
          work_(options.type == "text" ? Opcode::text : Opcode::binary, options.size,
                options.pipeline, options.messages > 0 ? options.messages : UINT64_MAX),
          epoll_(epoll_create1(EPOLL_CLOEXEC)), buffer_(256U << 10) {
        clients_.reserve(options.connections);
        for (Opened& opened :
             open_connections(options.target, options.connections, 64, options.timeout))
            clients_.emplace_back(work_, std::move(opened));
    }

    void run() {
        if (options_.messages > 0)
            run_counted();
        else
            run_timed();
        for (EchoClient& client : clients_) client.finish();
    }

private:
    void start() {
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            watch(epoll_, clients_[i].fd(), i);
            clients_[i].start();
            check(clients_[i]);
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
        std::vector<std::uint64_t> before;
        for (const EchoClient& client : clients_) before.push_back(client.messages());
        tally_.timing = options_.pipeline == 1;
        const Reading begin(tally_, options_.server_pid);
        run_until([] { return false; }, ns_after(options_.duration));
        const Reading end(tally_, options_.server_pid);
        tally_.timing = false;

        std::size_t silent = 0;
        for (std::size_t i = 0; i < clients_.size(); ++i)
            silent += clients_[i].messages() == before[i];
        if (silent > 0)
            fail(run_failed, "short run: %zu of %zu connections got no echo within %g s", silent,
                 clients_.size(), options_.duration);
        print(begin, end);

        // The server finds a clean end and the next run an idle server.
        tally_.draining = true;
        const std::uint64_t all = end.messages + options_.connections * options_.pipeline;
        run_until([&] { return tally_.messages == all; }, ns_after(options_.timeout));
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
            const std::uint64_t left_ms = std::min<std::uint64_t>((end - now) / 1'000'000, 100);
            const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                         static_cast<int>(left_ms));
            for (int i = 0; i < ready; ++i) {
                EchoClient& client = clients_[events[static_cast<std::size_t>(i)].data.u64];
                client.ready(buffer_, tally_);
                check(client);
            }
            now = now_ns();
            if (tally_.messages != messages) {
                messages = tally_.messages;
                last_message = now;
            }
            if (now - last_message > patience)
                fail(run_failed, "short run: no echo for %g s", options_.timeout);
        }
    }

    void print(const Reading& begin, const Reading& end) const {
        const double elapsed = static_cast<double>(end.at - begin.at) * 1e-9;
        const double messages = static_cast<double>(end.messages - begin.messages);
        std::printf(
            "{\"url\": \"%s\", \"connections\": %llu, \"size\": %llu, \"pipeline\": %llu, "
            "\"type\": \"%s\", \"seconds\": %.3f, \"messages\": %.0f, "
            "\"messages_per_second\": %.1f, \"payload_bytes_per_second\": %.0f, "
            "\"client_cpu_percent\": %.1f",
            options_.target.url.c_str(), static_cast<unsigned long long>(options_.connections),
            static_cast<unsigned long long>(options_.size),
            static_cast<unsigned long long>(options_.pipeline), options_.type.c_str(), elapsed,
            messages, messages / elapsed, messages * static_cast<double>(options_.size) / elapsed,
            100 * (end.own_cpu - begin.own_cpu) / elapsed);
        if (begin.server_cpu >= 0 && end.server_cpu >= 0) {
            const double cpu = end.server_cpu - begin.server_cpu;
            const double others =
                end.machine_cpu - begin.machine_cpu - cpu - (end.own_cpu - begin.own_cpu);
            std::printf(", \"server_cpu_percent\": %.1f, \"server_cpu_us_per_message\": %.4f, "
                        "\"other_cpu_percent\": %.1f",
                        100 * cpu / elapsed, cpu * 1e6 / messages,
                        100 * std::max(others, 0.0) / elapsed);
        }
        if (options_.pipeline == 1)
            std::printf(
                ", \"latency_us\": {\"p50\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}",
                tally_.latency.microseconds(0.5), tally_.latency.microseconds(0.99),
                tally_.latency.microseconds(0.999), tally_.latency.microseconds(1));
        std::printf("}\n");
    }

    const LoadOptions& options_;
    const Workload work_;
    const int epoll_;
    std::vector<char> buffer_;
    std::vector<EchoClient> clients_;
    Tally tally_;
};

}  // namespace

int main(int argc, char** argv) {
    const LoadOptions options(argc, argv);
    Load(options).run();
    return 0;
}
