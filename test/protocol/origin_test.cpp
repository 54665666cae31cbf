// SPDX-License-Identifier: Apache-2.0
#include "protocol/origin.hpp"

#include <array>
#include <string>
#include <utility>

#include "failing_allocator.hpp"
#include "protocol/random.hpp"
#include "protocol/require.hpp"
#include "unit.hpp"

using namespace websocket::protocol;
using namespace websocket::test;

namespace {

void assert_canonical(std::string_view text, std::string_view expected) {
    const std::string got = canonical_origin(text).value_or("(none)");
    ck_assert_msg(got == expected, "\"%s\" gave %s", std::string(text).c_str(), got.c_str());
}

bool is_trusted(std::string_view configured, std::string_view origin) {
    const auto canonical = canonical_origin(origin);
    return canonical && trusts(read_trusted_origin(configured).text, *canonical);
}

}  // namespace

START_TEST(an_origin_as_browsers_send_it_stays_as_it_is) {
    for (const char* text : {"http://www.example.com", "https://www.example.com:8443",
                             "http://localhost.:8080", "http://127.0.0.1:1", "http://[::1]:8080",
                             "https://[2001:db8::3]", "https://xn--bcher-kva.example",
                             "chrome-extension://abcdefgh", "http://a_b.example:65535"}) {
        assert_canonical(text, text);
    }
}
END_TEST

START_TEST(case_default_ports_spellings_of_addresses_and_one_slash_do_not_matter) {
    assert_canonical("HTTPS://WWW.Example.COM", "https://www.example.com");
    assert_canonical("http://www.example:80", "http://www.example");
    assert_canonical("https://www.example:443", "https://www.example");
    assert_canonical("https://www.example:80", "https://www.example:80");
    assert_canonical("http://[2001:DB8:0:0::3]:80", "http://[2001:db8::3]");
    assert_canonical("http://www.example/", "http://www.example");
    assert_canonical("http://www.example:8080/", "http://www.example:8080");
}
END_TEST

START_TEST(what_is_no_origin_is_none) {
    for (const char* text : {"",
                             "null",
                             "*",
                             "www.example",
                             "://www.example",
                             "http:www.example",
                             "http://",
                             "http:///",
                             "http://www.example//",
                             "http://www.example/path",
                             "http://www.example?",
                             "http://a b",
                             "http://www.example#x",
                             "http://user@www.example",
                             "http://www.example:",
                             "http://x:0",
                             "http://x:080",
                             "http://x:65536",
                             "http://x:99999999999",
                             "http://x:8a",
                             "http://x:-1",
                             "http://:80",
                             "http://[::1",
                             "http://[::1]x",
                             "http://[x]",
                             "http://[::1%25lo]",
                             "http://::1",
                             "http://a.example, http://b.example",
                             "http://a.example http://b.example",
                             "http://.example",
                             "http://a..b",
                             "1http://x",
                             "http://b\xC3\xBC"
                             "cher.example",
                             "http://*.example.com"}) {
        assert_canonical(text, "(none)");
    }
    ck_assert(!canonical_origin(std::string_view("http://a\0b", 10)));
    ck_assert(!canonical_origin(std::string_view("http://[::1\0]", 13)));
}
END_TEST

START_TEST(a_host_header_and_a_scheme_make_an_origin) {
    ck_assert(origin_of("http", "www.example") == "http://www.example");
    ck_assert(origin_of("https", "WWW.example:443") == "https://www.example");
    ck_assert(origin_of("http", "localhost.:81") == "http://localhost.:81");
    ck_assert(origin_of("http", "[::1]:81") == "http://[::1]:81");
    for (const char* host : {"", ":80", "a/b", "a@b", "a:b", "[::1", "a b", "::1"}) {
        ck_assert_msg(!origin_of("http", host), "%s", host);
    }
}
END_TEST

START_TEST(trusted_origins_are_compared_as_origins) {
    ck_assert(is_trusted("https://www.example.com", "https://www.example.com"));
    ck_assert(is_trusted("HTTPS://www.EXAMPLE.com:443/", "https://www.example.com"));
    ck_assert(is_trusted("http://[2001:db8:0::3]", "http://[2001:db8::3]"));
    for (const char* other : {"http://www.example.com", "https://www.example.com:444",
                              "https://example.com", "https://www.example.com.evil.example",
                              "https://evil-www.example.com", "https://www.example.com."}) {
        ck_assert_msg(!is_trusted("https://www.example.com", other), "%s", other);
    }
}
END_TEST

