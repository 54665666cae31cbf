// One connection of the load: keeps K messages in flight, or sends when a schedule says so, and checks what
// comes back.
#pragma once

#include <cerrno>
#include <cmath>

#include "frames.hpp"
#include "handshake.hpp"
#include "measure.hpp"

namespace websocket::bench {

enum class Content { bytes, ascii, accents };

// `size` bytes, the same in each run. Accents: UTF-8 in which about each sixth character has two bytes, as in
// French or Polish.
inline std::string made_payload(Content content, std::uint64_t size) {
    std::string payload;
    std::uint32_t state = 12345;
    while (payload.size() < size) {
        state = state * 1664525 + 1013904223;
        const std::uint32_t byte = state >> 24;
        if (content == Content::accents && byte % 6 == 0 && payload.size() + 2 <= size) {
            payload += '\xc3';
            payload += static_cast<char>(0xa0 + byte % 32);  // from U+00E0 on
        } else {
            payload += static_cast<char>(content == Content::bytes ? byte : ' ' + byte % 95);
        }
    }
    return payload;
}

// What every connection of a run sends and expects, made once.
struct Workload {
    Opcode opcode;
    std::string payload;
    std::uint64_t in_flight;  // at most
    std::uint64_t limit;      // messages that a connection sends in all

    std::string frame;         // masked, as sent
    std::string frames;        // the same several times over, so that one send can carry many
    std::string reply_header;  // of the echo when it is sent in one frame
    bool check_every_message;  // else the first two of each connection, then lengths alone
    bool discard_in_kernel;    // recv with MSG_TRUNC: payloads that nobody looks at are not copied

    Workload(Content content, std::uint64_t size, std::uint64_t pipeline, std::uint64_t most)
        : opcode(content == Content::bytes ? Opcode::binary : Opcode::text),
          payload(made_payload(content, size)), in_flight(pipeline), limit(most),
          check_every_message(size <= 4096), discard_in_kernel(size > 65536) {
        frame = masked_frame(opcode, payload);
        const std::uint64_t copies =
            std::clamp<std::uint64_t>((256U << 10) / frame.size(), 1, pipeline);
        for (std::uint64_t i = 0; i < copies; ++i) frames += frame;
        const protocol::EncodedHeader header(opcode, size);
        reply_header.assign(header.bytes().begin(), header.bytes().end());
    }
};

// An open loop: messages leave at a fixed rate whether or not echoes are back, one connection after the other.
// A latency counts from the time that was planned, so that a server which stops for a while is charged for
// every message that it makes wait, not for one.
class Schedule {
public:
    Schedule(double per_second, std::uint64_t connections)
        : gap_(1e9 / per_second), connections_(connections), start_(now_ns()) {}

    // On the clock of now_ns(), of a message of all connections.
    [[nodiscard]] std::uint64_t planned(std::uint64_t message) const {
        return start_ + static_cast<std::uint64_t>(gap_ * static_cast<double>(message));
    }
    [[nodiscard]] std::uint64_t connection_of(std::uint64_t message) const {
        return message % connections_;
    }
    // The first message that is planned for that time or later.
    [[nodiscard]] std::uint64_t first_from(std::uint64_t time) const {
        if (time <= start_) return 0;
        return static_cast<std::uint64_t>(std::ceil(static_cast<double>(time - start_) / gap_));
    }
    [[nodiscard]] std::uint64_t message(std::uint64_t connection, std::uint64_t number) const {
        return number * connections_ + connection;
    }

private:
    const double gap_;  // ns
    const std::uint64_t connections_;
    const std::uint64_t start_;
};

// What the connections of a run add up.
struct Tally {
    std::uint64_t messages = 0;
    Histogram latency;
    const Schedule* schedule = nullptr;  // null: a closed loop
    std::uint64_t first_timed = 0;       // messages of the schedule whose latency counts
    std::uint64_t end_timed = UINT64_MAX;
    bool timing = false;    // past the warm-up, and one message in flight or a schedule
    bool draining = false;  // nothing new is sent
};

class EchoClient {
public:
    EchoClient(const Workload& work, std::uint64_t index, Opened&& opened)
        : work_(work), index_(index), stream_(std::move(opened.stream)) {
        consume(opened.rest);
    }

