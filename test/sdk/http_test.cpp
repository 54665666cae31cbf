// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>
#include <websocket/plugin.hpp>
#include <websocket/testing.hpp>

#include "unit.hpp"

namespace {

using websocket::HttpRequest;
using websocket::HttpResponse;
using websocket::testing::Answer;
using websocket::testing::Host;

struct Asked {
    void on_message(websocket::Connection, websocket::Message) {}

    HttpResponse on_http(const HttpRequest& request) {
        const std::string_view below = request.below();
        if (below == "/server") return HttpResponse::of_server();
        if (below == "/refusal") throw websocket::Refusal(402, "pay");
        if (below == "/exception") throw std::runtime_error("told to throw");
        if (below == "/page") return {.status = 404};
        if (below == "/body") {
            return {.body = std::string(request.body_text(10)),
                    .type = "text/x-body",
                    .headers = {{"Set-Cookie", "a"}, {"Set-Cookie", "b"}, {"Connection", "x"}}};
        }
        return {.body = std::string(request.method()) + " " + std::string(request.path()) + " " +
                        std::string(below) + (request.trusts_origin() ? " own" : " foreign")};
    }
};

struct Deaf {
    void on_message(websocket::Connection, websocket::Message) {}
};

WEBSOCKET_PLUGIN(sdk_asked_init, Asked)
WEBSOCKET_PLUGIN(sdk_deaf_init, Deaf)

}  // namespace

START_TEST(a_plugin_without_on_http_is_never_asked) {
    Host host(*sdk_deaf_init());
    ck_assert(host.answer({}).status == 426);
    ck_assert(host.answer({.method = "HEAD"}).status == 426);
    ck_assert(host.answer({.method = "OPTIONS"}).status == 200);
    ck_assert(host.answer({.method = "POST", .body = "x"}).status == 405);
}
END_TEST

START_TEST(a_body_above_a_limit_is_refused) {
    Host host(*sdk_asked_init());
    const auto ask = [&](std::size_t size, std::size_t most) {
        return host
            .answer({.target = "/x/body",
                     .body = std::string(size, 'a'),
                     .section = "/x",
                     .max_body = most})
            .status;
    };
    ck_assert(ask(10, 10) == 200);
    ck_assert(ask(11, 100) == 413);
    ck_assert(ask(10, 9) == 413);
    ck_assert(host.answer({.target = "/body", .body = "\xff"}).status == 400);
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(what_leaves_the_callback_is_the_answer) {
    Host host(*sdk_asked_init());
    const Answer refused = host.answer({.target = "/refusal"});
    ck_assert(refused.status == 402);
    ck_assert(refused.body == "pay\n");
    ck_assert(host.answer({.target = "/exception"}).status == 500);
    ck_assert(host.log().back() == "exception in on_http: told to throw");
    ck_assert(host.answer({.target = "/server"}).status == 426);
    ck_assert(host.answer({.method = "PUT", .target = "/server"}).status == 405);
    ck_assert(host.answer({.target = "/page"}).status == 404);
}
END_TEST

START_TEST(headers_of_the_same_name_stay_and_those_of_the_server_do_not) {
    Host host(*sdk_asked_init());
    const Answer answer = host.answer({.target = "/body", .body = "abc"});
    ck_assert(answer.body == "abc");
    ck_assert(answer.type == "text/x-body");
    const websocket::testing::Pairs wanted{{"Set-Cookie", "a"}, {"Set-Cookie", "b"}};
    ck_assert(answer.headers == wanted);
}
END_TEST

START_TEST(the_path_below_the_section_is_known) {
    Host host(*sdk_asked_init());
    const auto body = [&](const char* target, const char* section, bool trusted) {
        return host
            .answer(
                {.method = "PUT", .target = target, .section = section, .trusted_origin = trusted})
            .body;
    };
    ck_assert(body("/a/b?c", "/a", true) == "PUT /a/b /b own");
    ck_assert(body("/a/b?c", "/a/", false) == "PUT /a/b /b foreign");
    ck_assert(body("/a", "/a", true) == "PUT /a  own");
    ck_assert(body("/a", "/", true) == "PUT /a /a own");
}
END_TEST

WEBSOCKET_TEST_SUITE(sdk_http) {
    tcase_add_test(tests, a_plugin_without_on_http_is_never_asked);
    tcase_add_test(tests, a_body_above_a_limit_is_refused);
    tcase_add_test(tests, what_leaves_the_callback_is_the_answer);
    tcase_add_test(tests, headers_of_the_same_name_stay_and_those_of_the_server_do_not);
    tcase_add_test(tests, the_path_below_the_section_is_known);
}
