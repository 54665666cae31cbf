// SPDX-License-Identifier: Apache-2.0
// Two sockets whose bytes are passed on from the one to the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "engine/channel.hpp"
#include "engine/tunnel_end.hpp"
#include "engine/tunnel_frames.hpp"
#include "engine/tunnel_options.hpp"

namespace websocket::engine {

/// Bytes are written straight from the loop's buffer; kept is only what the other side does not take. Has
/// no session and takes no messages: its gate stays closed. What is passed on may be followed frame by
/// frame: then the peers are told why a tunnel ends, and what the client sends has limits. [loop]
///
///     open ---> leaving ---> ending
///       |                      ^
///       +----------------------+
class Tunnel final : public Channel, TunnelEnd::Owner {
public:
    Tunnel(Loop& loop, Gate& gate, ConnectionId id) noexcept : Channel(loop, gate, id) {}
    ~Tunnel() override;

    /// One of its sides, with what was read ahead.
    struct Side {
        net::AnyTransport transport;
        base::ByteBuffer early;
    };
    /// What to serve. `options` outlives it. Throws std::bad_alloc. [any thread]
    void prepare(Side client, Side backend, const ConnectionOptions& options,
                 const TunnelOptions& how);

    void abandon() noexcept override {}
    void open() override;
    void service() override;
    void announce_drain(std::chrono::milliseconds /*left*/) noexcept override {}
    bool leave(protocol::CloseCode code, const char* reason) noexcept override;
    void fail(protocol::CloseCode code, const char* reason) noexcept override;
    Departure cut_short(protocol::CloseCode code, const char* reason) noexcept override;
    void kill() noexcept override;

private:
    enum class State : std::uint8_t {
        open,
        leaving,  ///< each side gets a Close behind the frame that is on its way, and nothing more
        ending,   ///< nothing is passed on any more; what waits goes out, the rest is discarded
    };

    void on_ready_at(TunnelEnd& end, bool readable, bool writable) override;
    [[nodiscard]] TunnelEnd& other(const TunnelEnd& end) noexcept {
        return &end == &client_ ? backend_ : client_;
    }
    bool read(TunnelEnd& from);
    void pass_on(TunnelEnd& from, std::span<std::uint8_t> bytes);
    void pass_frames(TunnelEnd& from, std::span<std::uint8_t> bytes);
    void charge_frames(const PassedFrames& passed) noexcept;
    void note_taken(const TunnelEnd& by) noexcept;
    void account(const TunnelEnd& from, std::size_t bytes) noexcept;
    [[nodiscard]] bool reads(const TunnelEnd& from) noexcept;
    [[nodiscard]] std::size_t room_for(const TunnelEnd& from) noexcept;
    template <class Work>
    void guarded(Work work) noexcept;

    void settle() noexcept;
    void note_end(std::uint16_t code, Ender by, const char* reason) noexcept;
    void begin_close(protocol::CloseCode code, const char* reason) noexcept;
    void begin_end() noexcept;
    void start_close_timer() noexcept;
    void end_in_time(Tick now) noexcept;

    void on_time() noexcept override;
    void keep_alive(Tick now) noexcept;
    void judge_silence(Tick now) noexcept;
    [[nodiscard]] net::Delivery delivery() const noexcept;
    [[nodiscard]] Tick idle_middle() const noexcept;
    [[nodiscard]] bool idle_too_long(Tick now) noexcept;
    void set_next_look(Tick now) noexcept;
    void on_taken() noexcept override {}
    void on_rate_exceeded(const char* reason) noexcept override;

    TunnelEnd client_{*this};
    TunnelEnd backend_{*this};
    std::unique_ptr<TunnelFrames> frames_;  ///< null when bytes are passed on unseen
    TunnelOptions how_;
    Tick last_passed_ = 0;  ///< when something was passed on, or seen to be taken
    std::optional<Tick>
        seen_since_;      ///< the last_passed_ for which it was looked what waits to be taken
    net::Delivery seen_;  ///< by then
    State state_ = State::open;
    bool end_noted_ = false;
};

}  // namespace websocket::engine
