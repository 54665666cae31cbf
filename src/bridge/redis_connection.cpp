// SPDX-License-Identifier: Apache-2.0
#include "bridge/redis_connection.hpp"

#include <hiredis/hiredis.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <vector>

#include "base/iovec.hpp"

namespace websocket::bridge {

namespace {

constexpr std::size_t kMostWords = 16;  // of a command
constexpr std::size_t kRead = 64U << 10;
/// Reads until others have their turn.
constexpr int kReadsATurn = 16;

}  // namespace

std::string Endpoint::describe() const {
    if (!socket_path.empty()) {
        return "unix:" + socket_path;
    }
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

RedisConnection::RedisConnection(net::Reactor& reactor, const net::TlsClientContext* tls,
                                 Owner& owner, std::size_t longest_reply)
    : reactor_(reactor), tls_(tls), owner_(owner), resolver_(reactor), reader_(longest_reply) {}

// --- connecting ----------------------------------------------------------------------------------

void RedisConnection::connect(const Endpoint& endpoint) {
    host_ = endpoint.host;
    if (!endpoint.socket_path.empty()) {
        connect_to_path(endpoint.socket_path);
        return;
    }
    resolver_.resolve(endpoint.host, endpoint.port,
                      [this](std::vector<net::Address> addresses, const std::string& error) {
                          if (addresses.empty()) {
                              end("the address of " + host_ + " is not known: " + error);
                              return;
                          }
                          connector_ = std::make_unique<net::Connector>(
                              reactor_, std::move(addresses),
                              [this](base::Descriptor socket, const std::string& why) {
                                  if (socket.valid()) {
                                      take_socket(std::move(socket));
                                  } else {
                                      end("it cannot be connected to: " + why);
                                  }
                              });
                      });
}

void RedisConnection::connect_to_path(const std::string& path) {
    base::Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    // A Unix socket connects at once, or not at all: EAGAIN says that too many wait to be accepted.
    if (!socket.valid() ||
        ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        end(std::string("it cannot be connected to: ") + std::strerror(errno));
        return;
    }
    take_socket(std::move(socket));
}

void RedisConnection::take_socket(base::Descriptor socket) {
    if (tls_ == nullptr) {
        begin(net::AnyTransport(std::move(socket)));
        return;
    }
    handshake_ =
        std::make_unique<net::TlsClientHandshake>(tls_->make_ssl(host_), std::move(socket));
    shake_hands();
}

void RedisConnection::shake_hands() {
    switch (handshake_->advance()) {
        case net::TlsClientHandshake::Status::failed: end(handshake_->error()); return;
        case net::TlsClientHandshake::Status::done: {
            if (polled_ >= 0) {
                reactor_.remove(polled_, *this);
                polled_ = -1;
            }
            auto transport = handshake_->release();
            handshake_.reset();
            begin(net::AnyTransport(std::move(transport)));
            return;
        }
        case net::TlsClientHandshake::Status::waiting: break;
    }
    const bool known = std::exchange(polled_, handshake_->descriptor()) >= 0;
    const std::uint32_t events = handshake_->poll_events();
    if (!(known ? reactor_.change(polled_, *this, events) : reactor_.add(polled_, *this, events))) {
        end(std::strerror(errno));
    }
}

void RedisConnection::begin(net::AnyTransport transport) {
    transport_ = std::move(transport);
    open_ = true;
    owner_.on_connected(*this);
    flush();
    if (open_ && transport_.pending()) {
        reactor_.set_delay(*this, std::chrono::milliseconds(0));
    }
}

// --- writing -------------------------------------------------------------------------------------

void RedisConnection::send(std::initializer_list<std::string_view> words) {
    std::array<const char*, kMostWords> texts{};
    std::array<std::size_t, kMostWords> sizes{};
    int count = 0;
    for (const std::string_view word : words) {
        texts.at(static_cast<std::size_t>(count)) = word.data();
        sizes.at(static_cast<std::size_t>(count++)) = word.size();
    }
    char* command = nullptr;
    const auto size = ::redisFormatCommandArgv(&command, count, texts.data(), sizes.data());
    if (static_cast<long long>(size) < 0 || command == nullptr) {
        throw std::bad_alloc();
    }
    struct FreeCommand {
        void operator()(char* text) const noexcept { ::redisFreeCommand(text); }
    };
    const std::unique_ptr<char, FreeCommand> owner(command);
    out_.append(command, static_cast<std::size_t>(size));
}

void RedisConnection::flush() {
    while (open_ && written_ < out_.size()) {
        const std::string_view rest = std::string_view(out_).substr(written_);
        const iovec part{const_cast<char*>(rest.data()), rest.size()};
        const net::IoResult result = transport_.write({&part, 1});
        if (result.status == net::IoStatus::would_block) {
            break;
        }
        if (result.status != net::IoStatus::done) {
            end("it has ended the connection");
            return;
        }
        written_ += result.count;
    }
    if (written_ == out_.size()) {
        out_.clear();
        written_ = 0;
    } else if (written_ > kEnough) {
        out_.erase(0, written_);
        written_ = 0;
    }
    poll();
}

void RedisConnection::poll() {
    if (!open_) {
        return;
    }
    const std::uint32_t events = transport_.poll_events(true, waiting() != 0);
    if (polled_ >= 0 && events == events_) {
        return;
    }
    const bool known = std::exchange(polled_, transport_.descriptor()) >= 0;
    events_ = events;
    if (!(known ? reactor_.change(polled_, *this, events) : reactor_.add(polled_, *this, events))) {
        end(std::strerror(errno));
    }
}

// --- reading -------------------------------------------------------------------------------------

void RedisConnection::on_ready(std::uint32_t /*events*/) {
    if (handshake_ != nullptr) {
        shake_hands();
        return;
    }
    read();
    if (open_ && waiting() != 0) {
        flush();
    }
    if (open_ && waiting() < kEnough) {
        owner_.on_room(*this);
    }
}

/// There is something to read that the descriptor does not show.
void RedisConnection::on_time() noexcept {
    try {
        on_ready(0);
    } catch (const std::bad_alloc&) {
        close();
        owner_.on_end(*this, "memory ran out");
    }
}

void RedisConnection::read() {
    static thread_local std::array<std::uint8_t, kRead> buffer;
    for (int i = 0; i < kReadsATurn && open_; ++i) {
        const net::IoResult result = transport_.read(buffer);
        if (result.status == net::IoStatus::would_block) {
            break;
        }
        if (result.status != net::IoStatus::done) {
            end("it has ended the connection");
            return;
        }
        if (!reader_.feed(std::span(buffer).first(result.count))) {
            end(reader_.error());
            return;
        }
        take_replies();
        if (result.count < kRead && !transport_.pending()) {
            break;
        }
    }
    if (open_ && transport_.pending()) {
        reactor_.set_delay(*this, std::chrono::milliseconds(0));
    }
    poll();
}

void RedisConnection::take_replies() {
    while (open_) {
        auto reply = reader_.next();
        if (!reply) {
            break;
        }
        owner_.on_reply(*this, std::move(*reply));
    }
    if (open_ && !reader_.error().empty()) {
        end(reader_.error());
    }
}

// --- the end -------------------------------------------------------------------------------------

void RedisConnection::close() noexcept {
    closed_ = true;
    open_ = false;
    if (polled_ >= 0) {
        reactor_.remove(polled_, *this);
        polled_ = -1;
    }
    reactor_.clear_time(*this);
    resolver_.cancel();
}

void RedisConnection::end(std::string_view why) {
    if (closed_) {
        return;
    }
    const std::string kept(why);  // it may be the reader's
    close();
    owner_.on_end(*this, kept);
}

}  // namespace websocket::bridge
