// SPDX-License-Identifier: Apache-2.0
#include "httpd/handshake/client_address.hpp"

#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <string>

#include "unit.hpp"

namespace {

std::uint64_t key_of(const std::string& text) {
    std::array<std::uint8_t, 16> bytes{};
    const bool ipv6 = text.find(':') != std::string::npos;
    ck_assert_int_eq(::inet_pton(ipv6 ? AF_INET6 : AF_INET, text.c_str(), bytes.data()), 1);
    return websocket::httpd::client_key(std::span(bytes).first(ipv6 ? 16 : 4));
}

}  // namespace

START_TEST(each_ipv4_address_is_a_client) {
    ck_assert_uint_eq(key_of("192.0.2.1"), key_of("192.0.2.1"));
    ck_assert_uint_ne(key_of("192.0.2.1"), key_of("192.0.2.2"));
    ck_assert_uint_ne(key_of("192.0.2.1"), key_of("1.2.0.192"));
}
END_TEST

START_TEST(an_ipv6_network_of_64_bits_is_a_client) {
    ck_assert_uint_eq(key_of("2001:db8:1:2::1"), key_of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    ck_assert_uint_ne(key_of("2001:db8:1:2::1"), key_of("2001:db8:1:3::1"));
}
END_TEST

START_TEST(ipv4_inside_of_ipv6_is_ipv4) {
    ck_assert_uint_eq(key_of("::ffff:192.0.2.1"), key_of("192.0.2.1"));
    ck_assert_uint_ne(key_of("::ffff:192.0.2.1"), key_of("::ffff:192.0.2.2"));
}
END_TEST

START_TEST(no_address_of_one_kind_is_taken_for_one_of_the_other) {
    for (const char* ipv4 : {"0.0.0.0", "127.0.0.1", "32.1.13.184", "255.255.255.255"}) {
        for (const char* ipv6 : {"::", "::1", "2001:db8::1", "ffff:ffff:ffff:ffff::", "fe80::1"}) {
            ck_assert_uint_ne(key_of(ipv4), key_of(ipv6));
        }
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(client_address) {
    tcase_add_test(tests, each_ipv4_address_is_a_client);
    tcase_add_test(tests, an_ipv6_network_of_64_bits_is_a_client);
    tcase_add_test(tests, ipv4_inside_of_ipv6_is_ipv4);
    tcase_add_test(tests, no_address_of_one_kind_is_taken_for_one_of_the_other);
}