START_TEST(a_wildcard_is_one_label_or_more_and_ends_at_a_dot) {
    constexpr std::string_view kAny = "https://*.Example.com";
    ck_assert(read_trusted_origin(kAny).text == "https://*.example.com");
    for (const char* below :
         {"https://a.example.com", "https://a.b.example.com", "https://A.EXAMPLE.com"}) {
        ck_assert_msg(is_trusted(kAny, below), "%s", below);
    }
    for (const char* other :
         {"https://example.com", "https://.example.com", "https://evilexample.com",
          "https://a.example.com.evil.example", "http://a.example.com",
          "https://a.example.com:8443", "https://a.example.com.", "https://a.example.org",
          "https://*.example.com"}) {
        ck_assert_msg(!is_trusted(kAny, other), "%s", other);
    }
    ck_assert(is_trusted("http://*.example.com:8080", "http://a.example.com:8080"));
    ck_assert(!is_trusted("http://*.example.com:8080", "http://a.example.com"));
    ck_assert(is_trusted("https://*.example.com:443", "https://a.example.com"));
}
END_TEST

START_TEST(says_why_no_page_can_have_an_origin) {
    using Case = std::pair<const char*, const char*>;
    for (const auto& [text, why] : std::array{
             Case{"https://www.example.com/chat", "path"},
             Case{"https://www.example.com?x", "path"}, Case{"ws://www.example.com", "not ws"},
             Case{"WSS://www.example.com", "not ws"}, Case{"www.example.com", "scheme"},
             Case{"*", "scheme"}, Case{"https://*", "*"}, Case{"https://*.com", "*"},
             Case{"https://a.*.example.com", "*"}, Case{"https://*example.com", "*"},
             Case{"https://*.*.example.com", "*"}, Case{"https://user@example.com", "user"},
             Case{"https://example.com:http", "port"},
             Case{"https://b\xC3\xBC"
                  "cher.example",
                  "xn--"},
             Case{"https://", "host"}, Case{"https://[::1", "host"},
             Case{"https://*.[::1]", "*"}}) {
        const TrustedOrigin read = read_trusted_origin(text);
        ck_assert_msg(read.never.find(why) != std::string_view::npos, "%s: %s", text,
                      std::string(read.never).c_str());
        ck_assert_str_eq(read.text.c_str(), text);
    }
    for (const char* text : {"https://www.example.com", "null", "file://", "chrome-extension://abc",
                             "https://*.example.com", "http://localhost:3000/"}) {
        ck_assert_msg(read_trusted_origin(text).never.empty(), "%s", text);
    }
}
END_TEST

START_TEST(takes_any_origin_without_harm) {
    Random random(6454);
    constexpr std::string_view kUsual = "htps:/.*a[]:0189@";
    for (int i = 0; i < 50'000; ++i) {
        std::string text = random.one_in(2) ? "https://" : "";
        for (std::size_t size = random.below(24); size > 0; --size) {
            text += random.one_in(20) ? static_cast<char>(random.below(256))
                                      : kUsual[random.below(kUsual.size())];
        }
        const auto once = canonical_origin(text);
        require(!once || canonical_origin(*once) == once, text);
        require(!once || trusts(read_trusted_origin(text).text, *once), text);
    }
}
END_TEST

START_TEST(running_out_of_memory_for_an_origin_throws_and_leaks_nothing) {
    ck_assert_uint_ge(fail_each_allocation(
                          [] {
                              static_cast<void>(
                                  canonical_origin("https://a-long-name.of.a.host.example:8443"));
                          },
                          [](bool) {}),
                      1);
}
END_TEST

WEBSOCKET_TEST_SUITE(origin) {
    tcase_add_test(tests, an_origin_as_browsers_send_it_stays_as_it_is);
    tcase_add_test(tests, case_default_ports_spellings_of_addresses_and_one_slash_do_not_matter);
    tcase_add_test(tests, what_is_no_origin_is_none);
    tcase_add_test(tests, a_host_header_and_a_scheme_make_an_origin);
    tcase_add_test(tests, trusted_origins_are_compared_as_origins);
    tcase_add_test(tests, a_wildcard_is_one_label_or_more_and_ends_at_a_dot);
    tcase_add_test(tests, says_why_no_page_can_have_an_origin);
    tcase_add_test(tests, takes_any_origin_without_harm);
    tcase_add_test(tests, running_out_of_memory_for_an_origin_throws_and_leaks_nothing);
}
