// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "../../plugins/tcp_connect.hpp"

#include <arpa/inet.h>

#include "unit.hpp"

namespace {

/// Where nobody listens, and where connections may begin: Linux prefers even ports for these.
std::uint16_t free_even_port() {
    for (;;) {
        const tcp::Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* any = reinterpret_cast<sockaddr*>(&address);
        ck_assert(::bind(socket.get(), any, size) == 0);
        ck_assert(::getsockname(socket.get(), any, &size) == 0);
        const auto even = static_cast<std::uint16_t>(ntohs(address.sin_port) & ~1U);
        address.sin_port = htons(even);
        const tcp::Socket other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::bind(other.get(), any, size) == 0) return even;
    }
}

}  // namespace

/// Sooner or later the port that the kernel chooses is the one that is looked for.
START_TEST(a_target_that_is_not_there_is_never_the_connection_itself) {
    constexpr int kAllPorts = 30'000;
    const tcp::Target target{"127.0.0.1", free_even_port(), {}};
    for (int i = 0; i < kAllPorts; ++i) {
        tcp::Place place(tcp::Places::shared(), "connect", 1);
        tcp::Attempt attempt(target, std::chrono::seconds(60), place);
        unsigned status = 0;
        try {
            static_cast<void>(attempt.connect());
        } catch (const tcp::Unreachable& error) {
            status = error.status();
        }
        ck_assert_uint_eq(status, 502);
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(tcp_connect) {
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, a_target_that_is_not_there_is_never_the_connection_itself);
}
