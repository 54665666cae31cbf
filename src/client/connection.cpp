// SPDX-License-Identifier: Apache-2.0
#include "client/connection.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

#include "protocol/close_code.hpp"

namespace websocket::client {

namespace {

constexpr std::uint16_t kNoStatus = 1005;
constexpr std::uint16_t kAbnormal = 1006;

std::string in_words(std::chrono::milliseconds time) {
    return std::to_string(time.count()) + " ms";
}

}  // namespace

Connection::Connection(EventThread& thread, net::Resolver& resolver, ConnectionListener& listener,
                       ConnectionSettings settings)
    : thread_(thread), resolver_(resolver), listener_(&listener), settings_(std::move(settings)),
      timer_(thread.reactor(), [this] { guarded([this] { time_is_over(); }); }),
      idle_timer_(thread.reactor(), [this] { guarded([this] { look_at_idleness(); }); }) {}

/// Whatever happens in a step, this outlives it. Memory that is missing costs the connection.
template <class Step>
void Connection::guarded(Step step) noexcept {
    const std::shared_ptr<Connection> alive = weak_from_this().lock();
    if (alive == nullptr || phase_ == Phase::ended) {
        return;
    }
    try {
        step();
    } catch (const std::bad_alloc&) {
        fail("out of memory");
    } catch (const std::runtime_error& error) {  // no random bytes
        fail(error.what());
    }
}

// --- the way to open -----------------------------------------------------------------------------

void Connection::dial() {
    guarded([this] {
        timer_.start(settings_.connect_timeout);
        const auto self = weak_from_this();
        resolver_.resolve(settings_.uri.host, settings_.uri.port,
                          [self](std::vector<net::Address> addresses, const std::string& error) {
                              if (const auto connection = self.lock()) {
                                  connection->guarded(
                                      [&] { connection->resolved(std::move(addresses), error); });
                              }
                          });
    });
}

void Connection::resolved(std::vector<net::Address> addresses, const std::string& error) {
    if (addresses.empty()) {
        fail("no address of " + settings_.uri.host + " was found: " + error);
        return;
    }
    connector_ =
        std::make_unique<net::Connector>(thread_.reactor(), std::move(addresses),
                                         [this](base::Descriptor socket, const std::string& why) {
                                             guarded([&] { connected(std::move(socket), why); });
                                         });
}

void Connection::connected(base::Descriptor socket, const std::string& error) {
    connector_.reset();
    if (!socket.valid()) {
        fail(error);
        return;
    }
    polled_ = socket.get();
    if (!thread_.reactor().add(polled_, *this, events_)) {
        const int reason = errno;
        polled_ = -1;
        fail(std::strerror(reason));
        return;
    }
    if (settings_.uri.tls) {
        tls_ = std::make_unique<net::TlsClientHandshake>(
            settings_.tls->make_ssl(settings_.uri.host), std::move(socket));
        phase_ = Phase::tls;
        step_tls();
    } else {
        transport_.emplace(std::move(socket));
        begin_handshake();
    }
}

void Connection::step_tls() {
    switch (tls_->advance()) {
        case net::TlsClientHandshake::Status::waiting: poll(); return;
        case net::TlsClientHandshake::Status::failed: fail(tls_->error()); return;
        case net::TlsClientHandshake::Status::done: break;
    }
    transport_.emplace(tls_->release());
    tls_.reset();
    begin_handshake();
}

void Connection::begin_handshake() {
    protocol::ClientOffer offer = settings_.offer;
    offer.host = settings_.uri.authority;
    offer.target = settings_.uri.target;
    handshake_.emplace(std::move(offer));
    phase_ = Phase::handshake;
    if (handshake_->status() != protocol::ClientHandshake::Status::waiting) {
        fail(handshake_->error());
        return;
    }
    const std::string& request = handshake_->request();
    out_.append(std::span(reinterpret_cast<const std::uint8_t*>(request.data()), request.size()));
    write();
}

void Connection::opened() {
    phase_ = Phase::open;
    opened_ = true;
    handshake_.reset();
    timer_.stop();
    if (settings_.idle_timeout.count() > 0) {
        idle_timer_.start(settings_.idle_timeout);
    }
    listener_->on_open();
}

// --- reading -------------------------------------------------------------------------------------

void Connection::on_ready(std::uint32_t /*events*/) {
    guarded([this] {
        if (phase_ == Phase::tls) {
            step_tls();
            return;
        }
        // TLS may have to read before it can write, and the other way round; to try is cheap.
        if (!out_.empty()) {
            write();
        }
        read();
    });
}

void Connection::read() {
    constexpr int kMostReads = 16;  // then others have their turn
    // Of all connections of the thread: what is left in it is copied.
    thread_local std::array<std::uint8_t, std::size_t{64} << 10> buffer;
    for (int i = 0; i < kMostReads && phase_ != Phase::ended; ++i) {
        const net::IoResult result = transport_->read(buffer);
        if (result.status == net::IoStatus::done || result.count > 0) {
            heard_ = thread_.reactor().time();
        }
        if (result.status == net::IoStatus::closed || result.status == net::IoStatus::failed) {
            peer_shut();
            return;
        }
        if (result.status == net::IoStatus::would_block) {
            break;
        }
        process(std::span(buffer).first(result.count));
        if (phase_ != Phase::ended && !transport_->pending() && result.count < buffer.size()) {
            break;
        }
    }
    if (phase_ == Phase::ended) {
        return;
    }
    if (transport_->pending()) {  // which polling does not show
        thread_.post([self = weak_from_this()] {
            if (const auto connection = self.lock()) {
                connection->on_ready(0);
            }
        });
    }
    poll();
}

void Connection::process(std::span<std::uint8_t> bytes) {
    if (phase_ == Phase::handshake) {
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        bytes = bytes.subspan(handshake_->consume(text));
        switch (handshake_->status()) {
            case protocol::ClientHandshake::Status::waiting: return;
            case protocol::ClientHandshake::Status::open: opened(); break;
            default: fail(handshake_->error()); return;
        }
    }
    if (!bytes.empty() && phase_ != Phase::ended && !peer_close_) {
        process_frames(bytes);
    }
}

struct Connection::Sink {
    protocol::Next on_message(protocol::MessageType type, std::span<std::uint8_t> payload,
                              base::ByteBuffer* /*owner*/) {
        connection.received_.push_back({type, std::string(payload.begin(), payload.end())});
        return protocol::Next::more;
    }
    protocol::Next on_ping(std::span<std::uint8_t> payload) {
        // RFC 6455 section 5.5.3: not each has to be answered, if they come faster than the answers go.
        constexpr std::size_t kEnough = std::size_t{64} << 10;
        if (!connection.close_sent_ && connection.out_.size() < kEnough) {
            connection.send_frame(protocol::Opcode::pong, payload);
        }
        return protocol::Next::more;
    }
    protocol::Next on_pong(std::span<std::uint8_t> /*payload*/) { return protocol::Next::more; }
    void on_close(std::uint16_t code, std::string_view reason) {
        connection.peer_close_ = {code, std::string(reason), true, true};
    }
    void on_violation(protocol::Violation what) { violation = what; }

