// SPDX-License-Identifier: Apache-2.0
// A loop serves channels that speak no WebSocket: here one that sends bytes back as they are.
#include "engine/channel.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "engine/service.hpp"
#include "unit.hpp"

using namespace websocket::test;
using namespace std::chrono_literals;
using websocket::engine::Channel;
using websocket::engine::Departure;
using websocket::engine::SharedFrame;
using websocket::net::AnyTransport;
using websocket::protocol::CloseCode;

namespace {

struct Life {
    bool opened = false;
    bool abandoned = false;
    bool told_of_drain = false;
    std::optional<CloseCode> left;
    bool freed = false;
};
using LifeStory = Awaited<Life>;

class ByteEcho final : public Channel {
public:
    using Channel::Channel;
    ~ByteEcho() override {
        if (life_ != nullptr) life_->update([](Life& life) { life.freed = true; });
    }

    void prepare(AnyTransport transport, const ConnectionOptions& options,
                 std::shared_ptr<LifeStory> life) {
        Channel::prepare(std::move(transport), nullptr, options);
        life_ = std::move(life);
    }

    void abandon() noexcept override {
        life_->update([](Life& life) { life.abandoned = true; });
    }
    void open() override {
        life_->update([](Life& life) { life.opened = true; });
        loop_.mark_dirty(*this);
    }
    void service() override {
        if (flush() && leaving_) {
            kill();
            return;
        }
        if (queued() <= low_water()) end_pause(kForPeer);
        if (!dead() && !poll(!paused())) kill();
    }
    void announce_drain(std::chrono::milliseconds /*left*/) noexcept override {
        life_->update([](Life& life) { life.told_of_drain = true; });
    }
    bool leave(CloseCode code, const char* /*reason*/) noexcept override {
        if (std::exchange(leaving_, true)) return false;
        life_->update([code](Life& life) { life.left = code; });
        loop_.mark_dirty(*this);
        return true;
    }
    void fail(CloseCode code, const char* reason) noexcept override {
        static_cast<void>(leave(code, reason));
    }
    Departure cut_short(CloseCode /*code*/, const char* /*reason*/) noexcept override {
        kill();
        return leaving_ ? Departure::forced_though_told : Departure::forced;
    }
    void kill() noexcept override {
        if (dead()) return;
        retire();
        die();
    }

private:
    void on_ready(std::uint32_t /*events*/) override {
        std::array<std::uint8_t, 4096> into;
        const IoResult result = transport_.read(into);
        if (result.status == IoStatus::closed || result.status == IoStatus::failed) {
            kill();
        } else if (result.status == IoStatus::done) {
            queue(SharedFrame::join(std::span(into).first(result.count), {}));
            if (queued() >= options().send_buffer) pause(kForPeer);
        }
        loop_.mark_dirty(*this);
    }
    void on_taken() noexcept override {}
    void on_rate_exceeded(const char* /*reason*/) noexcept override {}

    std::shared_ptr<LifeStory> life_;
    bool leaving_ = false;
};

struct EchoClient {
    Peer peer;
    std::shared_ptr<LifeStory> life = std::make_shared<LifeStory>();
    websocket::engine::ConnectionId id;

    explicit EchoClient(Service& service) : EchoClient(service, tcp_pair()) {}

    void await_freed() {
        life->await([](const Life& story) { return story.freed; }, "the channel's end");
    }

private:
    EchoClient(Service& service, SocketPair sockets) : peer(std::move(sockets.client)) {
        websocket::engine::Refusal why{};
        auto place = service.engine().reserve<ByteEcho>(why);
        ck_assert(place.has_value());
        id = place->id();
        (*place)->prepare(std::move(sockets.server), service.options, life);
        service.engine().serve(std::move(*place));
    }
};

void expect_echo(Peer& peer, std::string_view text) {
    peer.send(text);
    peer.expect_bytes(text);
}

}  // namespace

