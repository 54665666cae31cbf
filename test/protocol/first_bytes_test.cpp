// SPDX-License-Identifier: Apache-2.0
#include "protocol/first_bytes.hpp"

#include <string>
#include <string_view>

#include "unit.hpp"

namespace {

using namespace websocket::protocol;
using namespace std::string_literals;

Wish wish(std::string_view text) {
    return wish_of({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

const std::string kUpgrade =
    "GET /chat?a=b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n";
const std::string kPage =
    "GET / HTTP/1.1\r\nHost: x\r\nX-Upgrade: websocket\r\n\r\nUpgrade: websocket\r\n";

std::string number(std::size_t value, unsigned bytes) {
    std::string text;
    while (bytes-- > 0) {
        text.push_back(static_cast<char>(value >> (8 * bytes)));
    }
    return text;
}

std::string vector(unsigned bytes, const std::string& content) {
    return number(content.size(), bytes) + content;
}

std::string extension(std::size_t type, const std::string& content) {
    return number(type, 2) + vector(2, content);
}

/// A ClientHello in one record.
std::string client_hello(const std::string& extensions) {
    const std::string hello = "\3\3"s + std::string(32, 'r') + vector(1, std::string(32, 's')) +
                              vector(2, "\x13\1"s) + vector(1, "\0"s) + vector(2, extensions);
    return "\x16\3\1"s + vector(2, "\1"s + vector(3, hello));
}

std::string alpn(const std::string& names) { return extension(16, vector(2, names)); }

const std::string kName = extension(0, vector(2, "\0"s + vector(2, "h2.example"s)));

}  // namespace

START_TEST(knows_a_request_for_an_upgrade) {
    ck_assert(wish(kUpgrade) == Wish::upgrade);
    ck_assert(wish("GET / HTTP/1.1\nupgrade:h2c,  WebSocket\n\n") == Wish::upgrade);
}
END_TEST

START_TEST(knows_a_request_for_an_event_stream) {
    for (const std::string_view accepted :
         {"text/event-stream", " TEXT/Event-Stream", "text/html, text/event-stream;q=0.5",
          "text/event-stream ; charset=utf-8,*/*"}) {
        const std::string head = "GET / HTTP/1.1\r\nAccept:" + std::string(accepted) + "\r\n\r\n";
        ck_assert_msg(wish(head) == Wish::event_stream, "%s", head.c_str());
        ck_assert(wish(head.substr(0, head.size() - 4)) == Wish::incomplete);
    }
    for (const std::string_view accepted :
         {"", "*/*", "text/*", "text/event-streams", "text/html;text/event-stream", ",,;,"}) {
        const std::string head = "GET / HTTP/1.1\r\nAccept:" + std::string(accepted) + "\r\n\r\n";
        ck_assert_msg(wish(head) == Wish::something_else, "%s", head.c_str());
    }
    ck_assert(wish("POST / HTTP/1.1\r\nAccept: text/event-stream\r\n\r\n") == Wish::something_else);
}
END_TEST

START_TEST(takes_no_page_for_an_upgrade) {
    for (const std::string_view text :
         {std::string_view(kPage), std::string_view("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"),
          std::string_view("POST / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
          std::string_view("Upgrade: websocket\r\n\r\n"),
          std::string_view("PRI * HTTP/2.0\r\n\r\n"), std::string_view("\0\1\2", 3),
          std::string_view("GET / HTTP/1.1\r\nUpgrade websocket\r\n\r\n")}) {
        ck_assert(wish(text) == Wish::something_else);
    }
}
END_TEST

START_TEST(waits_for_the_rest_wherever_a_request_is_cut) {
    const std::size_t known = kUpgrade.find("websocket\r\n") + 11;
    for (std::size_t size = 0; size < known; ++size) {
        ck_assert(wish(kUpgrade.substr(0, size)) == Wish::incomplete);
    }
    ck_assert(wish(kUpgrade.substr(0, known)) == Wish::upgrade);
}
END_TEST

START_TEST(gives_up_on_a_head_without_end) {
    std::string text = "GET / HTTP/1.1\r\nCookie: ";
    text.resize(kMaxFirstBytes - 1, 'c');
    ck_assert(wish(text) == Wish::incomplete);
    text.push_back('c');
    ck_assert(wish(text) == Wish::something_else);
}
END_TEST

START_TEST(looks_behind_a_header_of_a_proxy) {
    const std::string line = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
    const std::string binary = "\r\n\r\n\0\r\nQUIT\n\x21\x11"s + vector(2, std::string(12, 'a'));
    for (const std::string& header : {line, binary}) {
        ck_assert(wish(header + kUpgrade) == Wish::upgrade);
        ck_assert(wish(header + kPage) == Wish::something_else);
        for (std::size_t size = 0; size < header.size(); ++size) {
            ck_assert(wish(header.substr(0, size)) == Wish::incomplete);
        }
    }
}
END_TEST

START_TEST(knows_tls_that_may_be_for_a_websocket) {
    for (const std::string& extensions :
         {""s, kName, kName + alpn(vector(1, "http/1.1")), extension(16, ""s)}) {
        const std::string hello = client_hello(extensions);
        ck_assert(wish(hello) == Wish::tls_http1);
        for (std::size_t size = 0; size < hello.size(); ++size) {
            ck_assert(wish(hello.substr(0, size)) == Wish::incomplete);
        }
    }
}
END_TEST

START_TEST(leaves_alone_tls_that_may_become_http_2) {
    const std::string both = client_hello(kName + alpn(vector(1, "http/1.1") + vector(1, "h2")));
    ck_assert(wish(both) == Wish::something_else);
    ck_assert(wish("\x17\3\3\0\4data"s) == Wish::something_else);
    ck_assert(wish("\x16\3\3\0\4\2\0\0\0"s) == Wish::something_else);
}
END_TEST

START_TEST(survives_lengths_that_lie) {
    const std::string hello = client_hello(kName + alpn(vector(1, "h2")));
    for (std::size_t at = 5; at < hello.size(); ++at) {
        std::string broken = hello;
        broken[at] = '\xff';
        ck_assert(wish(broken) != Wish::upgrade);
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(first_bytes) {
    tcase_add_test(tests, knows_a_request_for_an_upgrade);
    tcase_add_test(tests, knows_a_request_for_an_event_stream);
    tcase_add_test(tests, takes_no_page_for_an_upgrade);
    tcase_add_test(tests, waits_for_the_rest_wherever_a_request_is_cut);
    tcase_add_test(tests, gives_up_on_a_head_without_end);
    tcase_add_test(tests, looks_behind_a_header_of_a_proxy);
    tcase_add_test(tests, knows_tls_that_may_be_for_a_websocket);
    tcase_add_test(tests, leaves_alone_tls_that_may_become_http_2);
    tcase_add_test(tests, survives_lengths_that_lie);
}
