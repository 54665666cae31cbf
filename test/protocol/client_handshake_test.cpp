// SPDX-License-Identifier: Apache-2.0
#include "protocol/client_handshake.hpp"

#include <set>
#include <string>
#include <string_view>

#include "failing_allocator.hpp"
#include "protocol/handshake.hpp"
#include "unit.hpp"

namespace {

using namespace websocket::protocol;
using HandshakeStatus = ClientHandshake::Status;

// RFC 6455 section 1.3 has these two. They are written out here, so that a fault that our two roles share
// shows.
constexpr const char* kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kResponse = "HTTP/1.1 101 Switching Protocols\r\n"
                                       "Upgrade: websocket\r\n"
                                       "Connection: Upgrade\r\n"
                                       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                       "Sec-WebSocket-Protocol: chat\r\n\r\n";

ClientOffer chat_offer() {
    return {.target = "/chat",
            .host = "server.example.com",
            .subprotocols = {"chat", "superchat"},
            .deflate = {},
            .fields = {{"Origin", "http://example.com"}}};
}

ClientOffer deflate_offer(const DeflatePolicy& policy = {.server_takeover = true,
                                                         .client_takeover = true}) {
    ClientOffer offer = chat_offer();
    offer.deflate = policy;
    return offer;
}

/// The response of the RFC with `from` replaced.
std::string response_with(std::string_view from, std::string_view to) {
    std::string response(kResponse);
    const std::size_t at = response.find(from);
    ck_assert_uint_ne(at, std::string::npos);
    return response.replace(at, from.size(), to);
}

std::string response_and(std::string_view field) {
    return response_with("\r\n\r\n", "\r\n" + std::string(field) + "\r\n\r\n");
}

ClientHandshake answered(std::string_view response, const ClientOffer& offer = chat_offer()) {
    ClientHandshake handshake(offer, kKey);
    const std::size_t used = handshake.consume(response);
    ck_assert_uint_le(used, response.size());
    return handshake;
}

/// That the response ends the handshake in just this way however it comes, and says why.
void assert_ends(std::string_view response, HandshakeStatus status, std::string_view error,
                 const ClientOffer& offer = chat_offer()) {
    for (const std::size_t step : {response.size(), std::size_t{7}, std::size_t{1}}) {
        ClientHandshake handshake(offer, kKey);
        for (std::size_t at = 0;
             at < response.size() && handshake.status() == HandshakeStatus::waiting; at += step) {
            handshake.consume(response.substr(at, step));
        }
        ck_assert_msg(handshake.status() == status && handshake.error() == error,
                      "in steps of %zu: %d, \"%s\"", step, static_cast<int>(handshake.status()),
                      handshake.error().c_str());
    }
}

void assert_fails(std::string_view response, std::string_view error,
                  const ClientOffer& offer = chat_offer()) {
    assert_ends(response, HandshakeStatus::failed, error, offer);
}

void assert_unsendable(const ClientOffer& offer, std::string_view error) {
    const ClientHandshake handshake(offer, kKey);
    ck_assert(handshake.status() == HandshakeStatus::failed);
    ck_assert(handshake.request().empty());
    ck_assert_msg(handshake.error() == error, "%s", handshake.error().c_str());
}

}  // namespace

START_TEST(writes_the_request_of_the_rfc) {
    const ClientHandshake handshake(chat_offer(), kKey);
    ck_assert(handshake.status() == HandshakeStatus::waiting);
    ck_assert_str_eq(handshake.request().c_str(), "GET /chat HTTP/1.1\r\n"
                                                  "Host: server.example.com\r\n"
                                                  "Upgrade: websocket\r\n"
                                                  "Connection: Upgrade\r\n"
                                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                                  "Sec-WebSocket-Version: 13\r\n"
                                                  "Sec-WebSocket-Protocol: chat, superchat\r\n"
                                                  "Origin: http://example.com\r\n\r\n");
}
END_TEST

