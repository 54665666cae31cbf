// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <websocket/event_stream.hpp>
#include <websocket/plugin.hpp>
#include <websocket/testing.hpp>

#include "unit.hpp"

namespace {

using websocket::HttpRequest;
using websocket::HttpResponse;
using websocket::testing::Host;

struct StreamNews {
    struct Client {
        bool stream = false;
        std::string last_id;
    };
    explicit StreamNews(const websocket::Server& server) : streams(server) {}

    HttpResponse on_http(const HttpRequest& request) const {
        if (!websocket::wants_event_stream(request)) return HttpResponse::of_server();
        HttpResponse response = streams.accept(request);
        response.headers.emplace_back("X-Accepted", "1");
        return response;
    }
    void on_upgrade(websocket::Upgrade& upgrade, Client& client) const {
        if (upgrade.below() == "/refused") throw websocket::Refusal(402, "pay");
        client = {streams.is_stream(upgrade), std::string(streams.last_id(upgrade))};
    }
    void on_open(websocket::Connection client, Client& state) const {
        streams.send(client, (state.stream ? "stream " : "socket ") + state.last_id,
                     {.name = "hello", .id = "1"});
        client.subscribe("news");
    }
    void on_message(websocket::Connection, websocket::Message message) const {
        streams.publish("news", message.text(), {.id = ""});
    }

    const websocket::EventStreams streams;
};

WEBSOCKET_PLUGIN(sdk_stream_news_init, StreamNews)

}  // namespace

START_TEST(who_asks_for_no_stream_or_is_refused_gets_none) {
    Host host(*sdk_stream_news_init());
    ck_assert(
        host.listen({.headers = {{"Accept", "text/html, text/event-streams"}}})->answer().status ==
        426);
    const auto posted =
        host.listen({.method = "POST", .headers = {{"Accept", "text/event-stream"}}});
    ck_assert(posted->answer().status == 405 && !posted->open());
    const auto refused = host.listen(
        {.target = "/x/refused", .headers = {{"Accept", "text/event-stream"}}, .section = "/x"});
    ck_assert(refused->answer().status == 402 && !refused->open() && refused->stream());
    ck_assert(!posted->stream());
    const auto head = host.listen({.method = "HEAD", .headers = {{"Accept", "text/event-stream"}}});
    ck_assert(head->answer().status == 200 && head->stream() && !head->open());
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(fields_that_cannot_be_written_are_an_offence) {
    Host host(*sdk_stream_news_init());
    const auto listener = host.listen();
    const auto& table = *static_cast<const ws_event_stream_draft_1*>(
        host.abi()->extension(host.abi(), WS_EVENT_STREAM_DRAFT_1));
    ck_assert_int_eq(
        table.publish(host.abi(), "news", 4, WS_TEXT, "x", 1, 0, "a\nb", 3, nullptr, 0),
        WS_BAD_ARG);
    ck_assert_int_eq(table.send(host.abi(), listener->id(), WS_TEXT, "x", 1, nullptr, 0, "a\0b", 3),
                     WS_BAD_ARG);
    ck_assert_uint_eq(host.offences().size(), 2);
    ck_assert_uint_eq(listener->received().size(), 1);  // what on_open has sent
}
END_TEST

START_TEST(a_stream_is_a_client_that_listens) {
    Host host(*sdk_stream_news_init());
    const auto stream =
        host.listen({.headers = {{"Accept", "text/html;q=1, Text/Event-Stream;q=0.5"},
                                 {"Last-Event-ID", "7"}}});
    const auto socket = host.connect();
    ck_assert(stream->open() && stream->answer().status == 200);
    ck_assert(stream->answer().headers.at(0).first == "X-Accepted");
    ck_assert(stream->received().at(0).payload == "stream 7");
    ck_assert(stream->received().at(0).event == "hello");
    ck_assert(socket->received().at(0).payload == "socket ");
    ck_assert(!socket->received().at(0).event);
    socket->text("extra");
    ck_assert(stream->received().at(1).payload == "extra");
    ck_assert(stream->received().at(1).id == "");
    ck_assert(!stream->received().at(1).event);
    ck_assert(socket->received().at(1).payload == "extra" && !socket->received().at(1).id);
    ck_assert(host.offences().empty());
}
END_TEST

WEBSOCKET_TEST_SUITE(sdk_event_stream) {
    tcase_add_test(tests, who_asks_for_no_stream_or_is_refused_gets_none);
    tcase_add_test(tests, fields_that_cannot_be_written_are_an_offence);
    tcase_add_test(tests, a_stream_is_a_client_that_listens);
}