START_TEST(bytes_of_any_kind_are_served_beside_messages) {
    Service service;
    Client messages = service.connect(service.echo());
    EchoClient bytes(service);
    expect_echo(bytes.peer, "no frame at all");
    messages.peer.send_text("hello");
    messages.peer.expect_text("hello");
    expect_echo(bytes.peer, "\x81\x85 not to be unmasked");
    ck_assert_uint_eq(service.engine().connections(), 2);
}
END_TEST

START_TEST(more_than_the_socket_takes_waits_in_bounds_and_arrives_in_order) {
    Service service;
    service.options.send_buffer = 64U << 10;
    EchoClient client(service);
    const std::string all = Random(1).bytes(4U << 20);
    std::string_view rest(all);
    std::string back;
    while (back.size() < all.size()) {
        const std::size_t sent = rest.empty() ? 0 : client.peer.send_some(rest);
        rest.remove_prefix(sent);
        if (sent == 0) back += client.peer.receive_some();
    }
    ck_assert(back == all);
}
END_TEST

START_TEST(nobody_sends_messages_to_what_takes_none) {
    Service service;
    EchoClient client(service);
    expect_echo(client.peer, "there");
    ck_assert(service.send(client.id, "a message") == SendResult::closing);
    ck_assert(!service.close(client.id, 1000));
    service.engine().wait_for_room(client.id, 0);
    expect_echo(client.peer, "still there");
    ck_assert_uint_eq(service.engine().queued(client.id).value_or(0), 0);
}
END_TEST

START_TEST(a_drain_tells_it_and_waits_until_it_has_left) {
    Service service;
    EchoClient client(service);
    expect_echo(client.peer, "there");
    service.engine().begin_drain({std::chrono::steady_clock::now() + 4s,
                                  []() noexcept { return CloseCode::service_restart; }});
    client.life->await([](const Life& life) { return life.told_of_drain; }, "the drain");
    client.await_freed();
    ck_assert(client.life->get().left == CloseCode::service_restart);
    client.peer.expect_end();
    ck_assert_uint_eq(service.engine().departures().in_order, 1);
    service.await_empty();
}
END_TEST

START_TEST(the_end_of_the_engine_ends_the_channel) {
    Service service;
    EchoClient client(service);
    expect_echo(client.peer, "there");
    service.stop();
    client.peer.expect_end();
    ck_assert(client.life->get().freed);
}
END_TEST

START_TEST(its_client_ends_it) {
    Service service;
    EchoClient client(service);
    expect_echo(client.peer, "there");
    client.peer.disconnect();
    client.await_freed();
    service.await_empty();
}
END_TEST

START_TEST(an_unused_place_is_given_back_and_one_that_comes_too_late_is_abandoned) {
    Service service;
    websocket::engine::Refusal why{};
    { const auto unused = service.engine().reserve<ByteEcho>(why); }
    ck_assert_uint_eq(service.engine().connections(), 0);

    auto life = std::make_shared<LifeStory>();
    SocketPair sockets = tcp_pair();
    auto place = service.engine().reserve<ByteEcho>(why);
    (*place)->prepare(std::move(sockets.server), service.options, life);
    service.engine().begin_stop();
    await_quietly([&] { return service.engine().stopped(); }, "the loops' end");
    service.engine().serve(std::move(*place));
    ck_assert(life->get().abandoned);
    ck_assert(life->get().freed);
    ck_assert(!life->get().opened);
    ck_assert_uint_eq(service.engine().connections(), 0);
}
END_TEST

WEBSOCKET_TEST_SUITE(channel) {
    tcase_add_test(tests, bytes_of_any_kind_are_served_beside_messages);
    tcase_add_test(tests, more_than_the_socket_takes_waits_in_bounds_and_arrives_in_order);
    tcase_add_test(tests, nobody_sends_messages_to_what_takes_none);
    tcase_add_test(tests, a_drain_tells_it_and_waits_until_it_has_left);
    tcase_add_test(tests, the_end_of_the_engine_ends_the_channel);
    tcase_add_test(tests, its_client_ends_it);
    tcase_add_test(tests, an_unused_place_is_given_back_and_one_that_comes_too_late_is_abandoned);
}
