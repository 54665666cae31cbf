// deflate: JSON messages to an echo server, with or without permessage-deflate. Prints one line of
// JSON: rate, CPU time, and how many bytes the messages took on the wire. Each connection has one
// message in flight. Every echo is checked: inflated, or compared with the same bytes that were
// inflated before when the server compresses every message for itself.

#include <zlib.h>

#include "frames.hpp"
#include "handshake.hpp"
#include "json_text.hpp"
#include "protocol/deflate_offer.hpp"

using namespace websocket::bench;
using websocket::protocol::DeflateSettings;

namespace {

constexpr std::size_t variants = 64;
const std::string flush_tail(websocket::protocol::kFlushTail.begin(),
                             websocket::protocol::kFlushTail.end());

struct DeflateOptions {
    Target target;
    std::uint64_t connections = 64;
    std::uint64_t size = 1024;
    std::string deflate = "on";
    std::uint64_t messages = 0;
    double duration = 5;
    double warmup = 1;
    double timeout = 20;
    std::uint64_t server_pid = 0;

    DeflateOptions(int argc, char** argv) {
        std::vector<Option> table = target_options(target);
        table.push_back(number("--connections", "connections (64)", connections, 1, 60000));
        table.push_back(number("--size", "payload bytes of a message (1024)", size, 100, 1U << 24));
        table.push_back(text("--deflate", "on|off", "whether to offer compression (on)", deflate));
        table.push_back(number("--messages",
                               "of each connection, which is then held until the input ends",
                               messages, 1, 1U << 20));
        table.push_back(seconds("--duration", "measured time (5)", duration, 0.01));
        table.push_back(seconds("--warmup", "time before it (1)", warmup, 0));
        table.push_back(seconds("--timeout", "longest time without any progress (20)", timeout, 1));
        table.push_back(
            number("--server-pid", "process whose CPU time is reported", server_pid, 1, 1U << 30));
        parse_options(argc, argv, "JSON echo load with permessage-deflate", table);
        if (deflate != "on" && deflate != "off")
            refuse_value("--deflate", deflate.c_str(), "on or off");
        if (deflate == "on")
            target.offer.deflate = websocket::protocol::DeflatePolicy{
                .enabled = true, .server_takeover = true, .client_takeover = true};
        target.resolve();
    }
};

std::string deflated(const std::string& text, int window_bits) {
    z_stream stream{};
    deflateInit2(&stream, 6, Z_DEFLATED, -window_bits, 8, Z_DEFAULT_STRATEGY);
    std::string out(deflateBound(&stream, text.size()) + 64, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    ::deflate(&stream, Z_SYNC_FLUSH);
    out.resize(stream.total_out - flush_tail.size());
    deflateEnd(&stream);
    return out;
}

// What was agreed on, and the messages as a client that did so sends them.
struct Workload {
    bool compressed = false;
    bool takeover = false;
    std::vector<std::string> texts;
    std::vector<std::string> frames;
    mutable std::vector<std::string> known;  // replies to each, inflated once

    Workload(const DeflateOptions& options, const DeflateSettings& agreed)
        : compressed(agreed.agreed()), takeover(agreed.server_takeover), known(variants) {
        for (std::uint32_t i = 0; i < variants; ++i) {
            texts.push_back(json_text(options.size, i));
            const std::string payload =
                compressed ? deflated(texts.back(), agreed.client_bits) : texts.back();
            frames.push_back(masked_frame(Opcode::text, payload, compressed));
        }
    }
};

class Client {
public:
    Client(const Workload& work, Opened&& opened, std::size_t first)
        : work_(work), stream_(std::move(opened.stream)), first_(first) {
        reader_.allow_compression(work.compressed);
    }
    ~Client() {
        if (inflate_) inflateEnd(inflate_.get());
    }
    Client(Client&&) noexcept = default;

    void start() { flush(); }
    void ready(std::span<char> buffer) {
        while (error_.empty()) {
            const ssize_t n = stream_.receive(buffer);
            if (n < 0 && errno == EAGAIN) break;
            if (n <= 0) {
                wrong(n == 0 ? "the server closed the connection" : std::strerror(errno));
                return;
            }
            const std::string_view bytes(buffer.data(), static_cast<std::size_t>(n));
            if (!reader_.read(bytes, *this) && error_.empty()) wrong(std::string(reader_.error()));
        }
        if (error_.empty()) flush();
    }

    std::uint64_t limit = ~std::uint64_t{0};  // messages to exchange
    [[nodiscard]] int fd() const { return stream_.fd(); }
    [[nodiscard]] std::uint64_t messages() const { return messages_; }
    [[nodiscard]] std::uint64_t wire() const { return wire_; }
    [[nodiscard]] const std::string& error() const { return error_; }

    // The sink of FrameReader.
    bool frame(Opcode opcode, bool fin, std::uint64_t) {
        opcode_ = opcode;
        fin_ = fin;
        if (opcode < Opcode::close && opcode != Opcode::continuation)
            compressed_ = reader_.compressed();
        return true;
    }
    bool payload(std::string_view piece) {
        (opcode_ < Opcode::close ? payload_ : control_) += piece;
        return true;
    }
    bool frame_end() {
        if (opcode_ == Opcode::close) return wrong("the server sent a Close");
        if (opcode_ == Opcode::ping) pending_ += masked_frame(Opcode::pong, control_);
        control_.clear();
        if (opcode_ >= Opcode::close || !fin_) return true;
        const bool good = check(messages_ + first_);
        wire_ += payload_.size();
        payload_.clear();
        ++messages_;
        waiting_ = false;
        return good;
    }

private:
    bool wrong(std::string what) {
        if (error_.empty()) error_ = std::move(what);
        return false;
    }
    bool check(std::uint64_t number) {
        const std::size_t variant = number % variants;
        const std::string& text = work_.texts[variant];
        if (!compressed_) return payload_ == text || wrong("an echo differs from the message");
        std::string& known = work_.known[variant];
        if (!work_.takeover && known == payload_) return true;
        if (!inflate_) {
            inflate_ = std::make_unique<z_stream>();
            inflateInit2(inflate_.get(), -15);
        }
        if (!work_.takeover) inflateReset(inflate_.get());
        std::string plain(text.size() + 1, '\0');
        const std::string input = payload_ + flush_tail;
        inflate_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
        inflate_->avail_in = static_cast<uInt>(input.size());
        inflate_->next_out = reinterpret_cast<Bytef*>(plain.data());
        inflate_->avail_out = static_cast<uInt>(plain.size());
        const int result = ::inflate(inflate_.get(), Z_SYNC_FLUSH);
        plain.resize(plain.size() - inflate_->avail_out);
        known = payload_;
        return (result == Z_OK && plain == text) || wrong("an echo differs from the message");
    }
    void flush() {
        if (!waiting_ && messages_ < limit) {
            pending_ += work_.frames[(messages_ + first_) % variants];
            waiting_ = true;
        }
        while (!pending_.empty()) {
            const ssize_t n = stream_.send(pending_);
            if (n < 0) {
                if (errno != EAGAIN) wrong(std::string("send: ") + std::strerror(errno));
                return;
            }
            pending_.erase(0, static_cast<std::size_t>(n));
        }
    }

    const Workload& work_;
    Stream stream_;
    FrameReader reader_;
    std::unique_ptr<z_stream> inflate_;
    std::string error_;
    std::string payload_;  // of the message that is coming in
    std::string control_;
    std::string pending_;  // to send
    std::uint64_t messages_ = 0;
    std::uint64_t wire_ = 0;
    std::uint64_t first_;  // of the variants
    Opcode opcode_ = Opcode::text;
    bool fin_ = true;
    bool compressed_ = false;
    bool waiting_ = false;
};

struct Totals {
    std::uint64_t messages = 0;
    std::uint64_t wire = 0;
    Usage usage;

    Totals(const std::vector<Client>& clients, std::uint64_t server_pid) : usage(server_pid) {
        for (const Client& client : clients) {
            messages += client.messages();
            wire += client.wire();
        }
    }
};

class Load {
public:
    Load(const DeflateOptions& options, std::vector<Opened>&& opened, const Workload& work)
        : options_(options), epoll_(epoll_create1(EPOLL_CLOEXEC)), buffer_(256U << 10) {
        clients_.reserve(opened.size());
        for (std::size_t i = 0; i < opened.size(); ++i)
            clients_.emplace_back(work, std::move(opened[i]), i);
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            if (options.messages != 0) clients_[i].limit = options.messages;
            watch(epoll_, clients_[i].fd(), i);
        }
    }

    [[nodiscard]] const std::vector<Client>& clients() const { return clients_; }

    void start() {
        for (Client& client : clients_) client.start();
    }
    template <class Done>
    void run(Done done) {
        std::array<epoll_event, 256> events;
        while (!done()) {
            const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                         static_cast<int>(options_.timeout * 1e3));
            if (ready == 0) fail(run_failed, "no echo for %g s", options_.timeout);
            for (int i = 0; i < ready; ++i) {
                const std::uint64_t index = events[static_cast<std::size_t>(i)].data.u64;
                if (index == input) {
                    ended_ = true;
                    continue;
                }
                clients_[index].ready(buffer_);
                if (!clients_[index].error().empty())
                    fail(run_failed, "%s", clients_[index].error().c_str());
            }
        }
    }
    // Answers Pings until a line or the end of the standard input.
    void hold() {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = input;
        if (epoll_ctl(epoll_, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0)
            fail(usage_error, "standard input must be a pipe or a terminal");
        std::array<epoll_event, 256> events;
        while (!ended_) {
            const int ready =
                epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
            for (int i = 0; i < ready; ++i) {
                const std::uint64_t index = events[static_cast<std::size_t>(i)].data.u64;
                ended_ = ended_ || index == input;
                if (index != input) clients_[index].ready(buffer_);
            }
        }
    }

private:
    static constexpr std::uint64_t input = ~std::uint64_t{0};

    const DeflateOptions& options_;
    const int epoll_;
    std::vector<char> buffer_;
    std::vector<Client> clients_;
    bool ended_ = false;
};

void print(const DeflateOptions& options, std::string_view extensions, const Totals& begin,
           const Totals& end) {
    const double elapsed = seconds_between(begin.usage, end.usage);
    const auto messages = static_cast<double>(end.messages - begin.messages);
    const auto wire = static_cast<double>(end.wire - begin.wire);
    std::printf(
        "{\"url\": \"%s\", \"extensions\": \"%.*s\", \"connections\": %llu, \"size\": %llu, "
        "\"seconds\": %.3f, \"messages\": %.0f, \"messages_per_second\": %.1f, "
        "\"wire_bytes_per_message\": %.1f, \"ratio\": %.3f",
        options.target.url.c_str(), static_cast<int>(extensions.size()), extensions.data(),
        static_cast<unsigned long long>(options.connections),
        static_cast<unsigned long long>(options.size), elapsed, messages, messages / elapsed,
        wire / messages, messages * static_cast<double>(options.size) / wire);
    print_usage(begin.usage, end.usage, messages, "message");
    std::printf("}\n");
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    const DeflateOptions options(argc, argv);
    std::vector<Opened> opened =
        open_connections(options.target, options.connections, 64, options.timeout);
    const DeflateSettings agreed = opened.front().agreement.deflate;
    const Workload work(options, agreed);
    Load load(options, std::move(opened), work);
    load.start();
    const auto after = [](double seconds) {
        const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(seconds * 1e9);
        return [end] { return now_ns() >= end; };
    };
    if (options.messages == 0) load.run(after(options.warmup));
    const Totals begin(load.clients(), options.server_pid);
    if (options.messages == 0) {
        load.run(after(options.duration));
    } else {
        load.run([&] {
            return std::all_of(
                load.clients().begin(), load.clients().end(),
                [&](const Client& one) { return one.messages() == options.messages; });
        });
    }
    print(options, describe(agreed), begin, Totals(load.clients(), options.server_pid));
    if (options.messages != 0) load.hold();
    return 0;
}
