// SPDX-License-Identifier: Apache-2.0
#include "net/resolver.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/awaiting.hpp"
#include "unit.hpp"

using namespace std::chrono_literals;
using websocket::net::Address;
using websocket::net::describe;
using websocket::net::Reactor;
using websocket::net::Resolver;

namespace {

struct Told {
    std::vector<Address> addresses;
    std::string error;
};

/// A resolver with the reactor that it needs.
struct Asking {
    Reactor reactor{4ms};
    std::unique_ptr<Resolver> resolver = std::make_unique<Resolver>(reactor);
    std::optional<Told> told;

    void ask(const std::string& host, std::uint16_t port = 80) {
        resolver->resolve(host, port, [this](std::vector<Address> found, const std::string& why) {
            ck_assert_msg(!told, "told twice");
            told = Told{std::move(found), why};
        });
    }
    Told await() {
        const auto deadline = std::chrono::steady_clock::now() + websocket::test::kPatience;
        while (!told) {
            ck_assert(std::chrono::steady_clock::now() < deadline);
            static_cast<void>(reactor.wait(100ms));
            reactor.dispatch();
        }
        return *told;
    }
};

}  // namespace

START_TEST(says_why_there_is_no_address) {
    Asking asking;
    // RFC 6761: never exists. Labels have 63 bytes at most, so this is not even asked for.
    asking.ask(std::string(64, 'x') + ".invalid");
    const Told told = asking.await();
    ck_assert(told.addresses.empty());
    ck_assert(!told.error.empty());
}
END_TEST

START_TEST(tells_nothing_after_cancel_and_after_its_end) {
    Asking asking;
    asking.ask("localhost");
    asking.resolver->cancel();
    static_cast<void>(asking.reactor.wait(0ms));
    asking.reactor.dispatch();
    ck_assert(!asking.told);
    asking.ask("localhost");  // listens to the question that is under way, or asks anew
    ck_assert(!asking.await().addresses.empty());
    asking.told.reset();
    asking.ask("localhost");
    asking.resolver.reset();
    static_cast<void>(asking.reactor.wait(0ms));
    asking.reactor.dispatch();
    ck_assert(!asking.told);
}
END_TEST

START_TEST(tells_of_an_address_in_numbers_at_once) {
    for (const auto& [host, wanted] :
         {std::pair("127.0.0.1", "127.0.0.1:8080"), {"::1", "[::1]:8080"}}) {
        Asking asking;
        asking.ask(host, 8080);
        ck_assert(asking.told && asking.told->addresses.size() == 1);
        ck_assert(describe(asking.told->addresses.front()) == wanted);
    }
}
END_TEST

START_TEST(finds_the_addresses_of_a_name_with_the_port) {
    Asking asking;
    asking.ask("localhost", 1234);
    const Told told = asking.await();
    ck_assert_msg(!told.addresses.empty(), "%s", told.error.c_str());
    for (const Address& address : told.addresses) {
        const std::string text = describe(address);
        ck_assert_msg(text == "127.0.0.1:1234" || text == "[::1]:1234", "%s", text.c_str());
    }
}
END_TEST

START_TEST(may_be_destroyed_by_who_is_told) {
    Asking asking;
    asking.resolver->resolve("localhost", 80,
                             [&](std::vector<Address> found, const std::string& why) {
                                 asking.told = Told{std::move(found), why};
                                 asking.resolver.reset();
                             });
    static_cast<void>(asking.await());
    ck_assert_ptr_null(asking.resolver.get());
}
END_TEST

WEBSOCKET_TEST_SUITE(resolver) {
    tcase_set_timeout(tests, websocket::test::kTestTimeout);
    tcase_add_test(tests, says_why_there_is_no_address);
    tcase_add_test(tests, tells_nothing_after_cancel_and_after_its_end);
    tcase_add_test(tests, tells_of_an_address_in_numbers_at_once);
    tcase_add_test(tests, finds_the_addresses_of_a_name_with_the_port);
    tcase_add_test(tests, may_be_destroyed_by_who_is_told);
}
