// SPDX-License-Identifier: Apache-2.0
// What clients send before they are accepted, and what a plugin gets of it.
#include <functional>
#include <string>

#include <websocket/plugin.hpp>
#include <websocket/testing.hpp>

#include "protocol/require.hpp"
#include "protocol/response_header.hpp"
#include "unit.hpp"

namespace {

using websocket::BadRequest;
using websocket::Refusal;
using websocket::Upgrade;
using websocket::test::require;
using websocket::testing::Answer;
using websocket::testing::Handshake;
using websocket::testing::Host;

/// What on_upgrade does in this test.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): a plugin gets no arguments
std::function<void(Upgrade&)> on_upgrade;

struct Asking {
    struct Client {};
    void on_upgrade(Upgrade& upgrade) { ::on_upgrade(upgrade); }
    void on_message(websocket::Connection, websocket::Message) {}
};
WEBSOCKET_PLUGIN(sdk_request_init, Asking)

/// The answer to a handshake in which on_upgrade calls `work`.
Answer answer(const Handshake& handshake, std::function<void(Upgrade&)> work) {
    ::on_upgrade = std::move(work);
    Host host(*sdk_request_init());
    return host.connect(handshake)->answer();
}

Answer asked_for_name(const std::string& query) {
    Handshake handshake;
    handshake.target = "/?" + query;
    return answer(handshake, [](Upgrade& upgrade) {
        upgrade.set_header("X-Name", upgrade.parameter_text("name").value_or("(none)"));
    });
}

}  // namespace

START_TEST(a_parameter_that_is_text_is_given_decoded) {
    const auto name = [](const std::string& query) {
        return asked_for_name(query).headers.at(0).second;
    };
    ck_assert(name("name=al%69ce+b") == "alice b");
    ck_assert(name("a=%FF&name=%C3%BC") == "\xC3\xBC");
    ck_assert(name("name=") == "");
    ck_assert(name("name") == "");
    ck_assert(name("other=%FF") == "(none)");
    ck_assert(name("%6eame=x&name=%FF") == "x");
}
END_TEST

START_TEST(a_parameter_that_is_no_text_is_answered_with_400_and_a_sentence) {
    for (const std::string query :
         {"name=%FF", "name=\xFF", "name=%C0%AF", "name=a%ED%A0%80", "name=%E2%82", "name=%00",
          "name=a%00b", "name=%", "name=%4", "name=%zz", "name=100%+sure"}) {
        const Answer no = asked_for_name(query);
        require(no.status == 400, query);
        require(no.body.starts_with("parameter name "), query);
        require(no.type == "text/plain; charset=utf-8" && websocket::is_utf8(no.body), query);
    }
    ck_assert(asked_for_name("name=%FF").body == "parameter name is not UTF-8\n");
}
END_TEST

START_TEST(bytes_are_there_for_who_wants_them) {
    Handshake handshake;
    handshake.target = "/\xFF?name=%FF%00%";
    handshake.user = "\xFF";
    handshake.headers = {{"X-Name", "\xFF"}};
    handshake.environment = {{"NAME", "\xFF"}};
    const Answer yes = answer(handshake, [](Upgrade& upgrade) {
        ck_assert(upgrade.parameter("name") == std::string("\xFF\0%", 3));
        ck_assert(upgrade.path() == "/\xFF");
        ck_assert(upgrade.user() == "\xFF");
        ck_assert(upgrade.header("x-name") == "\xFF");
        ck_assert(upgrade.environment("NAME") == "\xFF");
    });
    ck_assert_uint_eq(yes.status, 101);
}
END_TEST

START_TEST(each_part_of_a_request_can_be_had_as_text) {
    Handshake good;
    good.target = "/\xC3\xBC";
    good.user = "J\xC3\xBCrgen";
    good.headers = {{"X-Name", "\xC3\xBC"}};
    good.environment = {{"NAME", "\xC3\xBC"}};
    const Answer yes = answer(good, [](Upgrade& upgrade) {
        ck_assert(upgrade.path_text() == "/\xC3\xBC");
        ck_assert(upgrade.user_text() == "J\xC3\xBCrgen");
        ck_assert(upgrade.header_text("X-NAME") == "\xC3\xBC");
        ck_assert(upgrade.header_text("X-None").empty());
        ck_assert(upgrade.environment_text("NAME") == "\xC3\xBC");
        ck_assert(upgrade.environment_text("NONE").empty());
        ck_assert(!upgrade.parameter_text("name"));
    });
    ck_assert_uint_eq(yes.status, 101);

    Handshake bad;
    bad.target = "/\xFC";
    bad.user = "J\xFCrgen";  // ISO-8859-1, which some browsers send as a name with Basic
    bad.headers = {{"X-Name", "\xFC"}};
    bad.environment = {{"NAME", "\xFC"}};
    using Ask = void (*)(Upgrade&);
    for (const Ask ask : {Ask([](Upgrade& u) { u.set_header("X", u.path_text()); }),
                          Ask([](Upgrade& u) { u.set_header("X", u.user_text()); }),
                          Ask([](Upgrade& u) { u.set_header("X", u.header_text("X-Name")); }),
                          Ask([](Upgrade& u) { u.set_header("X", u.environment_text("NAME")); })}) {
        const Answer no = answer(bad, ask);
        ck_assert_uint_eq(no.status, 400);
        ck_assert(no.headers.empty());
        ck_assert(no.body.ends_with(" is not UTF-8\n"));
    }
}
END_TEST

