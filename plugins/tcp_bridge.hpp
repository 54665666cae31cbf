// SPDX-License-Identifier: Apache-2.0
// Part of websocket_tcp.cpp: a client and its target, while both are there.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include <websocket/plugin.hpp>

#include "tcp_byte_queue.hpp"
#include "tcp_settings.hpp"
#include "tcp_socket.hpp"

namespace tcp {

/// What is left of a bridge when the client has gone.
struct Remains {
    Socket socket;
    ByteQueue unwritten;  ///< of the client, for the target
    bool ended = false;   ///< nothing more comes from the target
};

/// The plugin's state of a connection.
///
/// What the client sends is written to the target at once. What the target does not take waits here, and above
/// `Settings::buffer` the client is not read from: so no more waits than that and one part of a message. The
/// target is not read from while more than half of WebSocketSendBuffer waits for the client.
class Bridge {
public:
    static constexpr std::size_t kPortion = std::size_t{64} << 10;  ///< read from a target at once

    Bridge() noexcept = default;

    /// Before the 101. False when descriptors run out. [httpd worker]
    [[nodiscard]] bool attach(Socket socket, const Settings& settings) noexcept {
        reserved_ = socket.duplicate();
        socket_ = std::move(socket);
        settings_ = &settings;
        return reserved_.valid() && !reserved_.is_one_of_the_last();
    }
    // [conn] from here on
    void open(websocket::Connection client) {
        reserved_ = Socket();
        watch(client);
    }
    void on_client_bytes(websocket::Connection client, websocket::Bytes bytes) {
        if (write_failed_) return;  // nobody to tell: the client is told when the target has ended
        if (unwritten_.empty()) {
            bytes = bytes.subspan(write(bytes));
            if (bytes.empty() || write_failed_) return watch(client);
            expect_progress(client);
        }
        unwritten_.append(websocket::text_of(bytes));
        if (!paused_ && unwritten_.size() >= settings_->buffer) {
            paused_ = true;
            client.pause();
        }
        watch(client);
    }
    void on_client_has_room(websocket::Connection client) {
        client_full_ = false;
        if (!unsent_.empty()) send(client, websocket::bytes_of(std::exchange(unsent_, {})));
        if (ended_) close_at_end(client);
        watch(client);
    }
    /// The end of it, on whatever thread.
    [[nodiscard]] Remains leave() {
        watch_.cancel();
        stall_.cancel();
        return {std::move(socket_), std::exchange(unwritten_, {}), ended_};
    }

private:
    [[nodiscard]] std::uint32_t wanted() const noexcept {
        return (!ended_ && !client_gone_ && !client_full_ ? WS_READABLE : 0U) |
               (!unwritten_.empty() ? WS_WRITABLE : 0U);
    }
    void watch(websocket::Connection client) {
        const std::uint32_t events = wanted();
        if (watch_) {
            if (events != watched_) watch_.change(events);
        } else if (events != 0) {
            watch_ = client.watch(socket_.get(), events,
                                  [this, client](std::uint32_t ready) { on_ready(client, ready); });
        }
        watched_ = events;
    }
    void on_ready(websocket::Connection client, std::uint32_t ready) {
        if ((ready & (WS_WRITABLE | WS_BROKEN)) != 0 && !unwritten_.empty()) write_more(client);
        if ((ready & (WS_READABLE | WS_BROKEN)) != 0 && (wanted() & WS_READABLE) != 0) read(client);
        // A broken socket is reported unasked, again and again. What there is to read stays there.
        if ((ready & WS_BROKEN) != 0 && wanted() == 0) {
            watch_.cancel();
            watched_ = 0;
            return;
        }
        watch(client);
    }

    // --- target to client ---

    void read(websocket::Connection client) {
        std::array<std::uint8_t, kPortion> portion;  // not initialized: it is large
        const ssize_t n = ::recv(socket_.get(), portion.data(), portion.size(), MSG_DONTWAIT);
        if (n > 0) {
            send(client, {portion.data(), static_cast<std::size_t>(n)});
        } else if (n == 0) {
            ended_ = true;
            close_at_end(client);
        } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            fail(client, "target failed");
        }
    }
    void send(websocket::Connection client, websocket::Bytes bytes) {
        switch (client.send(websocket::Type::binary, bytes)) {
            case websocket::Result::ok: return;
            case websocket::Result::queued: client_full_ = true; return;
            case websocket::Result::full:
                client_full_ = true;
                unsent_ = websocket::text_of(bytes);
                return;
            case websocket::Result::gone: client_gone_ = true; return;
            default: fail(client, "out of memory"); return;
        }
    }
    /// Behind all that the target has said.
    void close_at_end(websocket::Connection client) {
        if (!unsent_.empty()) return;
        const bool well = !write_failed_;
        client.close(well ? websocket::CloseCode::normal : websocket::CloseCode::internal_error,
                     well ? "target closed" : "target takes no more");
    }
    void fail(websocket::Connection client, std::string_view reason) {
        ended_ = true;
        unsent_.clear();
        give_up_writing(client);
        client.close(websocket::CloseCode::internal_error, reason);
    }

    // --- client to target ---

    /// How much the target took.
    [[nodiscard]] std::size_t write(websocket::Bytes bytes) noexcept {
        std::size_t done = 0;
        while (done < bytes.size()) {
            const ssize_t n = ::send(socket_.get(), bytes.data() + done, bytes.size() - done,
                                     MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n >= 0) {
                done += static_cast<std::size_t>(n);
            } else if (errno != EINTR) {
                write_failed_ = errno != EAGAIN && errno != EWOULDBLOCK;
                break;
            }
        }
        took_some_ = took_some_ || done > 0;
        return done;
    }
    void write_more(websocket::Connection client) {
        unwritten_.consume(write(websocket::bytes_of(unwritten_.front())));
        if (write_failed_ || unwritten_.empty()) {
            give_up_writing(client);
        } else if (unwritten_.size() <= settings_->buffer / 2) {
            read_client_again(client);
        }
    }
    /// Nothing waits for the target any more, be it that it has taken all.
    void give_up_writing(websocket::Connection client) {
        unwritten_.clear();
        stall_.cancel();
        read_client_again(client);
    }
    void read_client_again(websocket::Connection client) {
        if (std::exchange(paused_, false)) client.resume();
    }
    void expect_progress(websocket::Connection client) {
        took_some_ = false;
        if (settings_->send_timeout.count() == 0) return;
        stall_ = client.after(settings_->send_timeout, [this, client] { stalled(client); });
    }
    void stalled(websocket::Connection client) {
        if (took_some_) return expect_progress(client);
        write_failed_ = true;
        fail(client, "target does not read");
        watch(client);
    }

    const Settings* settings_ = nullptr;
    Socket socket_;
    Socket reserved_;  // stands for the duplicate that the server needs for a watch, until then
    std::uint32_t watched_ = 0;
    bool ended_ = false;         // nothing more is read from the target
    bool write_failed_ = false;  // nothing more is written to it
    bool client_gone_ = false;   // it has closed, or was closed: on_close() comes
    bool client_full_ = false;   // on_client_has_room() comes
    bool paused_ = false;        // the client is not read from
    bool took_some_ = false;     // since stall_ was started
    ByteQueue unwritten_;
    std::string unsent_;      // a portion that the client's queue had no room for
    websocket::Timer stall_;  // while something is unwritten
    websocket::Watch watch_;
};

}  // namespace tcp
