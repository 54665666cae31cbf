// publish: POSTs messages to a topic over N connections that are kept, one request at a time on each. Prints one line
// of JSON with the publications a second. An answer that is not 200, or says something else of how many subscribe than
// --subscribers, fails the run.

#include <optional>

#include "handshake.hpp"
#include "http_exchange.hpp"

using namespace websocket::bench;

namespace {

// One connection, which sends the next request when the answer to the one before has come.
class Publisher {
public:
    Publisher(const Target& target, std::size_t index, const std::string& request)
        : stream_(target.connect(index), target.tls.get()), request_(request) {
        if (stream_.fd() < 0) error_ = std::string("connect: ") + std::strerror(errno);
    }

    // Does what can be done without waiting; returns how many answers came. error() when that was the last time.
    [[nodiscard]] std::uint64_t advance(Histogram* latency);
    [[nodiscard]] int fd() const { return stream_.fd(); }
    [[nodiscard]] const std::string& error() const { return error_; }
    // What the last answer said.
    [[nodiscard]] const std::string& answer() const { return answer_; }

private:
    [[nodiscard]] bool may_wait(const char* doing) {
        if (errno != EAGAIN && errno != ENOTCONN)
            error_ = std::string(doing) + ": " + std::strerror(errno);
        return false;
    }
    // False when it has to wait, or failed.
    [[nodiscard]] bool secure();
    [[nodiscard]] bool send();
    [[nodiscard]] bool receive();
    [[nodiscard]] bool take(std::string_view bytes);

    Stream stream_;
    const std::string& request_;
    bool secured_ = false;
    std::size_t sent_ = 0;
    std::uint64_t begun_ = 0;
    std::optional<HttpResponse> response_;
    std::string answer_;
    std::string error_;
};

bool Publisher::secure() {
    if (secured_) return true;
    const int result = stream_.shake_hands();
    secured_ = result == 1;
    if (result == 0) error_ = "TLS handshake: the server closed the connection";
    return secured_ || (result < 0 && may_wait("TLS handshake"));
}

bool Publisher::send() {
    if (sent_ == 0) {
        begun_ = now_ns();
        response_.emplace();
    }
    while (sent_ < request_.size()) {
        const ssize_t n = stream_.send(std::string_view(request_).substr(sent_));
        if (n < 0) return may_wait("send");
        sent_ += static_cast<std::size_t>(n);
    }
    return true;
}

bool Publisher::take(std::string_view bytes) {
    if (response_->consume(bytes) < bytes.size()) {
        error_ = "something came behind an answer";
    } else if (response_->status() == HttpResponse::Status::failed) {
        error_ = response_->error();
    } else if (response_->status() == HttpResponse::Status::complete) {
        answer_ = response_->body();
        const unsigned status = response_->head().status;
        if (status != 200) error_ = "status " + std::to_string(status) + ": " + answer_;
        return error_.empty();
    }
    return false;
}

bool Publisher::receive() {
    std::array<char, 4096> buffer;
    while (error_.empty()) {
        const ssize_t n = stream_.receive(buffer);
        if (n < 0) return may_wait("receive");
        if (n == 0) {
            error_ = "the server closed the connection";
        } else if (take({buffer.data(), static_cast<std::size_t>(n)})) {
            return true;
        }
    }
    return false;
}

std::uint64_t Publisher::advance(Histogram* latency) {
    std::uint64_t answers = 0;
    while (error_.empty() && secure() && send() && receive()) {
        sent_ = 0;
        ++answers;
        if (latency) latency->add(now_ns() - begun_);
    }
    return answers;
}

class Publishing {
public:
    Publishing(const Target& target, std::size_t connections, std::string request, double timeout)
        : request_(std::move(request)), timeout_(timeout), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
        need_descriptors(connections);
        publishers_.reserve(connections);
        for (std::size_t i = 0; i < connections; ++i) {
            publishers_.emplace_back(target, i, request_);
            check(publishers_.back());
            watch(epoll_, publishers_.back().fd(), i);
        }
    }

