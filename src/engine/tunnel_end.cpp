// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel_end.hpp"

#include <algorithm>
#include <array>

#include "base/iovec.hpp"

namespace websocket::engine {

net::IoResult TunnelEnd::read(std::span<std::uint8_t> into) noexcept {
    const net::IoResult result = transport_.read(into);
    if (result.status == net::IoStatus::failed) {
        break_output();
    }
    input_ended_ = result.status == net::IoStatus::failed || result.status == net::IoStatus::closed;
    return result;
}

void TunnelEnd::write(std::span<const iovec> pieces) {
    if (output_ended_) {
        return;
    }
    std::size_t written = 0;
    if (kept_.empty()) {
        const net::IoResult result = transport_.write(pieces);
        if (result.status == net::IoStatus::failed) {
            break_output();
            return;
        }
        written = result.status == net::IoStatus::done ? result.count : 0;
    }
    for (const iovec& piece : pieces) {
        const std::size_t done = std::min(written, piece.iov_len);
        written -= done;
        if (done < piece.iov_len) {
            kept_.append(
                {static_cast<const std::uint8_t*>(piece.iov_base) + done, piece.iov_len - done});
        }
    }
}

void TunnelEnd::flush() noexcept {
    while (!kept_.empty() && !output_ended_) {
        const std::array slots{base::to_iovec(kept_.bytes().subspan(taken_))};
        const net::IoResult result = transport_.write(slots);
        if (result.status == net::IoStatus::would_block) {
            return;
        }
        if (result.status != net::IoStatus::done) {
            break_output();
        } else {
            note_taken(result.count);
        }
    }
    if (shutting_) {
        shut();
    }
}

/// Much may wait, and each time little of it is taken: it is moved to the front once in a while only.
void TunnelEnd::note_taken(std::size_t count) noexcept {
    taken_ += count;
    if (taken_ >= kept_.size() / 4) {
        kept_.drop_front(taken_);
        taken_ = 0;
    }
}

void TunnelEnd::shut() noexcept {
    if (!output_ended_ || shutting_) {
        shutting_ = !transport_.shutdown_write();
        output_ended_ = true;
    }
}

void TunnelEnd::break_output() noexcept {
    output_ended_ = true;
    shutting_ = false;
    kept_.reset();
    taken_ = 0;
}

bool TunnelEnd::poll(net::Reactor& reactor, bool input) noexcept {
    watches_input_ = input && !input_ended_;
    const auto events =
        static_cast<std::uint8_t>(transport_.poll_events(watches_input_, !kept_.empty()));
    // An end would be reported whether it is asked for or not, again and again.
    if (!watches_input_ && output_ended_ && !shutting_) {
        leave(reactor);
        return true;
    }
    if (registered_ && events == polled_) {
        return true;
    }
    const int descriptor = transport_.descriptor();
    if (!(registered_ ? reactor.change(descriptor, *this, events)
                      : reactor.add(descriptor, *this, events))) {
        return false;
    }
    registered_ = true;
    polled_ = events;
    return true;
}

void TunnelEnd::leave(net::Reactor& reactor) noexcept {
    if (registered_) {
        reactor.remove(transport_.descriptor(), *this);
        registered_ = false;
    }
}

void TunnelEnd::on_ready(std::uint32_t events) {
    constexpr std::uint32_t kBroken = EPOLLERR | EPOLLHUP;
    if ((events & kBroken) != 0 && !watches_input_) {
        break_output();
    }
    // What keeps the transport from reading may be that it has to write first.
    const std::uint32_t readable = kBroken | ((polled_ & EPOLLIN) != 0 ? EPOLLIN : EPOLLOUT);
    owner_.on_ready_at(*this, watches_input_ && (events & readable) != 0,
                       !kept_.empty() && (events & EPOLLOUT) != 0);
}

}  // namespace websocket::engine
