// SPDX-License-Identifier: Apache-2.0
// One of the two sockets of a tunnel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/byte_buffer.hpp"
#include "net/any_transport.hpp"
#include "net/reactor.hpp"

namespace websocket::engine {

/// A transport with what waits to be written to it, and how far both of its directions have ended. What its
/// bytes mean, and where they go, is the affair of the tunnel. [loop]
class TunnelEnd final : net::EventHandler {
public:
    class Owner {
    public:
        /// There is something to read, or room for what waits. [loop]
        virtual void on_ready_at(TunnelEnd& end, bool readable, bool writable) = 0;

    protected:
        ~Owner() = default;
    };

    explicit TunnelEnd(Owner& owner) noexcept : owner_(owner) {}
    ~TunnelEnd() = default;  ///< after leave()

    /// Before the first use; `early` has been read ahead. [any thread]
    void begin_with(net::AnyTransport transport, base::ByteBuffer early) noexcept {
        transport_ = std::move(transport);
        early_ = std::move(early);
    }
    /// What was read ahead, once.
    [[nodiscard]] base::ByteBuffer take_early() noexcept { return std::move(early_); }

    // --- what comes in ---

    /// As Transport::read(). Notes an end.
    [[nodiscard]] net::IoResult read(std::span<std::uint8_t> into) noexcept;
    /// Nothing more will come.
    [[nodiscard]] bool input_ended() const noexcept { return input_ended_; }
    /// There is something to read that polling does not show.
    [[nodiscard]] bool input_pending() const noexcept {
        return !input_ended_ && transport_.pending();
    }

    // --- what goes out ---

    /// Writes it, and keeps what the socket does not take. What nobody will read any more is dropped.
    /// Throws std::bad_alloc; then the stream is cut, and the tunnel has to end.
    void write(std::span<const iovec> pieces);
    /// Writes what was kept, as far as the socket takes it.
    void flush() noexcept;
    /// Bytes that wait.
    [[nodiscard]] std::size_t kept() const noexcept { return kept_.size() - taken_; }
    /// All is written; nothing follows.
    void shut() noexcept;
    /// Nothing more goes out: it is shut, or broken.
    [[nodiscard]] bool output_ended() const noexcept { return output_ended_; }

    /// The peer takes nothing more; what it has sent before may still be read.
    void break_output() noexcept;
    [[nodiscard]] bool ended() const noexcept { return input_ended_ && output_ended_; }
    [[nodiscard]] net::Delivery delivery() const noexcept { return transport_.delivery(); }

    // --- polling ---

    /// Has the socket polled for input as it is wanted, and for output while something waits. False when the
    /// kernel refuses.
    [[nodiscard]] bool poll(net::Reactor& reactor, bool input) noexcept;
    void leave(net::Reactor& reactor) noexcept;

private:
    void on_ready(std::uint32_t events) override;
    void note_taken(std::size_t count) noexcept;

    Owner& owner_;
    net::AnyTransport transport_;
    base::ByteBuffer early_;
    base::ByteBuffer kept_;
    std::size_t taken_ = 0;    ///< bytes at the begin of kept_, fewer than all, that are written
    std::uint8_t polled_ = 0;  ///< what epoll watches now
    bool registered_ : 1 = false;
    bool watches_input_ : 1 = false;
    bool input_ended_ : 1 = false;
    bool output_ended_ : 1 = false;
    bool shutting_ : 1 = false;  ///< shut() has more to do
};

}  // namespace websocket::engine
