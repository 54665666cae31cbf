// SPDX-License-Identifier: Apache-2.0
// Carries bytes between a client that only httpd's filters can talk to and the engine, which sees an
// ordinary socket. Knows neither httpd nor WebSocket.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "net/transport.hpp"

namespace websocket::httpd {

/// The client, behind the filters of its connection. [httpd worker]
class ClientStream {
public:
    /// `bytes` is not empty exactly with IoStatus::done.
    struct Input {
        net::IoStatus status;
        std::span<const std::uint8_t> bytes;
    };

    virtual ~ClientStream() = default;

    /// What has come and is not consumed yet; valid until the next call of any function. With
    /// `would_block` nothing is left in any filter. Never blocks.
    [[nodiscard]] virtual Input input() noexcept = 0;
    /// Forgets the first bytes of what input() has returned.
    virtual void consume(std::size_t bytes) noexcept = 0;

    /// Writes all of it through to the client. Blocks only if output_is_polled() is false or the
    /// system's buffer has little room. False when the stream is broken.
    [[nodiscard]] virtual bool output(std::span<const std::uint8_t> bytes) noexcept = 0;
    /// Nothing more will be written.
    virtual void end_output() noexcept = 0;

    /// Becomes readable when there may be input; -1 when there will never be any.
    [[nodiscard]] virtual int descriptor() const noexcept = 0;
    /// Whether descriptor() becomes writable when there is room for output.
    [[nodiscard]] virtual bool output_is_polled() const noexcept = 0;
    /// Whether end_output() has to come a while behind the last output().
    [[nodiscard]] virtual bool end_keeps_distance() const noexcept = 0;
    /// The client is gone.
    [[nodiscard]] virtual bool aborted() const noexcept = 0;
};

/// Notices what else may happen while the relay waits. [httpd worker]
class RelayWatch {
public:
    virtual ~RelayWatch() = default;
    /// Called again and again, at least once a second. True when this process is about to end, so
    /// that a client which takes nothing must not be waited for.
    [[nodiscard]] virtual bool look() noexcept = 0;
    /// Becomes readable when look() should be called at once; -1 for none.
    [[nodiscard]] virtual int descriptor() const noexcept = 0;
};

class Relay {
public:
    /// `engine` is one end of a stream socketpair, whose other end the engine has. A client that
    /// takes nothing of what waits for it for as long as `patience` is given up.
    Relay(ClientStream& client, int engine, RelayWatch& watch,
          std::chrono::milliseconds patience) noexcept
        : client_(client), engine_(engine), watch_(watch), patience_(patience) {}

    /// Works until the engine's side has ended and the client knows; false when one side broke. What
    /// the client sends then is nobody's. Holds no more than one portion: what does not fit stays
    /// with the side that sent it.
    [[nodiscard]] bool run() noexcept;

    static constexpr std::size_t kPortion = 16U << 10;
    static constexpr std::chrono::milliseconds kPollInterval{1000};
    static constexpr std::chrono::milliseconds kSettle{20};

private:
    using Clock = std::chrono::steady_clock;

    [[nodiscard]] bool move_to_engine() noexcept;
    [[nodiscard]] bool move_to_client() noexcept;
    [[nodiscard]] bool client_has_room() const noexcept;
    [[nodiscard]] bool gives_client_up(bool hurry) const noexcept;
    void end_input() noexcept;
    void end_output() noexcept;
    void wait() noexcept;

    ClientStream& client_;
    const int engine_;
    RelayWatch& watch_;
    const std::chrono::milliseconds patience_;
    Clock::time_point full_since_;
    Clock::time_point last_output_;
    std::array<std::uint8_t, kPortion> buffer_;
    std::size_t held_ = 0;      ///< bytes of buffer_ that the client has no room for
    bool client_full_ = false;  ///< wait for room before the next output
    bool engine_full_ = false;  ///< the engine does not read: the client is not read from either
    bool input_over_ = false;   ///< the client's side has ended, or the engine takes no more
    bool output_ends_ = false;  ///< the engine's side has ended
    bool output_over_ = false;  ///< and the client has been told
    bool engine_gone_ = false;  ///< the engine has closed its end
    bool broken_ = false;
};

}  // namespace websocket::httpd
