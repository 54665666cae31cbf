// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "engine/tunnel_end.hpp"

#include <sys/socket.h>

#include <array>
#include <memory>
#include <utility>

#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::base::Descriptor;
using websocket::engine::TunnelEnd;
using websocket::net::IoResult;
using websocket::net::IoStatus;
using websocket::net::Reactor;
using websocket::net::Transport;

namespace {

/// As TLS whose last word does not go out, because the socket is full.
class SpeechlessTransport final : public Transport {
public:
    explicit SpeechlessTransport(Descriptor socket) : socket_(std::move(socket)) {}

    IoResult read(std::span<std::uint8_t> /*into*/) noexcept override { return {IoStatus::closed}; }
    IoResult write(std::span<const iovec> /*from*/) noexcept override {
        return {IoStatus::would_block};
    }
    bool shutdown_write() noexcept override {
        notifying_ = true;
        return false;
    }
    [[nodiscard]] int descriptor() const noexcept override { return socket_.get(); }
    [[nodiscard]] std::uint32_t poll_events(bool read, bool write) const noexcept override {
        return Transport::poll_events(read, write || notifying_);
    }

private:
    Descriptor socket_;
    bool notifying_ = false;
};

struct CountingOwner final : TunnelEnd::Owner {
    int times = 0;
    void on_ready_at(TunnelEnd& /*end*/, bool /*readable*/, bool /*writable*/) override { ++times; }
};

}  // namespace

START_TEST(a_broken_socket_is_not_polled_for_a_last_word) {
    std::array<int, 2> pair{};
    ck_assert_int_eq(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
    Reactor reactor(1ms);
    CountingOwner owner;
    TunnelEnd end(owner);
    Descriptor peer(pair[1]);
    end.begin_with(std::make_unique<SpeechlessTransport>(Descriptor(pair[0])), {});
    std::array<std::uint8_t, 8> buffer{};
    ck_assert(end.read(buffer).status == IoStatus::closed);
    end.shut();
    ck_assert(end.poll(reactor, false));
    { const Descriptor gone = std::move(peer); }
    for (int turn = 0; turn < 3; ++turn) {
        static_cast<void>(reactor.wait(0ms));
        reactor.dispatch();
        ck_assert(end.poll(reactor, false));
    }
    ck_assert_int_eq(owner.times, 1);
    ck_assert(end.ended());
    end.leave(reactor);
}
END_TEST

WEBSOCKET_TEST_SUITE(tunnel_end) {
    tcase_add_test(tests, a_broken_socket_is_not_polled_for_a_last_word);
}