START_TEST(accepts_the_response_of_the_rfc_however_it_comes) {
    for (std::size_t step = 1; step <= kResponse.size(); ++step) {
        ClientHandshake handshake(chat_offer(), kKey);
        std::size_t used = 0;
        for (std::size_t at = 0; at < kResponse.size(); at += step) {
            ck_assert(handshake.status() == HandshakeStatus::waiting);
            used += handshake.consume(kResponse.substr(at, step));
        }
        ck_assert_msg(handshake.status() == HandshakeStatus::open, "%s", handshake.error().c_str());
        ck_assert_uint_eq(used, kResponse.size());
        ck_assert(handshake.agreement().subprotocol == "chat");
        ck_assert(!handshake.agreement().deflate.agreed());
    }
}
END_TEST

START_TEST(leaves_what_follows_the_head_to_the_first_frame) {
    const std::string_view hello("\x81\x05Hello", 7);
    const std::string bytes = std::string(kResponse) + std::string(hello);
    ClientHandshake handshake(chat_offer(), kKey);
    const std::size_t used = handshake.consume(bytes);
    ck_assert(handshake.status() == HandshakeStatus::open);
    ck_assert(std::string_view(bytes).substr(used) == hello);
    ck_assert_uint_eq(handshake.consume(hello), 0);
}
END_TEST

START_TEST(makes_a_new_key_for_each_handshake) {
    std::set<std::string> keys;
    for (int i = 0; i < 100; ++i) {
        const std::string key = make_key();
        ck_assert(is_strict_key(key));
        keys.insert(key);
    }
    ck_assert_uint_eq(keys.size(), 100);
    const ClientHandshake one(chat_offer());
    const ClientHandshake other(chat_offer());
    ck_assert(one.request() != other.request());
}
END_TEST

START_TEST(names_of_the_response_are_read_without_regard_to_case) {
    ck_assert(answered(response_with("Upgrade: websocket", "upgrade:WebSocket \t")).status() ==
              HandshakeStatus::open);
    ck_assert(answered(response_with("Connection: Upgrade", "CONNECTION: keep-alive, UPGRADE"))
                  .status() == HandshakeStatus::open);
    ck_assert(answered(response_with("Connection: Upgrade",
                                     "Connection: keep-alive\r\nConnection: upgrade"))
                  .status() == HandshakeStatus::open);
}
END_TEST

START_TEST(says_what_the_server_answered_instead_of_101) {
    assert_ends("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", HandshakeStatus::refused,
                "the server answered 200 OK instead of 101");
    const ClientHandshake moved =
        answered("HTTP/1.1 302 Found\r\nLocation: https://example.com/\r\n\r\nbody");
    ck_assert(moved.status() == HandshakeStatus::refused);
    ck_assert_uint_eq(moved.head().status, 302);
    ck_assert(moved.head().list("location") == "https://example.com/");
    assert_ends("HTTP/1.1 401\r\n\r\n", HandshakeStatus::refused,
                "the server answered 401  instead of 101");
}
END_TEST

START_TEST(passes_over_responses_that_announce_another_one) {
    const std::string hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
    ck_assert(answered(hints + "HTTP/1.1 100 Continue\r\n\r\n" + std::string(kResponse)).status() ==
              HandshakeStatus::open);
    std::string many;
    for (int i = 0; i < 9; ++i) many += hints;
    assert_fails(many, "the server only announces responses");
}
END_TEST