    // Returns the publications that were answered meanwhile.
    std::uint64_t run_for(double duration, Histogram* latency) {
        const std::uint64_t before = done_;
        const std::uint64_t end = ns_after(duration);
        std::uint64_t last = now_ns();
        std::array<epoll_event, 256> events;
        for (std::uint64_t now = last; now < end; now = now_ns()) {
            const int ready =
                epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 10);
            for (int i = 0; i < ready; ++i) {
                Publisher& one = publishers_[events[static_cast<std::size_t>(i)].data.u64];
                const std::uint64_t answers = one.advance(latency);
                check(one);
                done_ += answers;
                if (answers > 0) last = now_ns();
            }
            if (static_cast<double>(now_ns() - last) > timeout_ * 1e9)
                fail(run_failed, "short run: no answer for %g s", timeout_);
        }
        return done_ - before;
    }

    // Fails the run unless the last answers say so.
    void expect_subscribers(std::uint64_t count) const {
        const std::string wanted = "\"subscribers\":" + std::to_string(count) + '}';
        for (const Publisher& one : publishers_) {
            if (!one.answer().empty() && one.answer().find(wanted) == std::string::npos)
                fail(run_failed, "an answer without %s: %s", wanted.c_str(), one.answer().c_str());
        }
    }

private:
    static void check(const Publisher& one) {
        if (!one.error().empty()) fail(run_failed, "%s", one.error().c_str());
    }

    const std::string request_;
    const double timeout_;
    const int epoll_;
    std::vector<Publisher> publishers_;
    std::uint64_t done_ = 0;
};

std::string request_for(const Target& target, std::uint64_t size) {
    const std::string more =
        "Content-Type: text/plain\r\nContent-Length: " + std::to_string(size) + "\r\n";
    return http_request("POST", target.offer, more, std::string(size, 'x'));
}

}  // namespace

int main(int argc, char** argv) {
    Target target;
    std::uint64_t connections = 16;
    std::uint64_t size = 125;
    std::uint64_t subscribers = UINT64_MAX;
    std::uint64_t server_pid = 0;
    double duration = 5;
    double warmup = 1;
    double timeout = 10;
    std::vector<Option> table = target_options(target);
    table.push_back(number("--connections", "that publish (16)", connections, 1, 10000));
    table.push_back(number("--size", "bytes of a message (125)", size, 1, 1U << 20));
    table.push_back(
        number("--subscribers", "how many each answer has to tell", subscribers, 0, 1U << 30));
    table.push_back(seconds("--duration", "measured time (5)", duration, 0.01));
    table.push_back(seconds("--warmup", "time before it (1)", warmup, 0));
    table.push_back(seconds("--timeout", "longest time without any progress (10)", timeout, 0.1));
    table.push_back(
        number("--server-pid", "process whose CPU time is reported", server_pid, 1, 1U << 30));
    parse_options(argc, argv, "publishes by HTTP", table);
    target.resolve();

    Publishing publishing(target, connections, request_for(target, size), timeout);
    publishing.run_for(warmup, nullptr);
    Histogram latency;
    const Usage begin(server_pid);
    const auto done = static_cast<double>(publishing.run_for(duration, &latency));
    const Usage end(server_pid);
    if (done == 0) fail(run_failed, "short run: no answer within %g s", duration);
    if (subscribers != UINT64_MAX) publishing.expect_subscribers(subscribers);
    const double elapsed = seconds_between(begin, end);
    std::printf("{\"connections\": %llu, \"size\": %llu, \"seconds\": %.3f, "
                "\"publications\": %.0f, \"publications_per_second\": %.1f",
                static_cast<unsigned long long>(connections), static_cast<unsigned long long>(size),
                elapsed, done, done / elapsed);
    print_usage(begin, end, done, "publication");
    std::printf(
        ", \"latency_us\": {\"p50\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}}\n",
        latency.microseconds(0.5), latency.microseconds(0.99), latency.microseconds(0.999),
        latency.microseconds(1));
    return 0;
}