    void start() {
        send_more(work_.in_flight);
        flush();
    }
    // One message of the schedule.
    void send_one() {
        send_more(1);
        flush();
    }
    // Reads all there is; in a closed loop sends as many messages as came back, up to the limit.
    void ready(std::span<char> buffer, Tally& tally);

    // Once all echoes are back: a clean end, without a reset.
    void finish() {
        control_ = masked_frame(Opcode::close, "\x03\xe8");
        flush();
        stream_.close();
    }

    [[nodiscard]] int fd() const { return stream_.fd(); }
    [[nodiscard]] std::uint64_t messages() const { return messages_; }
    // Empty as long as all is well.
    [[nodiscard]] const std::string& error() const { return error_; }

    // The sink of FrameReader.
    bool frame(Opcode opcode, bool fin, std::uint64_t length);
    bool payload(std::string_view piece);
    bool frame_end();

private:
    bool wrong(std::string what) {
        if (error_.empty()) error_ = std::move(what);
        return false;
    }
    void consume(std::string_view bytes);
    // recv of what must be looked at, or of payload to throw away; bytes read, 0 when there is no more.
    std::size_t receive(std::span<char> buffer, bool& drained);
    [[nodiscard]] bool look_at_payload() const {
        return work_.check_every_message || messages_ < 2;
    }
    void send_more(std::uint64_t messages) {
        messages = std::min(messages, work_.limit - sent_);
        sent_ += messages;
        to_send_ += messages * work_.frame.size();
    }
    void flush();

    // Latencies of the messages from that one on, which have just come back.
    void time_since(std::uint64_t first, Tally& tally);

    const Workload& work_;
    const std::uint64_t index_;  // of this connection
    Stream stream_;
    FrameReader reader_;
    std::string error_;

    std::uint64_t messages_ = 0;
    std::uint64_t message_size_ = 0;  // of the message being received
    bool in_message_ = false;
    Opcode opcode_ = Opcode::text;  // of the frame being received
    bool fin_ = true;
    std::string control_payload_;