START_TEST(refuses_a_wrong_accept) {
    assert_fails(response_with("s3pP", "S3pP"),
                 "Sec-WebSocket-Accept is \"S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\", which is not that of "
                 "our key");
    assert_fails(response_with("Sec-WebSocket-Accept", "X-Accept"),
                 "the 101 has 0 Sec-WebSocket-Accept");
    assert_fails(response_and("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
                 "the 101 has 2 Sec-WebSocket-Accept");
}
END_TEST

START_TEST(refuses_a_101_to_something_else) {
    assert_fails(response_with("Upgrade: websocket", "Upgrade: h2c"),
                 "Upgrade of the 101 is \"h2c\", not websocket");
    assert_fails(response_with("Upgrade: websocket", "Upgrade: TLS/1.3, websocket"),
                 "Upgrade of the 101 is \"TLS/1.3, websocket\", not websocket");
    assert_fails(response_with("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket"),
                 "Upgrade of the 101 is \"h2c, websocket\", not websocket");
    assert_fails(response_with("Upgrade: websocket\r\n", ""),
                 "Upgrade of the 101 is \"\", not websocket");
    assert_fails(response_with("Connection: Upgrade", "Connection: keep-alive"),
                 "Connection of the 101 is \"keep-alive\" and does not list Upgrade");
    assert_fails(response_with("Connection: Upgrade\r\n", ""),
                 "Connection of the 101 is \"\" and does not list Upgrade");
}
END_TEST

START_TEST(refuses_a_subprotocol_that_was_not_offered) {
    for (const std::string_view name : {"Chat", "other", "chat, superchat", ""}) {
        assert_fails(response_with("Protocol: chat", "Protocol: " + std::string(name)),
                     "the server chooses a subprotocol that was not offered: \"" +
                         std::string(name) + '"');
    }
    assert_fails(response_and("Sec-WebSocket-Protocol: superchat"),
                 "the server chooses a subprotocol that was not offered: \"chat, superchat\"");
    ClientOffer none = chat_offer();
    none.subprotocols.clear();
    assert_fails(kResponse, "the server chooses a subprotocol that was not offered: \"chat\"",
                 none);
}
END_TEST

START_TEST(may_get_no_subprotocol) {
    const ClientHandshake handshake =
        answered(response_with("Sec-WebSocket-Protocol: chat\r\n", ""));
    ck_assert(handshake.status() == HandshakeStatus::open);
    ck_assert(handshake.agreement().subprotocol.empty());
}
END_TEST

START_TEST(refuses_an_extension_that_was_not_offered) {
    assert_fails(response_and("Sec-WebSocket-Extensions: permessage-deflate"),
                 "the server accepts an extension that was not offered: \"permessage-deflate\"");
    assert_fails(response_and("Sec-WebSocket-Extensions: permessage-deflate, x-other; a=1"),
                 "the server accepts an extension that was not offered: \"x-other\"",
                 deflate_offer());
    assert_fails(response_and("Sec-WebSocket-Extensions: permessage-deflate\r\n"
                              "Sec-WebSocket-Extensions: permessage-deflate"),
                 "the server accepts permessage-deflate more than once", deflate_offer());
    for (const std::string_view value : {"", "permessage-deflate; =", ";", "a b"}) {
        assert_fails(response_and("Sec-WebSocket-Extensions: " + std::string(value)),
                     "Sec-WebSocket-Extensions is no list of extensions: \"" + std::string(value) +
                         '"',
                     deflate_offer());
    }
}
END_TEST

START_TEST(agrees_on_compression_that_was_offered) {
    const ClientHandshake asked(deflate_offer(), kKey);
    ck_assert(asked.request().find("\r\nSec-WebSocket-Extensions: permessage-deflate; "
                                   "client_max_window_bits\r\n") != std::string::npos);
    const ClientHandshake handshake = answered(
        response_and("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10"),
        deflate_offer());
    ck_assert_msg(handshake.status() == HandshakeStatus::open, "%s", handshake.error().c_str());
    ck_assert_uint_eq(handshake.agreement().deflate.client_bits, 10);
    ck_assert_uint_eq(handshake.agreement().deflate.server_bits, 15);
    ck_assert(handshake.agreement().deflate.server_takeover);
    assert_fails(response_and("Sec-WebSocket-Extensions: permessage-deflate; x"),
                 "the server's permessage-deflate cannot be: a parameter is unknown, invalid or "
                 "there twice",
                 deflate_offer());
}
END_TEST

START_TEST(refuses_a_head_that_is_none) {
    assert_fails(response_with("Upgrade: websocket\r\n", "Upgrade: websocket\n"),
                 "a line of the head ends without CR");
    assert_fails("SSH-2.0-OpenSSH_9.2\r\n",
                 "the answer does not begin with a status line of HTTP/1.1");
    assert_fails(response_and("X-Long: " + std::string(8200, 'x')),
                 "a line of the head is longer than 8192 bytes");
}
END_TEST

START_TEST(does_not_send_what_would_be_another_request) {
    const auto changed = [](auto change) {
        ClientOffer offer = chat_offer();
        change(offer);
        return offer;
    };
    for (const std::string_view target :
         {"", "chat", "/a b", "/\r\nX: y", "/a#b", "/\xC3\xA9", "http://example.com/"}) {
        assert_unsendable(changed([&](ClientOffer& offer) { offer.target = target; }),
                          "the target is no path with a query");
    }
    for (const std::string_view host : {"", "a b", "a\r\nb", "a/b", "user@host"}) {
        assert_unsendable(changed([&](ClientOffer& offer) { offer.host = host; }),
                          "the host is no host with a port");
    }
    for (const std::string_view name : {"", "a b", "a,b", "a\r\n", "superchat"}) {
        assert_unsendable(
            changed([&](ClientOffer& offer) { offer.subprotocols.emplace_back(name); }),
            "a subprotocol is no token or there twice");
    }
    const auto with_field = [&](std::string_view name, std::string_view value) {
        return changed([&](ClientOffer& offer) {
            offer.fields = {{std::string(name), std::string(value)}};
        });
    };
    for (const std::string_view name :
         {"Host", "upgrade", "Connection", "Sec-WebSocket-Key", "Transfer-Encoding"}) {
        assert_unsendable(with_field(name, "x"),
                          "the handshake writes the field \"" + std::string(name) + "\" itself");
    }
    assert_unsendable(with_field("X-A", "b\r\nX-B: c"),
                      "a field cannot be sent: a control character in its value");
    assert_unsendable(with_field("X A", "b"), "a field cannot be sent: its name is not a token");
    const ClientHandshake handshake(chat_offer(), "short");
    ck_assert(handshake.status() == HandshakeStatus::failed);
    ck_assert_str_eq(handshake.error().c_str(), "the key is not one");
}
END_TEST

START_TEST(a_handshake_without_memory_throws_and_leaks_nothing) {
    const ClientOffer offer = deflate_offer();
    ck_assert_uint_ge(websocket::test::fail_each_allocation(
                          [&] {
                              ClientHandshake handshake(offer, kKey);
                              handshake.consume(kResponse);
                          },
                          [](bool) {}),
                      10);
}
END_TEST

WEBSOCKET_TEST_SUITE(client_handshake) {
    tcase_add_test(tests, writes_the_request_of_the_rfc);
    tcase_add_test(tests, accepts_the_response_of_the_rfc_however_it_comes);
    tcase_add_test(tests, leaves_what_follows_the_head_to_the_first_frame);
    tcase_add_test(tests, makes_a_new_key_for_each_handshake);
    tcase_add_test(tests, names_of_the_response_are_read_without_regard_to_case);
    tcase_add_test(tests, says_what_the_server_answered_instead_of_101);
    tcase_add_test(tests, passes_over_responses_that_announce_another_one);
    tcase_add_test(tests, refuses_a_wrong_accept);
    tcase_add_test(tests, refuses_a_101_to_something_else);
    tcase_add_test(tests, refuses_a_subprotocol_that_was_not_offered);
    tcase_add_test(tests, may_get_no_subprotocol);
    tcase_add_test(tests, refuses_an_extension_that_was_not_offered);
    tcase_add_test(tests, agrees_on_compression_that_was_offered);
    tcase_add_test(tests, refuses_a_head_that_is_none);
    tcase_add_test(tests, does_not_send_what_would_be_another_request);
    tcase_add_test(tests, a_handshake_without_memory_throws_and_leaks_nothing);
}
