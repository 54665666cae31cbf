// SPDX-License-Identifier: Apache-2.0
// on_writable() of a plugin of version 1: when it comes there is room.
#include <string>
#include <vector>
#include <websocket/plugin.hpp>

#include "plugin/v1_service.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

constexpr std::size_t kBlock = 64U << 10;

struct Filling {
    std::size_t sent = 0;
    bool queued = false;
    bool full = false;
    std::vector<std::uint64_t> queued_when_writable;
};
Awaited<Filling> filling;

/// Sends until a block is queued, waits until the client has read all, and sends until a block is
/// refused.
template <bool kLoop>
struct Filler {
    static constexpr bool never_blocks = kLoop;

    void on_message(websocket::Connection client, websocket::Message) {
        send_until(client, websocket::Result::queued);
        filling.update([](Filling& story) { story.queued = true; });
        if (!kLoop) await_quietly([&] { return client.queued() == 0; }, "a client that reads");
        send_until(client, websocket::Result::full);
        filling.update([](Filling& story) { story.full = true; });
    }
    void on_writable(websocket::Connection client) {
        filling.update(
            [&](Filling& story) { story.queued_when_writable.push_back(client.queued()); });
    }

    static void send_until(websocket::Connection client, websocket::Result wanted) {
        const std::string block(kBlock, 'x');
        for (websocket::Result result{}; result != wanted;) {
            result = client.send(block);
            ck_assert(taken(result) || result == websocket::Result::full);
            if (taken(result)) filling.update([](Filling& story) { ++story.sent; });
        }
    }
};

/// A client with small buffers, whose plugin has begun to fill.
Peer connect_and_fill(V1Service& process) {
    filling.update([](Filling& story) { story = {}; });
    Peer client = process.connect(nullptr, 4096);
    client.send_text("fill");
    return client;
}

void expect_room_when_writable(V1Service& process) {
    const Filling story = filling.await(
        [](const Filling& told) { return !told.queued_when_writable.empty(); }, "on_writable");
    for (const std::uint64_t queued : story.queued_when_writable) {
        ck_assert_uint_le(queued, process.service.options.send_buffer / 2);
    }
}

using PoolFiller = Filler<false>;
using LoopFiller = Filler<true>;

}  // namespace

WEBSOCKET_PLUGIN(pool_filler_init, PoolFiller)
WEBSOCKET_PLUGIN(loop_filler_init, LoopFiller)

START_TEST(room_that_is_gone_again_is_not_told) {
    V1Service process(pool_filler_init());
    Peer client = connect_and_fill(process);
    filling.await([](const Filling& story) { return story.queued; }, "a block that is queued");
    std::size_t read = 0;
    const std::size_t first = filling.get().sent;
    for (; read < first; ++read) client.expect_text(std::string(kBlock, 'x'));
    filling.await([](const Filling& story) { return story.full; }, "a block that is refused");
    for (const std::size_t all = filling.get().sent; read < all; ++read) {
        client.expect_text(std::string(kBlock, 'x'));
    }
    expect_room_when_writable(process);
}
END_TEST

START_TEST(room_is_told_to_a_plugin_on_the_loop) {
    V1Service process(loop_filler_init());
    Peer client = connect_and_fill(process);
    filling.await([](const Filling& story) { return story.full; }, "a block that is refused");
    for (std::size_t read = filling.get().sent; read > 0; --read) {
        client.expect_text(std::string(kBlock, 'x'));
    }
    expect_room_when_writable(process);
}
END_TEST

WEBSOCKET_TEST_SUITE(v1_writable) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, room_that_is_gone_again_is_not_told);
    tcase_add_test(tests, room_is_told_to_a_plugin_on_the_loop);
}