START_TEST(a_refusal_may_be_thrown_from_anywhere) {
    const Answer no = answer({}, [](Upgrade&) { throw Refusal(402, "pay first"); });
    ck_assert_uint_eq(no.status, 402);
    ck_assert(no.body == "pay first\n");
    const Answer bad = answer({}, [](Upgrade&) { throw BadRequest("say what you want"); });
    ck_assert_uint_eq(bad.status, 400);
    const Answer wrong = answer({}, [](Upgrade&) { throw std::runtime_error("database"); });
    ck_assert_uint_eq(wrong.status, 500);
    ck_assert(wrong.body == "");
}
END_TEST

/// The server in memory has the rule in words of its own, because plugins are built without src/.
START_TEST(the_same_headers_are_taken_as_by_the_server) {
    constexpr std::string_view kNames[] = {"",
                                           "X",
                                           "x-y",
                                           "X Y",
                                           "X:",
                                           "X\r\nY",
                                           "\xC3\xBC",
                                           "Upgrade",
                                           "UPGRADE",
                                           "Connection",
                                           "Keep-Alive",
                                           "Proxy-Connection",
                                           "TE",
                                           "tea",
                                           "Trailer",
                                           "Transfer-Encoding",
                                           "Set-Cookie",
                                           "Sec-",
                                           "Server",
                                           "Content-Length",
                                           "Sec-WebSocket",
                                           "sec-websocket-accept",
                                           "Sec-WebSocket-Protocol",
                                           "Sec-WebSocket-New"};
    constexpr std::string_view kValues[] = {"",    "x",   " x\ty ", "\xFF",
                                            "x\n", "x\r", "\x7F",   {"\0", 1}};
    static_cast<void>(answer({}, [&](Upgrade& upgrade) {
        for (const std::string_view name : kNames) {
            for (const std::string_view value : kValues) {
                const bool allowed = websocket::protocol::fault_of_header(name, value) ==
                                     websocket::protocol::HeaderFault::none;
                require(upgrade.set_header(name, value) == allowed, name);
            }
        }
        for (int byte = 0; byte < 256; ++byte) {
            const std::string text{'x', static_cast<char>(byte)};
            const bool name = websocket::base::is_token(text);
            require(upgrade.set_header(text, "x") == name, text);
            require(upgrade.set_header("x", text) == websocket::protocol::is_field_value(text),
                    text);
        }
    }));
}
END_TEST

START_TEST(a_header_that_is_set_twice_is_sent_once) {
    Handshake offer;
    offer.subprotocols = {"a", "b"};
    const Answer yes = answer(offer, [](Upgrade& upgrade) {
        ck_assert(upgrade.set_header("X-Twice", "1") && upgrade.set_header("x-twice", "2"));
        ck_assert(upgrade.choose_subprotocol("a") && upgrade.choose_subprotocol("b"));
        ck_assert(!upgrade.choose_subprotocol("c"));
    });
    ck_assert(yes.headers ==
              (websocket::testing::Pairs{{"x-twice", "2"}, {"Sec-WebSocket-Protocol", "b"}}));
}
END_TEST

START_TEST(the_administrator_can_read_why) {
    ::on_upgrade = [](Upgrade& upgrade) { static_cast<void>(upgrade.user_text()); };
    Host host(*sdk_request_init());
    Handshake handshake;
    handshake.user = "\xFF";
    ck_assert(!host.connect(handshake)->open());
    ck_assert(host.log() ==
              std::vector<std::string>{"refused with 400: the name of the user is not UTF-8"});
    ck_assert(host.offences().empty());
}
END_TEST

WEBSOCKET_TEST_SUITE(sdk_request) {
    tcase_add_test(tests, a_parameter_that_is_text_is_given_decoded);
    tcase_add_test(tests, a_parameter_that_is_no_text_is_answered_with_400_and_a_sentence);
    tcase_add_test(tests, bytes_are_there_for_who_wants_them);
    tcase_add_test(tests, each_part_of_a_request_can_be_had_as_text);
    tcase_add_test(tests, a_refusal_may_be_thrown_from_anywhere);
    tcase_add_test(tests, the_same_headers_are_taken_as_by_the_server);
    tcase_add_test(tests, a_header_that_is_set_twice_is_sent_once);
    tcase_add_test(tests, the_administrator_can_read_why);
}
