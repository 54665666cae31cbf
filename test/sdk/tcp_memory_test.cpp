// SPDX-License-Identifier: Apache-2.0
// A bridge without memory: its client gets a Close 1011, its target the end of the stream, and nothing is left.
#include <sys/socket.h>

#include <atomic>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <websocket/plugin.hpp>

#include "../../plugins/tcp_bridge.hpp"
#include "../../plugins/tcp_lingering.hpp"
#include "failing_allocator.hpp"
#include "plugin/v1_service.hpp"
#include "unit.hpp"

using namespace websocket::test;
using tcp::Socket;

namespace {

enum class Stage { open, message, close };

/// Bridges to one end of a pair of sockets. In one stage allocation number `failing` fails.
struct FrailBridges {
    static constexpr bool never_blocks = true;
    using Client = tcp::Bridge;
    static inline std::atomic<Stage> stage{Stage::open};
    static inline std::atomic<std::size_t> failing{0};
    static inline std::atomic<bool> failed{false};
    static inline std::atomic<bool> done{false};  // with the stage, for this client
    static inline int target = -1;                // for the next client

    explicit FrailBridges(const websocket::Server& server) : lingering(server) {
        settings.buffer = 1024;
        settings.send_timeout = std::chrono::hours(1);
    }
    void on_upgrade(websocket::Upgrade&, Client& client) const {
        ck_assert(client.attach(Socket(target), settings));
    }
    void on_open(websocket::Connection connection, Client& client) {
        during(Stage::open, [&] { client.open(connection); });
    }
    void on_message(websocket::Connection connection, websocket::Message message, Client& client) {
        during(Stage::message, [&] { client.on_client_bytes(connection, message.bytes); });
    }
    void on_close(websocket::Connection, const websocket::Close&, Client& client) {
        during(Stage::close, [&] { lingering.take(client.leave()); });
    }

    template <class Work>
    static void during(Stage this_one, Work work) {
        if (this_one != stage || done) return work();
        struct Done {
            ~Done() { done = true; }
        };
        const Done at_the_end;
        const FailingAllocator allocator(failing);
        failed = true;  // unless it gets to the end
        work();
        failed = FailingAllocator::failed();
    }

    tcp::Settings settings;
    tcp::Lingering lingering;
};

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// All that the target gets until the end of the stream.
std::size_t bytes_until_end(const Socket& target) {
    static char part[65536];
    std::size_t all = 0;
    ssize_t n = 0;
    while ((n = ::recv(target.get(), part, sizeof part, 0)) > 0) all += static_cast<std::size_t>(n);
    return all;
}

}  // namespace

WEBSOCKET_PLUGIN(frail_bridges_init, FrailBridges)

namespace {

/// Client after client, with each allocation of the stage failing in turn. Returns how many did.
std::size_t try_stage(Stage stage) {
    const std::string much(512 << 10, 'x');  // more than a pair of sockets keeps
    FrailBridges::stage = stage;
    const std::size_t before = open_descriptors();
    std::size_t failures = 0;
    {
        V1Service process(frail_bridges_init());
        for (bool failed = true; failed; ++failures) {
            int ends[2];
            ck_assert_int_eq(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
            FrailBridges::target = ends[0];
            const Socket target(ends[1]);
            FrailBridges::failing = failures;
            FrailBridges::done = false;
            std::size_t got = 0;
            Peer client = process.connect();
            client.send(Opcode::binary, much);
            const auto done = [] { return FrailBridges::done.load(); };
            if (stage == Stage::message) await_quietly(done, "a message that was looked at");
            std::thread reader([&] { got = bytes_until_end(target); });
            client.send_close(1000);
            const Frame frame = client.receive();
            client.read_to_end();
            reader.join();
            await_quietly(done, "the end of the stage");
            failed = FrailBridges::failed;
            ck_assert_int_eq(static_cast<int>(frame.opcode), static_cast<int>(Opcode::close));
            const bool told = failed && stage != Stage::close;
            ck_assert(frame.payload.substr(0, 2) == close_payload(told ? 1011 : 1000));
            ck_assert(failed || got == much.size());
        }
    }
    ck_assert_uint_eq(open_descriptors(), before);
    return failures - 1;
}

}  // namespace

START_TEST(a_bridge_that_cannot_be_watched_is_closed) {
    ck_assert_uint_gt(try_stage(Stage::open), 2);
}
END_TEST

START_TEST(a_bridge_without_room_for_what_its_target_does_not_take_is_closed) {
    ck_assert_uint_gt(try_stage(Stage::message), 2);
}
END_TEST

START_TEST(a_target_that_cannot_linger_is_closed) { ck_assert_uint_gt(try_stage(Stage::close), 2); }
END_TEST

WEBSOCKET_TEST_SUITE(tcp_memory) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_bridge_that_cannot_be_watched_is_closed);
    tcase_add_test(tests, a_bridge_without_room_for_what_its_target_does_not_take_is_closed);
    tcase_add_test(tests, a_target_that_cannot_linger_is_closed);
}
