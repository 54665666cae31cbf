// churn: connects, upgrades, closes, and again, on N connections at a time. Prints one line of JSON with
// the rounds a second.

#include "frames.hpp"
#include "handshake.hpp"

using namespace websocket::bench;

namespace {

// Each slot connects from an address of its own for a while, so that ports do not run out.
constexpr std::size_t source_addresses = 32;

// One round: handshake, Close 1000, the server's Close.
class Round {
public:
    Round(const Target& target, std::size_t index) : handshake_(target, index), begun_(now_ns()) {}

    [[nodiscard]] Progress advance(Histogram* latency) {
        if (!upgraded_) {
            const Progress progress = handshake_.advance();
            if (progress != Progress::open) return progress;
            upgraded_ = true;
            if (latency) latency->add(now_ns() - begun_);
            static const std::string close_frame = masked_frame(Opcode::close, "\x03\xe8");
            if (handshake_.stream().send(close_frame) < 0)
                return refuse("send: " + std::string(std::strerror(errno)));
            const std::string rest = handshake_.take_rest();
            if (!reader_.read(rest, *this)) return finish();
        }
        std::array<char, 1024> buffer;
        while (true) {
            const ssize_t n = handshake_.stream().receive(buffer);
            if (n < 0 && errno == EAGAIN) return Progress::waiting;
            if (n <= 0)
                return refuse(n == 0 ? "the server closed without a Close frame"
                                     : std::strerror(errno));
            if (!reader_.read({buffer.data(), static_cast<std::size_t>(n)}, *this)) return finish();
        }
    }
    [[nodiscard]] int fd() const { return handshake_.fd(); }
    [[nodiscard]] const std::string& error() const {
        return error_.empty() ? handshake_.error() : error_;
    }

    bool frame(Opcode opcode, bool, std::uint64_t) {
        opcode_ = opcode;
        return true;
    }
    bool payload(std::string_view) { return true; }
    bool frame_end() {
        closed_ = opcode_ == Opcode::close;
        return !closed_;
    }

private:
    [[nodiscard]] Progress refuse(std::string why) {
        error_ = std::move(why);
        return Progress::failed;
    }
    [[nodiscard]] Progress finish() {
        return closed_ ? Progress::open : refuse("broken framing: " + std::string(reader_.error()));
    }

    Handshake handshake_;
    FrameReader reader_;
    std::uint64_t begun_;
    Opcode opcode_ = Opcode::text;
    bool upgraded_ = false;
    bool closed_ = false;
    std::string error_;
};

class Churn {
public:
    Churn(const Target& target, std::size_t slots, double timeout)
        : target_(target), timeout_(timeout), epoll_(epoll_create1(EPOLL_CLOEXEC)), rounds_(slots) {
        need_descriptors(slots);
        for (std::size_t i = 0; i < slots; ++i) begin(i);
    }

    // Returns the rounds that ended meanwhile.
    std::uint64_t run_for(double duration, Histogram* latency) {
        const std::uint64_t before = done_;
        std::uint64_t now = now_ns();
        std::uint64_t last = now;
        std::uint64_t seen = done_;
        const std::uint64_t end = now + static_cast<std::uint64_t>(duration * 1e9);
        std::array<epoll_event, 256> events;
        while (now < end) {
            const int ready =
                epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 10);
            for (int i = 0; i < ready; ++i)
                advance(events[static_cast<std::size_t>(i)].data.u64, latency);
            now = now_ns();
            if (done_ != seen) {
                seen = done_;
                last = now;
            }
            if (static_cast<double>(now - last) > timeout_ * 1e9)
                fail(run_failed, "short run: no round ended for %g s", timeout_);
        }
        return done_ - before;
    }

private:
    void begin(std::size_t slot) {
        const std::size_t source = started_++ % source_addresses;
        rounds_[slot] = std::make_unique<Round>(target_, source * connections_per_source);
        if (rounds_[slot]->fd() < 0) fail(run_failed, "%s", rounds_[slot]->error().c_str());
        watch(epoll_, rounds_[slot]->fd(), slot);
    }
    void advance(std::size_t slot, Histogram* latency) {
        const Progress progress = rounds_[slot]->advance(latency);
        if (progress == Progress::failed)
            fail(run_failed, "after %llu rounds: %s", static_cast<unsigned long long>(done_),
                 rounds_[slot]->error().c_str());
        if (progress == Progress::waiting) return;
        ++done_;
        begin(slot);
    }

    const Target& target_;
    const double timeout_;
    const int epoll_;
    std::vector<std::unique_ptr<Round>> rounds_;
    std::uint64_t started_ = 0;
    std::uint64_t done_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    Target target;
    std::uint64_t slots = 64;
    std::uint64_t server_pid = 0;
    double duration = 5;
    double warmup = 1;
    double timeout = 10;
    std::vector<Option> table = target_options(target);
    table.push_back(number("--connections", "connections at a time (64)", slots, 1, 10000));
    table.push_back(seconds("--duration", "measured time (5)", duration, 0.01));
    table.push_back(seconds("--warmup", "time before it (1)", warmup, 0));
    table.push_back(seconds("--timeout", "longest time without any progress (10)", timeout, 0.1));
    table.push_back(
        number("--server-pid", "process whose CPU time is reported", server_pid, 1, 1U << 30));
    parse_options(argc, argv, "WebSocket connect and close rounds", table);
    target.resolve();

    Churn churn(target, slots, timeout);
    churn.run_for(warmup, nullptr);
    Histogram latency;
    const Usage begin(server_pid);
    const double rounds = static_cast<double>(churn.run_for(duration, &latency));
    const Usage end(server_pid);
    const double elapsed = seconds_between(begin, end);
    std::printf("{\"connections\": %llu, \"seconds\": %.3f, \"rounds\": %.0f, "
                "\"rounds_per_second\": %.1f",
                static_cast<unsigned long long>(slots), elapsed, rounds, rounds / elapsed);
    print_usage(begin, end, rounds, "round");
    std::printf(", \"handshake_us\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}}\n",
                latency.microseconds(0.5), latency.microseconds(0.99), latency.microseconds(1));
    return 0;
}