    Connection& connection;
    std::optional<protocol::Violation> violation;
};

void Connection::process_frames(std::span<std::uint8_t> bytes) {
    const protocol::ReaderLimits limits{.max_message_size = settings_.max_message_size};
    Sink sink{*this, {}};
    reader_.consume(bytes, limits, sink);
    for (const Received& one : std::exchange(received_, {})) {
        if (listener_ != nullptr) {
            listener_->on_message(one.type, one.payload);
        }
    }
    if (phase_ == Phase::ended) {
        return;
    }
    if (sink.violation) {
        send_close(protocol::ClosePayload(sink.violation->code, sink.violation->reason).bytes(),
                   settings_.close_timeout);
        fail(std::string("the server broke the protocol of WebSocket: ") + sink.violation->reason);
        return;
    }
    if (peer_close_) {
        // RFC 6455 section 5.5.1: answered with the code that it has.
        send_close(peer_close_->code == kNoStatus
                       ? protocol::ClosePayload().bytes()
                       : protocol::ClosePayload(peer_close_->code, {}).bytes(),
                   settings_.close_timeout);
    }
}

/// No more comes: that is how it ends after a Close, and what may not be without.
void Connection::peer_shut() {
    if (peer_close_) {
        end(peer_close_->code, std::move(peer_close_->reason), true);
    } else if (phase_ == Phase::handshake) {
        fail("the server ended the connection instead of an answer to the handshake");
    } else {
        fail("the connection ended without a Close");
    }
}

// --- writing -------------------------------------------------------------------------------------

void Connection::send_text(std::string_view text) {
    send_frame(protocol::Opcode::text,
               std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

void Connection::send_frame(protocol::Opcode opcode, std::span<const std::uint8_t> payload) {
    writer_.append(out_, opcode, payload);
    flush_later();
}

void Connection::flush_later() {
    if (std::exchange(flush_posted_, true)) {
        return;
    }
    thread_.post([self = weak_from_this()] {
        if (const auto connection = self.lock()) {
            connection->flush_posted_ = false;
            connection->guarded([&] { connection->write(); });
        }
    });
}

/// Nothing but the server's Close, or its end, matters afterwards.
void Connection::send_close(std::span<const std::uint8_t> payload,
                            std::chrono::milliseconds within) {
    if (!std::exchange(close_sent_, true)) {
        writer_.append(out_, protocol::Opcode::close, payload);
    }
    phase_ = Phase::closing;
    idle_timer_.stop();
    timer_.start(within);
    write();
}

void Connection::close(std::optional<std::uint16_t> code, std::string_view reason,
                       std::chrono::milliseconds within) {
    guarded([&] {
        if (phase_ == Phase::open) {
            send_close(code ? protocol::ClosePayload(*code, reason).bytes()
                            : protocol::ClosePayload().bytes(),
                       within);
        } else if (phase_ != Phase::closing) {
            fail("it was closed before it was open");
        }
    });
}

void Connection::write() {
    if (!transport_) {
        return;
    }
    while (!out_.empty()) {
        const std::span<std::uint8_t> bytes = out_.bytes();
        const iovec part{bytes.data(), bytes.size()};
        const net::IoResult result = transport_->write({&part, 1});
        if (result.status == net::IoStatus::would_block) {
            break;
        }
        if (result.status != net::IoStatus::done) {
            // The server may have told why before it went: that can still be read.
            out_.reset();
            read();
            fail("the connection broke");
            return;
        }
        out_.drop_front(result.count);
    }
    if (out_.empty()) {
        out_.reset();
        if (close_sent_ && peer_close_ && !shut_) {
            shut_ = transport_->shutdown_write();
        }
    }
    poll();
    if (listener_ != nullptr) {
        listener_->on_sent();
    }
}

void Connection::poll() {
    std::uint32_t wanted = 0;
    if (tls_ != nullptr) {
        wanted = tls_->poll_events();
    } else if (transport_) {
        wanted = transport_->poll_events(true, !out_.empty());
    }
    if (polled_ >= 0 && wanted != events_ && thread_.reactor().change(polled_, *this, wanted)) {
        events_ = wanted;
    }
}

// --- the end -------------------------------------------------------------------------------------

void Connection::time_is_over() {
    if (phase_ != Phase::closing) {
        fail("no connection in " + in_words(settings_.connect_timeout));
    } else if (peer_close_) {  // the server leaves the stream open
        peer_shut();
    } else {
        fail("no answer to the Close in " + in_words(settings_.close_timeout));
    }
}

void Connection::look_at_idleness() {
    const auto silent = thread_.reactor().elapsed() - heard_;
    if (silent < settings_.idle_timeout) {
        idle_timer_.start(settings_.idle_timeout - silent);
        return;
    }
    fail("nothing came from the server in " + in_words(settings_.idle_timeout));
}

void Connection::fail(std::string reason) { end(kAbnormal, std::move(reason), false); }

void Connection::end(std::uint16_t code, std::string reason, bool clean) {
    if (phase_ == Phase::ended) {
        return;
    }
    phase_ = Phase::ended;
    release();
    if (ConnectionListener* const listener = std::exchange(listener_, nullptr)) {
        listener->on_end({code, std::move(reason), clean, opened_});
    }
}

void Connection::drop(std::optional<std::uint16_t> code) noexcept {
    listener_ = nullptr;
    if (phase_ == Phase::open && code) {
        guarded([&] {
            send_close(protocol::ClosePayload(*code, {}).bytes(), settings_.close_timeout);
        });
    }
    if (phase_ != Phase::ended) {
        phase_ = Phase::ended;
        release();
    }
}

void Connection::release() noexcept {
    timer_.stop();
    idle_timer_.stop();
    resolver_.cancel();
    connector_.reset();
    if (polled_ >= 0) {
        thread_.reactor().remove(std::exchange(polled_, -1), *this);
    }
    tls_.reset();
    transport_.reset();
}

}  // namespace websocket::client