    std::uint64_t sent_ = 0;     // messages, those in to_send_ included
    std::uint64_t to_send_ = 0;  // bytes of data frames
    std::size_t phase_ = 0;      // position in the frame being sent
    std::string control_;        // a Pong, waiting for the end of that frame
    std::uint64_t sent_at_ = 0;  // 0: sent before the timing began
};

inline bool EchoClient::frame(Opcode opcode, bool fin, std::uint64_t length) {
    opcode_ = opcode;
    fin_ = fin;
    if (opcode >= Opcode::close) {
        control_payload_.clear();
        return length <= 125 || wrong("a control frame of more than 125 bytes");
    }
    if (opcode != (in_message_ ? Opcode::continuation : work_.opcode))
        return wrong("an echo of the wrong type");
    in_message_ = true;
    message_size_ += length;
    return message_size_ <= work_.payload.size() || wrong("an echo is longer than the message");
}

inline bool EchoClient::payload(std::string_view piece) {
    if (opcode_ >= Opcode::close) {
        control_payload_ += piece;
        return true;
    }
    if (!look_at_payload()) return true;
    const std::size_t at = message_size_ - reader_.payload_left() - piece.size();
    return work_.payload.compare(at, piece.size(), piece) == 0 ||
           wrong("an echo differs from the message");
}

inline bool EchoClient::frame_end() {
    if (opcode_ == Opcode::close) {
        const auto byte = [this](std::size_t i) {
            return static_cast<unsigned char>(control_payload_[i]);
        };
        if (control_payload_.size() < 2) return wrong("the server sent Close without a code");
        return wrong("the server sent Close " + std::to_string(byte(0) * 256 + byte(1)) + " " +
                     control_payload_.substr(2));
    }
    if (opcode_ == Opcode::ping) control_ = masked_frame(Opcode::pong, control_payload_);
    if (opcode_ >= Opcode::close || !fin_) return true;
    if (message_size_ != work_.payload.size()) return wrong("an echo is shorter than the message");
    in_message_ = false;
    message_size_ = 0;
    ++messages_;
    return true;
}

inline void EchoClient::consume(std::string_view bytes) {
    // Whole echoes of one frame each, the usual case, are compared as they lie.
    const std::string& header = work_.reply_header;
    const std::string& payload = work_.payload;
    const std::size_t reply = header.size() + payload.size();
    while (!in_message_ && reader_.at_boundary() && bytes.size() >= reply &&
           bytes.compare(0, header.size(), header) == 0) {
        if (look_at_payload() && bytes.compare(header.size(), payload.size(), payload) != 0) {
            wrong("an echo differs from the message");
            return;
        }
        ++messages_;
        bytes.remove_prefix(reply);
    }
    if (!bytes.empty() && !reader_.read(bytes, *this) && error_.empty())
        wrong(std::string(reader_.error()));
}

inline std::size_t EchoClient::receive(std::span<char> buffer, bool& drained) {
    const std::uint64_t left = reader_.payload_left();
    const bool may_discard = work_.discard_in_kernel && !look_at_payload();
    const bool discard = may_discard && left > 0 && opcode_ < Opcode::close;
    std::size_t wanted = buffer.size();
    if (discard)
        wanted = left;
    else if (may_discard)
        wanted = work_.reply_header.size();
    if (stream_.has_tls()) wanted = std::min(wanted, buffer.size());
    const ssize_t n =
        discard ? stream_.discard(wanted, buffer) : stream_.receive(buffer.first(wanted));
    if (n < 0 && errno == EAGAIN) {
        drained = true;
        return 0;
    }
    if (n <= 0) {
        wrong(n == 0 ? "the server closed the connection"
                     : std::string("recv: ") + std::strerror(errno));
        return 0;
    }
    const std::size_t got = static_cast<std::size_t>(n);
    // Less than asked for: the socket is empty, and its next byte raises a new edge.
    drained = got < wanted;
    if (discard)
        reader_.skip(got, *this);
    else
        consume({buffer.data(), got});
    return got;
}

inline void EchoClient::ready(std::span<char> buffer, Tally& tally) {
    const std::uint64_t before = messages_;
    const std::uint64_t goal = before + work_.in_flight;
    bool drained = false;
    while (!drained && error_.empty() && messages_ < goal) receive(buffer, drained);
    const std::uint64_t came_back = messages_ - before;
    if (came_back > 0) {
        tally.messages += came_back;
        if (!tally.draining && tally.schedule == nullptr) send_more(came_back);
        if (tally.timing) time_since(before, tally);
    }
    if (error_.empty()) flush();
}

inline void EchoClient::time_since(std::uint64_t first, Tally& tally) {
    const std::uint64_t now = now_ns();
    if (tally.schedule == nullptr) {
        if (sent_at_ != 0) tally.latency.add(now - sent_at_);
        sent_at_ = now;
        return;
    }
    for (std::uint64_t number = first; number < messages_; ++number) {
        const std::uint64_t message = tally.schedule->message(index_, number);
        if (message >= tally.first_timed && message < tally.end_timed)
            tally.latency.add(now - tally.schedule->planned(message));
    }
}

inline void EchoClient::flush() {
    if (stream_.flush() != 1) {
        if (errno != EAGAIN) wrong(std::string("send: ") + std::strerror(errno));
        return;
    }
    while (to_send_ > 0 || !control_.empty()) {
        const bool control = phase_ == 0 && !control_.empty();
        std::string_view bytes =
            control ? std::string_view(control_) : std::string_view(work_.frames);
        if (!control) {
            bytes.remove_prefix(phase_);
            const std::uint64_t limit = control_.empty() ? to_send_ : work_.frame.size() - phase_;
            bytes = bytes.substr(0, std::min<std::uint64_t>(limit, bytes.size()));
        }
        const ssize_t n = stream_.send(bytes);
        if (n < 0) {
            if (errno != EAGAIN) wrong(std::string("send: ") + std::strerror(errno));
            return;
        }
        const std::size_t sent = static_cast<std::size_t>(n);
        if (control) {
            if (sent < control_.size()) {
                wrong("a Pong did not fit the socket");
                return;
            }
            control_.clear();
            continue;
        }
        to_send_ -= sent;
        phase_ = (phase_ + sent) % work_.frame.size();
    }
}

}  // namespace websocket::bench
