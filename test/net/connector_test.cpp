// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "net/connector.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/awaiting.hpp"
#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::base::Descriptor;
using websocket::net::Address;
using websocket::net::Connector;
using websocket::net::describe;
using websocket::net::Reactor;

namespace {

Address local(std::uint16_t port) {
    Address address{};
    auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.size = sizeof v4;
    return address;
}

Address local6(std::uint16_t port) {
    Address address{};
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    v6.sin6_addr = in6addr_loopback;
    address.size = sizeof v6;
    return address;
}

/// A port of the loopback, bound; whether anybody listens there is up to the test.
struct Port {
    Descriptor socket{::socket(AF_INET, SOCK_STREAM, 0)};
    Address address = local(0);

    Port() {
        auto* generic = reinterpret_cast<sockaddr*>(&address.storage);
        ck_assert_int_eq(::bind(socket.get(), generic, address.size), 0);
        ck_assert_int_eq(::getsockname(socket.get(), generic, &address.size), 0);
    }
    void listen(int backlog = 8) const { ck_assert_int_eq(::listen(socket.get(), backlog), 0); }
    [[nodiscard]] std::uint16_t number() const {
        return ntohs(reinterpret_cast<const sockaddr_in&>(address.storage).sin_port);
    }
};

struct Connecting {
    Reactor reactor{4ms};
    std::optional<std::pair<Descriptor, std::string>> told;
    std::unique_ptr<Connector> connector;

    explicit Connecting(std::vector<Address> addresses) {
        connector = std::make_unique<Connector>(
            reactor, std::move(addresses), [this](Descriptor socket, const std::string& error) {
                ck_assert_msg(!told, "told twice");
                told.emplace(std::move(socket), error);
                connector.reset();
            });
        ck_assert(!told);
    }
    void turn(std::chrono::milliseconds most) {
        static_cast<void>(reactor.wait(most));
        reactor.dispatch();
        reactor.fire_timers();
    }
    void await() {
        const auto deadline = std::chrono::steady_clock::now() + websocket::test::kPatience;
        while (!told) {
            ck_assert(std::chrono::steady_clock::now() < deadline);
            turn(100ms);
        }
    }
};

}  // namespace

START_TEST(says_of_each_address_why_it_cannot_be_connected) {
    const Port nobody;
    const Port neither;
    Connecting connecting({nobody.address, neither.address});
    connecting.await();
    ck_assert(!connecting.told->first.valid());
    const std::string wanted = describe(nobody.address) + ": Connection refused; " +
                               describe(neither.address) + ": Connection refused";
    ck_assert_str_eq(connecting.told->second.c_str(), wanted.c_str());
}
END_TEST

START_TEST(fails_without_an_address) {
    Connecting connecting({});
    connecting.await();
    ck_assert_str_eq(connecting.told->second.c_str(), "there is no address");
}
END_TEST

START_TEST(goes_on_to_the_next_address_when_one_is_refused) {
    const Port nobody;
    const Port somebody;
    somebody.listen();
    Connecting connecting({nobody.address, local6(nobody.number()), somebody.address});
    connecting.await();
    ck_assert_msg(connecting.told->first.valid(), "%s", connecting.told->second.c_str());
    const Descriptor accepted(::accept(somebody.socket.get(), nullptr, nullptr));
    ck_assert(accepted.valid());
    const int flags = ::fcntl(connecting.told->first.get(), F_GETFL);
    ck_assert_int_ne(flags & O_NONBLOCK, 0);
}
END_TEST

/// Nobody accepts, and the queue is full: the system drops further SYNs.
START_TEST(does_not_wait_for_an_address_that_is_silent) {
    const Port silent;
    silent.listen(0);
    std::vector<Descriptor> waiting;
    for (int i = 0; i < 4; ++i) {
        waiting.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        static_cast<void>(
            ::connect(waiting.back().get(), silent.address.get(), silent.address.size));
    }
    const Port somebody;
    somebody.listen();
    Connecting connecting({silent.address, somebody.address});
    connecting.await();
    ck_assert(connecting.told->first.valid());
    Address peer = local(0);
    ck_assert_int_eq(::getpeername(connecting.told->first.get(),
                                   reinterpret_cast<sockaddr*>(&peer.storage), &peer.size),
                     0);
    ck_assert(describe(peer) == describe(somebody.address));
}
END_TEST

START_TEST(tells_nothing_after_its_end) {
    const Port somebody;
    somebody.listen();
    Connecting connecting({somebody.address});
    connecting.turn(10ms);
    if (!connecting.told) {
        connecting.connector.reset();
        connecting.turn(10ms);
        ck_assert(!connecting.told);
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(connector) {
    tcase_set_timeout(tests, websocket::test::kTestTimeout);
    tcase_add_test(tests, says_of_each_address_why_it_cannot_be_connected);
    tcase_add_test(tests, fails_without_an_address);
    tcase_add_test(tests, goes_on_to_the_next_address_when_one_is_refused);
    tcase_add_test(tests, does_not_wait_for_an_address_that_is_silent);
    tcase_add_test(tests, tells_nothing_after_its_end);
}
