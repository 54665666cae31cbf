// SPDX-License-Identifier: Apache-2.0
#include "httpd/takeover/relay.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/io_error.hpp"

namespace websocket::httpd {

namespace {

bool is_temporary(int error) {
    return base::would_block(error) || error == EINTR || error == ENOBUFS;
}

pollfd interest(int descriptor, int events) { return {descriptor, static_cast<short>(events), 0}; }

constexpr short kBroken = POLLERR | POLLHUP | POLLNVAL;

}  // namespace

bool Relay::run() noexcept {
    for (;;) {
        const bool hurry = watch_.look();
        if (client_.aborted() || gives_client_up(hurry)) {
            return output_ends_;  // all is said: however the client's side ends is fine
        }
        // One portion each way, so that neither direction waits for the end of the other.
        const bool moved_in = move_to_engine();
        const bool moved_out = !broken_ && move_to_client();
        if (broken_) {
            return false;
        }
        if (output_over_) {
            return true;
        }
        if (!moved_in && !moved_out) {
            wait();
        }
    }
}

bool Relay::gives_client_up(bool hurry) const noexcept {
    if (!client_full_) {
        return false;
    }
    return (hurry && engine_gone_) || Clock::now() - full_since_ >= patience_;
}

bool Relay::move_to_engine() noexcept {
    if (input_over_ || engine_full_) {
        return false;
    }
    const ClientStream::Input input = client_.input();
    switch (input.status) {
        case net::IoStatus::done: break;
        case net::IoStatus::would_block: return false;
        case net::IoStatus::closed: end_input(); return true;
        case net::IoStatus::failed:
            input_over_ = true;
            broken_ = !output_ends_;
            return false;
    }
    const ssize_t count =
        ::send(engine_, input.bytes.data(), input.bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
        client_.consume(static_cast<std::size_t>(count));
    } else if (is_temporary(errno)) {
        engine_full_ = true;
    } else {
        engine_gone_ = true;  // what it has sent before is still to be delivered
        input_over_ = true;
    }
    return count >= 0 || input_over_;
}

void Relay::end_input() noexcept {
    input_over_ = true;
    ::shutdown(engine_, SHUT_WR);
}

bool Relay::move_to_client() noexcept {
    if (output_ends_) {
        end_output();
        return output_over_;
    }
    if (client_full_) {
        return false;
    }
    if (held_ == 0) {
        const ssize_t count = ::recv(engine_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (count == 0) {
            output_ends_ = true;
            return true;
        }
        if (count < 0) {
            broken_ = !is_temporary(errno);  // closed with something unread: it gave up
            return false;
        }
        held_ = static_cast<std::size_t>(count);
    }
    if (!client_has_room()) {
        client_full_ = true;
        full_since_ = Clock::now();
        return false;
    }
    broken_ = !client_.output({buffer_.data(), held_});
    held_ = 0;
    last_output_ = Clock::now();
    return true;
}

void Relay::end_output() noexcept {
    // mod_http2 resets a stream when it finds its end while it still sends the last data.
    if (!client_.end_keeps_distance() || Clock::now() - last_output_ >= kSettle) {
        output_over_ = true;
        client_.end_output();
    }
}

bool Relay::client_has_room() const noexcept {
    if (!client_.output_is_polled()) {
        return true;
    }
    pollfd client = interest(client_.descriptor(), POLLOUT);
    return ::poll(&client, 1, 0) != 0;  // an error will show when it is written to
}

void Relay::wait() noexcept {
    const bool wants_input = !input_over_ && !engine_full_;
    const int for_client = (wants_input ? POLLIN : 0) | (client_full_ ? POLLOUT : 0);
    const int for_engine =
        (held_ == 0 && !output_ends_ ? POLLIN : 0) | (engine_full_ ? POLLOUT : 0);
    // An end that has been closed is ready indefinitely; it must not wake us twice.
    const bool watches_engine = for_engine != 0 || !engine_gone_;
    std::array<pollfd, 3> polls{interest(client_.descriptor(), for_client),
                                interest(watches_engine ? engine_ : -1, for_engine),
                                interest(watch_.descriptor(), POLLIN)};
    const auto longest = output_ends_ ? kSettle : kPollInterval;
    if (::poll(polls.data(), polls.size(), static_cast<int>(longest.count())) <= 0) {
        return;
    }
    const auto [client, engine, watch] = polls;
    if ((client.revents & (POLLOUT | kBroken)) != 0) {
        client_full_ = false;
    }
    if (for_client == 0 && (client.revents & kBroken) != 0) {
        broken_ = true;
    }
    if ((engine.revents & (POLLOUT | kBroken)) != 0) {
        engine_full_ = false;
    }
    if ((for_engine & POLLIN) == 0 && (engine.revents & kBroken) != 0) {
        engine_gone_ = true;
    }
}

}  // namespace websocket::httpd
