// SPDX-License-Identifier: Apache-2.0
// The shipped websocket_topic in the server in memory.
#include <websocket/testing.hpp>

#include "plugin/built_plugin.hpp"
#include "plugin/common/loader.hpp"
#include "unit.hpp"

using websocket::plugin::Plugin;
using websocket::test::built_plugin;
using websocket::testing::Answer;
using websocket::testing::Handshake;
using websocket::testing::Host;
using websocket::testing::Pairs;
using websocket::testing::Request;

namespace {

using Client = std::shared_ptr<websocket::testing::Client>;

const WebSocketPlugin& load(const char* init = "topic_init") {
    std::string error;
    static std::vector<std::unique_ptr<Plugin>> loaded;
    loaded.push_back(Plugin::load(built_plugin("plugins/websocket_topic.so"), "websocket_topic.so",
                                  init, error));
    ck_assert_msg(loaded.back() != nullptr, "%s", error.c_str());
    return loaded.back()->callbacks();
}

void assert_objection(const Pairs& options, const std::string& words,
                      const char* init = "topic_init") {
    std::string why = "it likes them";
    try {
        const Host host(load(init), options);
    } catch (const std::runtime_error& error) {
        why = error.what();
    }
    ck_assert_msg(why.find(words) != std::string::npos, "\"%s\" does not say \"%s\"", why.c_str(),
                  words.c_str());
}

Handshake to(const std::string& target, const std::string& user = {}) {
    Handshake handshake;
    handshake.target = target;
    handshake.section = "/topic";
    handshake.user = user;
    return handshake;
}

void assert_refused(Host& host, const Handshake& handshake, std::uint32_t status,
                    const std::string& words) {
    const Answer answer = host.connect(handshake)->answer();
    ck_assert_uint_eq(answer.status, status);
    ck_assert_msg(answer.body.find(words) != std::string::npos, "\"%s\" does not say \"%s\"",
                  answer.body.c_str(), words.c_str());
}

Request stream_of(const std::string& target, const std::string& user = {}) {
    return {.target = target,
            .headers = {{"Accept", "text/event-stream"}},
            .user = user,
            .section = "/topic"};
}

void assert_no_stream(Host& host, Request request, std::uint32_t status, const std::string& words) {
    const std::string what = request.method + ' ' + request.target;
    const Client client = host.listen(std::move(request));
    const Answer& answer = client->answer();
    ck_assert_msg(answer.status == status && answer.body.find(words) != std::string::npos &&
                      !client->open(),
                  "%s: %u %s", what.c_str(), answer.status, answer.body.c_str());
}

void publish(Host& host, const std::string& topic, const std::string& bytes,
             std::uint32_t type = WS_TEXT) {
    const auto* topics =
        static_cast<const ws_topic_1*>(host.abi()->extension(host.abi(), WS_TOPIC_1));
    ck_assert_int_eq(topics->publish(host.abi(), topic.data(), topic.size(), type, bytes.data(),
                                     bytes.size(), 0, 0),
                     WS_OK);
    host.advance(std::chrono::milliseconds(0));  // listeners get it
}

void expect(const Client& client, const std::vector<std::string>& wanted) {
    const std::vector<std::string> got = client->texts();
    std::string all;
    for (const std::string& text : got) all += text + "\n";
    ck_assert_msg(got == wanted, "got:\n%s", all.c_str());
}

/// What the client sends is answered with an error of this code that says so.
void assert_error(const Client& client, const std::string& text, int code,
                  const std::string& words) {
    client->text(text);
    const std::vector<std::string> got = client->texts();
    ck_assert_uint_eq(got.size(), 1);
    const bool right = got[0].starts_with(R"({"type":"error")") &&
                       got[0].find("\"code\":" + std::to_string(code) + ',') != std::string::npos &&
                       got[0].find(words) != std::string::npos;
    ck_assert_msg(right, "to %.100s: %s", text.c_str(), got[0].c_str());
}

std::string padded(std::size_t size) {
    return R"({"type":"ping","x":")" + std::string(size, 'x') + "\"}";
}

}  // namespace

START_TEST(options_that_make_no_sense_together_are_refused) {
    assert_objection({}, "there is no topic");
    assert_objection({{"topic", " "}}, "names nothing");
    assert_objection({{"topic", "a\x01"}}, "control character");
    assert_objection({{"topic", std::string(256, 'x')}}, "256 bytes");
    assert_objection({{"topic-from", "path"}}, "option allow");
    assert_objection({{"topic-from", "header"}, {"allow", "**"}}, "path or query");
    assert_objection({{"allow", "**"}}, "topic-from names it");
    assert_objection({{"protocol", "xml"}}, "raw or json");
    assert_objection({{"topic", "a b"}, {"publish", "on"}}, "needs protocol json");
    assert_objection({{"topic", "a"}, {"publish", "yes"}}, "off or on");
    assert_objection({{"topic", "a"}, {"protocol", "json"}, {"echo", "off"}}, "raw");
    assert_objection({{"topic", "a b"}, {"topics", "1"}}, "names 2");
    assert_objection({{"topic", "a"}, {"topics", "0"}}, "from 1 to 1000");
    assert_objection({{"topic", "a"}, {"colour", "1"}}, "topic-from, allow, deny");
    std::string many;
    for (int i = 0; i < 65; ++i) many += "a* ";
    assert_objection({{"topic", "a"}, {"allow", many}}, "65 words");
    assert_objection({{"topic", "a b"}}, "it likes them");
    assert_objection({{"allow", "**"}, {"protocol", "json"}}, "it likes them");
}
END_TEST

START_TEST(clients_get_the_topics_of_the_administrator_as_they_are) {
    Host host(load(), {{"topic", "news weather"}});
    const auto one = host.connect(to("/topic"));
    publish(host, "news", "a");
    publish(host, "weather", "b");
    publish(host, "other", "c");
    publish(host, "news", std::string("\0\xFF", 2), WS_BINARY);
    expect(one, {"a", "b"});
    ck_assert(one->received().back().type == WS_BINARY);
    ck_assert(one->received().back().payload == std::string("\0\xFF", 2));
    one->text("nobody gets this");
    one->binary("nor this");
    ck_assert(one->open());
    expect(one, {});
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(a_topic_comes_from_the_path_or_the_query_if_it_is_allowed) {
    Host paths(load(),
               {{"topic-from", "path"}, {"allow", "news/* chat"}, {"deny", "news/secret*"}});
    const auto sport = paths.connect(to("/topic/news/sport"));
    publish(paths, "news/sport", "goal");
    expect(sport, {"goal"});
    assert_refused(paths, to("/topic"), 400, "0 bytes");
    assert_refused(paths, to("/topic/"), 400, "0 bytes");
    assert_refused(paths, to("/topic/other"), 403, "does not have the topic");
    assert_refused(paths, to("/topic/news/sport/tennis"), 403, "does not have");
    assert_refused(paths, to("/topic/news/secrets"), 403, "does not have");
    assert_refused(paths, to("/topic/news/" + std::string(124, 'x')), 400, "129 bytes");

    Host queries(load(), {{"topic-from", "query"}, {"allow", "**"}, {"topics", "3"}});
    const auto two = queries.connect(to("/topic?topic=a&topic=b%2Fc&topic=a"));
    publish(queries, "a", "1");
    publish(queries, "b/c", "2");
    expect(two, {"1", "2"});
    assert_refused(queries, to("/topic"), 400, "?topic=NAME");
    assert_refused(queries, to("/topic?topic="), 400, "0 bytes");
    assert_refused(queries, to("/topic?topic=%00"), 400, "NUL");
    assert_refused(queries, to("/topic?topic=%0a"), 400, "control");
    assert_refused(queries, to("/topic?topic=%ff"), 400, "UTF-8");
    assert_refused(queries, to("/topic?topic=%zz"), 400, "escape");
    assert_refused(queries, to("/topic?topic=a&topic=b&topic=c&topic=d"), 400, "4 topics");
}
END_TEST

START_TEST(each_user_has_topics_of_his_own) {
    Host host(load(), {{"topic", "inbox/{user}"}, {"topic-from", "query"}, {"allow", "{user}/*"}});
    const auto alice = host.connect(to("/topic?topic=alice/x", "alice"));
    publish(host, "inbox/alice", "1");
    publish(host, "inbox/bob", "2");
    publish(host, "alice/x", "3");
    expect(alice, {"1", "3"});
    assert_refused(host, to("/topic?topic=bob/x", "alice"), 403, "does not have");
    assert_refused(host, to("/topic?topic=alice/x"), 403, "nobody is logged in");
    assert_refused(host, to("/topic", "alice/x"), 403, "has a \"/\"");
    assert_refused(host, to("/topic", "\xFF"), 400, "UTF-8");
    assert_refused(host, to("/topic", std::string(250, 'x')), 400, "256 bytes");
    const auto star = host.connect(to("/topic", "*"));
    publish(host, "inbox/alice", "4");
    expect(star, {});
}
END_TEST

START_TEST(who_may_publish_reaches_all_or_all_others) {
    Host host(load(), {{"topic-from", "path"}, {"allow", "**"}, {"publish", "on"}});
    const auto one = host.connect(to("/topic/a"));
    const auto other = host.connect(to("/topic/a"));
    one->text("x");
    one->binary("y");
    expect(one, {"x"});
    expect(other, {"x"});
    ck_assert(other->received().back().type == WS_BINARY);
    Host deaf(load(), {{"topic", "a"}, {"publish", "on"}, {"echo", "off"}});
    const auto speaker = deaf.connect(to("/topic"));
    const auto listener = deaf.connect(to("/topic"));
    speaker->text("x");
    expect(speaker, {});
    expect(listener, {"x"});
}
END_TEST

START_TEST(requests_that_are_none_are_answered_with_what_is_wrong) {
    Host host(load(), {{"protocol", "json"},
                       {"topic", "a"},
                       {"allow", "b/*"},
                       {"publish", "on"},
                       {"topics", "3"}});
    const auto one = host.connect(to("/topic"));
    expect(one, {R"({"type":"subscribed","topic":"a"})"});
    assert_error(one, "", 400, "empty");
    assert_error(one, "{", 400, "");
    assert_error(one, "[]", 400, "an array");
    assert_error(one, "7", 400, "a number");
    assert_error(one, "{}", 400, "\\\"type\\\" has to be");
    assert_error(one, R"({"type":"Subscribe"})", 400, "has to be");
    assert_error(one, R"({"type":7,"id":"x"})", 400, R"("id":"x")");
    assert_error(one, R"({"type":"ping","type":"ping"})", 400, "twice");
    assert_error(one, R"({"type":"ping","id":[]})", 400, "\\\"id\\\"");
    assert_error(one, R"({"type":"ping","id":")" + std::string(65, 'x') + "\"}", 400, "64 bytes");
    assert_error(one, R"({"type":"subscribe"})", 400, "\\\"topic\\\"");
    assert_error(one, R"({"type":"subscribe","topic":7})", 400, "string");
    assert_error(one, R"({"type":"subscribe","topic":""})", 400, "0 bytes");
    assert_error(one, R"({"type":"subscribe","topic":"\u0000"})", 400, "control");
    assert_error(one, R"({"type":"subscribe","topic":"c","id":5})", 403, R"("topic":"c","id":5)");
    assert_error(one, R"({"type":"publish","topic":"c","data":1})", 403, "does not have");
    assert_error(one, R"({"type":"publish","topic":"a"})", 400, "either");
    assert_error(one, R"({"type":"publish","topic":"a","data":1,"base64":""})", 400, "either");
    for (const char* wrong :
         {"A", "AA=A", "A===", "AAA", "AB==", "AAB=", "A A=", "=AAA", "AA\\n="}) {
        assert_error(one,
                     std::string(R"({"type":"publish","topic":"a","base64":")") + wrong + "\"}",
                     400, "base64");
    }
    assert_error(one, padded(std::size_t{1} << 20), 413, "allowed are");
    assert_error(one, std::string(1000, '[') + std::string(1000, ']'), 400, "deep");
    one->text(R"({"type":"subscribe","topic":"b/1"})");
    one->text(R"({"type":"subscribe","topic":"b/2"})");
    static_cast<void>(one->texts());
    assert_error(one, R"({"type":"subscribe","topic":"b/3"})", 429, "3 topics already");
    ck_assert(one->open());
    one->binary("{}");
    ck_assert_uint_eq(one->closed_with().value_or(0), 1003);
    const Host silent(load(), {{"protocol", "json"}, {"topic", "a"}});
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(requests_are_carried_out_and_answered) {
    Host host(load(), {{"protocol", "json"}, {"allow", "**"}, {"publish", "on"}});
    Handshake offer = to("/topic");
    offer.subprotocols = {"other", "topic.v1"};
    const auto one = host.connect(offer);
    ck_assert(one->answer().headers == (Pairs{{"Sec-WebSocket-Protocol", "topic.v1"}}));
    const auto other = host.connect(to("/topic"));
    expect(one, {});
    one->text(R"({"type":"ping","id":1})");
    one->text(R"({"type":"subscribe","topic":"a","id":"x","since":"later"})");
    one->text(R"({"type":"subscribe","topic":"a"})");
    expect(one, {R"({"type":"pong","id":1})", R"({"type":"subscribed","topic":"a","id":"x"})",
                 R"({"type":"subscribed","topic":"a"})"});
    other->text(R"({"type":"subscribe","topic":"\"ä"})");
    other->text(R"({"type":"publish","topic":"a","data":"<\n\u0001>","id":2})");
    other->text(R"({"type":"publish","topic":"a","data":{"x":[1,null]}})");
    other->text(R"({"type":"publish","topic":"a","base64":"AP8="})");
    other->text(R"({"type":"publish","topic":"a","base64":""})");
    expect(other, {R"({"type":"subscribed","topic":"\"ä"})",
                   R"({"type":"published","topic":"a","id":2})"});
    expect(one, {R"({"type":"message","topic":"a","data":"<\n\u0001>"})",
                 R"({"type":"message","topic":"a","data":"{\"x\":[1,null]}"})",
                 R"({"type":"message","topic":"a","base64":"AP8="})",
                 R"({"type":"message","topic":"a","base64":""})"});
    one->text(R"({"type":"unsubscribe","topic":"a"})");
    one->text(R"({"type":"unsubscribe","topic":"a","id":3})");
    publish(host, "a", "x");
    publish(host, "\"ä", "y");
    expect(one, {R"({"type":"unsubscribed","topic":"a"})",
                 R"({"type":"unsubscribed","topic":"a","id":3})"});
    expect(other, {R"({"type":"message","topic":"\"ä","data":"y"})"});
    other->vanish();
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(clients_that_may_not_publish_are_told) {
    Host host(load(), {{"protocol", "json"}, {"topic", "a"}});
    const auto one = host.connect(to("/topic"));
    expect(one, {R"({"type":"subscribed","topic":"a"})"});
    assert_error(one, R"({"type":"publish","topic":"a","data":1})", 403, "may not publish");
    assert_error(one, R"({"type":"subscribe","topic":"b"})", 403, "does not have");
    one->text(R"({"type":"unsubscribe","topic":"a"})");
    one->text(R"({"type":"subscribe","topic":"a"})");
    publish(host, "a", "x");
    expect(one, {R"({"type":"unsubscribed","topic":"a"})", R"({"type":"subscribed","topic":"a"})",
                 R"({"type":"message","topic":"a","data":"x"})"});
}
END_TEST

START_TEST(who_does_not_read_answers_is_not_read_from) {
    Host host(load(), {{"protocol", "json"}, {"topic", "a"}});
    const auto one = host.connect(to("/topic"));
    one->stop_reading(20);  // the answer takes more than half of it
    one->text(R"({"type":"ping"})");
    ck_assert(one->paused());
    one->read();
    ck_assert(!one->paused());
    one->stop_reading(0);
    one->text(R"({"type":"ping"})");
    ck_assert_uint_eq(one->closed_with().value_or(0), 1008);
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(what_may_not_be_published_is_refused_with_what_is_wrong) {
    const Pairs text{{"Content-Type", "text/plain"}};
    struct Case {
        Request request;
        std::uint32_t status;
        const char* words;
    };
    const auto post = [](const std::string& target, Pairs headers, std::string body = "x") {
        return Request{.method = "POST",
                       .target = target,
                       .headers = std::move(headers),
                       .body = std::move(body)};
    };
    Request open = post("/a", text);
    open.open = true;
    Request foreign = post("/a", text);
    foreign.trusted_origin = false;
    Request large = post("/a", text, "12345");
    large.max_body = 4;
    const std::vector<Case> cases{
        {open, 403, "Require"},
        {foreign, 403, "other sites"},
        {post("/a", {{"Content-Type", "text/plain"}, {"Sec-Fetch-Site", "cross-site"}}), 403,
         "other sites"},
        {post("/a", {{"Content-Type", "text/plain"}, {"Sec-Fetch-Site", "same-site"}}), 403,
         "other sites"},
        {large, 413, "too large"},
        {post("/", text), 404, "Name a topic"},
        {post("/a?topic=b", text), 400, "Name one topic"},
        {post("/?topic=%0a", text), 400, "control"},
        {post("/?topic=%ff", text), 400, "UTF-8"},
        {post("/" + std::string(256, 'x'), text), 400, "256 bytes"},
        {post("/secret/1", text), 404, "no such topic"},
        {post("/a", {}, ""), 411, "no message"},
        {post("/a", {{"Content-Length", "1"}}), 415, "text/plain"},
        {post("/a", {{"Content-Type", "text/html"}}), 415, "text/plain"},
        {post("/a", {{"Content-Type", "text/plainly"}}), 415, "text/plain"},
        {post("/a", {{"Content-Type", "application/x-www-form-urlencoded"}}), 415, "text/plain"},
        {post("/a", {{"Content-Type", "multipart/form-data; boundary=x"}}), 415, "text/plain"},
        {post("/a", {{"Content-Type", "text/plain; charset=iso-8859-1"}}), 415, "UTF-8"},
        {post("/a", text, "\xFF"), 400, "UTF-8"},
        {{.method = "PUT", .target = "/a"}, 405, "POST publishes"},
        {{.method = "DELETE", .target = "/a"}, 405, "POST publishes"},
    };
    Host host(load("publish_init"), {{"deny", "secret/**"}});
    for (const Case& one : cases) {
        const Answer answer = host.answer(one.request);
        ck_assert_msg(answer.status == one.status &&
                          answer.body.find(one.words) != std::string::npos,
                      "%s %s: %u %s", one.request.method.c_str(), one.request.target.c_str(),
                      answer.status, answer.body.c_str());
    }
    ck_assert_uint_eq(host.connect("/a")->answer().status, 404);
    assert_objection({{"allow", "{user}"}}, "{user}", "publish_init");
    assert_objection({{"open", "yes"}}, "off or on", "publish_init");
    assert_objection({{"topic", "a"}}, "allow, deny, open", "publish_init");
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(what_is_published_is_counted_and_of_its_type) {
    Host host(load("publish_init"), {{"allow", "a/* b"}, {"open", "on"}});
    const auto post = [&](const std::string& target, const std::string& type,
                          const std::string& body, Pairs more = {}) {
        more.emplace_back("Content-Type", type);
        return host.answer({.method = "POST",
                            .target = target,
                            .headers = std::move(more),
                            .body = body,
                            .open = true});
    };
    for (const char* type : {"text/plain", "Text/Plain;charset=UTF-8", "application/json",
                             "application/json; charset=\"utf-8\"",
                             "text/plain; charset=us-ascii; x=y", "application/octet-stream"}) {
        const Answer answer = post("/a/%22", type, "x");
        ck_assert_msg(answer.status == 200, "%s: %u %s", type, answer.status, answer.body.c_str());
        ck_assert(answer.type == "application/json");
        ck_assert(answer.body.ends_with("\"subscribers\":0}\n"));
    }
    ck_assert_uint_eq(post("/?topic=b", "text/plain", "", {{"Content-Length", "0"}}).status, 200);
    ck_assert_uint_eq(post("/a/b/c", "text/plain", "x").status, 404);
    ck_assert_uint_eq(post("/b", "text/plain", "x", {{"Sec-Fetch-Site", "same-origin"}}).status,
                      200);
    ck_assert_uint_eq(post("/b", "text/plain", "x", {{"Sec-Fetch-Site", "none"}}).status, 200);
    const Answer report = host.answer({.target = "/?topic=b"});
    ck_assert(report.body == "{\"topic\":\"b\",\"subscribers\":0}\n");
    ck_assert(report.headers == (Pairs{{"Cache-Control", "no-store"}}));
    ck_assert_int_eq(host.metric("published"), 9);
}
END_TEST

START_TEST(clients_in_envelopes_count_as_subscribers) {
    Host host(load(), {{"protocol", "json"}, {"topic", "a"}});
    {
        const auto one = host.connect(to("/topic"));
        const auto other = host.connect(to("/topic"));
        ck_assert_uint_eq(host.subscribers("a"), 2);
        one->text(R"({"type":"unsubscribe","topic":"a"})");
        ck_assert_uint_eq(host.subscribers("a"), 1);
        other->vanish();
    }
    ck_assert_uint_eq(host.subscribers("a"), 0);
}
END_TEST

START_TEST(gaps_are_told_to_clients_that_ask_for_them) {
    Host host(load(), {{"protocol", "json"}, {"allow", "news sport"}});
    const auto asks = host.connect(to("/topic"));
    assert_error(asks, R"({"type":"subscribe","topic":"news","gaps":"yes"})", 400, "true or false");
    assert_error(asks, R"({"type":"subscribe","topic":"secret","gaps":true})", 403,
                 "does not have");
    asks->text(R"({"type":"subscribe","topic":"news","gaps":true})");
    asks->text(R"({"type":"subscribe","topic":"sport","id":1})");
    const auto other = host.connect(to("/topic"));
    other->text(R"({"type":"subscribe","topic":"news","gaps":false})");
    const auto stream = host.listen(stream_of("/topic?topic=news&gaps=on"));
    expect(asks, {R"({"type":"subscribed","topic":"news"})",
                  R"({"type":"subscribed","topic":"sport","id":1})"});
    expect(other, {R"({"type":"subscribed","topic":"news"})"});
    expect(stream, {R"({"type":"subscribed","topic":"news"})"});
    host.gap(WS_GAP_HOLE, "sport");
    expect(asks, {});
    host.gap(WS_GAP_RECONNECTED);
    expect(asks, {R"({"type":"gap","topic":"news","why":"reconnected"})"});
    expect(other, {});
    expect(stream, {R"({"type":"gap","topic":"news","why":"reconnected"})"});
    ck_assert(stream->received().back().event == "gap");
    asks->text(R"({"type":"subscribe","topic":"news","gaps":false})");  // twice is once
    asks->text(R"({"type":"subscribe","topic":"sport","gaps":true})");
    asks->text(R"({"type":"unsubscribe","topic":"news"})");
    static_cast<void>(asks->texts());
    host.gap(WS_GAP_HOLE, "news");
    host.gap(WS_GAP_BUSY, "sport");
    expect(asks, {R"({"type":"gap","topic":"sport","why":"busy"})"});
    stream->stop_reading();
    host.gap(WS_GAP_HOLE, "news");
    ck_assert_uint_eq(stream->closed_with().value_or(0), 1008);  // it would trust in what it has
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(gaps_are_told_at_once_where_the_query_asks_for_them) {
    Host host(load(), {{"topic", "news"}});
    const auto wrong = host.connect(to("/topic?gaps=on"));
    ck_assert_uint_eq(wrong->answer().status, 400);
    ck_assert(wrong->answer().body.find("protocol json") != std::string::npos);
    for (const char* method : {"GET", "HEAD"}) {
        Request request = stream_of("/topic?gaps=1");
        request.method = method;
        assert_no_stream(host, std::move(request), 400, "on or off");
    }
    const auto stream = host.listen(stream_of("/topic?gaps=on"));
    const auto deaf = host.listen(stream_of("/topic?gaps=off"));
    host.gap(WS_GAP_HOLE, "news");
    expect(stream, {R"({"type":"gap","topic":"news","why":"hole"})"});
    expect(deaf, {});
    host.stop();
    ck_assert(host.offences().empty());

    Host old(load(), {{"topic", "news"}, {"protocol", "json"}}, {.gaps = false});
    ck_assert_uint_eq(old.connect(to("/topic?gaps=on"))->answer().status, 501);
    const auto asks = old.connect(to("/topic"));
    static_cast<void>(asks->texts());
    assert_error(asks, R"({"type":"subscribe","topic":"news","gaps":true})", 501, "does not tell");
}
END_TEST

START_TEST(streams_that_ask_for_what_there_is_not_are_refused_as_sockets_are) {
    Host host(load(), {{"topic-from", "query"}, {"allow", "news/* {user}"}, {"topics", "2"}});
    assert_no_stream(host, stream_of("/topic?topic=news/a"), 403, "nobody is logged in");
    for (const char* method : {"GET", "HEAD"}) {
        const auto refused = [&](const char* target, std::uint32_t status, const char* words) {
            Request request = stream_of(target, "alice");
            request.method = method;
            assert_no_stream(host, std::move(request), status, words);
        };
        refused("/topic?topic=bob", 403, "does not have the topic \"bob\"");
        refused("/topic?topic=news/a/b", 403, "does not have the topic");
        refused("/topic?topic=%ff", 400, "UTF-8");
        refused("/topic?topic=news/%0a", 400, "control");
        refused("/topic?topic=", 400, "0 bytes");
        refused("/topic", 400, "?topic=NAME");
        refused("/topic?topic=news/1&topic=news/2&topic=news/3", 400, "3 topics are too many");
    }
    Request posted = stream_of("/topic?topic=news/a", "alice");
    posted.method = "POST";
    assert_no_stream(host, posted, 405, "");
    Request page = stream_of("/topic?topic=news/a", "alice");
    page.headers = {{"Accept", "text/html"}};
    assert_no_stream(host, page, 426, "");
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(a_stream_gets_what_sockets_get) {
    Host host(load(), {{"topic", "news"}, {"topic-from", "query"}, {"allow", "sport/*"}});
    const auto stream = host.listen(stream_of("/topic?topic=sport/a&topic=sport/b"));
    ck_assert(stream->open());
    ck_assert_uint_eq(host.subscribers("sport/b"), 1);
    publish(host, "news", "a");
    publish(host, "sport/b", "b");
    publish(host, "sport/c", "c");
    publish(host, "news", std::string("\0\xFF", 2), WS_BINARY);
    expect(stream, {"a", "b"});
    ck_assert(stream->received().back().type == WS_BINARY);
    stream->vanish();
    ck_assert_uint_eq(host.subscribers("sport/b"), 0);
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(a_stream_where_a_socket_would_be_asked_for_one_topic_may_have_several) {
    Host host(load(), {{"topic-from", "query"}, {"allow", "*"}, {"publish", "on"}});
    assert_refused(host, to("/topic?topic=a&topic=b"), 400, "one topic");
    const auto stream = host.listen(stream_of("/topic?topic=a&topic=b"));
    publish(host, "b", "x");
    expect(stream, {"x"});
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(a_stream_in_envelopes_names_its_topics_in_the_query) {
    Host host(load(), {{"protocol", "json"}, {"allow", "room/*"}, {"topics", "3"}});
    assert_no_stream(host, stream_of("/topic"), 400, "?topic=NAME");
    assert_no_stream(host, stream_of("/topic?topic=secret"), 403, "does not have the topic");
    const auto stream = host.listen(stream_of("/topic?topic=room/1&topic=room/2&topic=room/1"));
    publish(host, "room/2", "x");
    publish(host, "room/1", std::string("\0\xFF", 2), WS_BINARY);
    expect(stream, {R"({"type":"subscribed","topic":"room/1"})",
                    R"({"type":"subscribed","topic":"room/2"})",
                    R"({"type":"message","topic":"room/2","data":"x"})",
                    R"({"type":"message","topic":"room/1","base64":"AP8="})"});
    stream->vanish();
    ck_assert_uint_eq(host.subscribers("room/1"), 0);
    Host fixed(load(), {{"protocol", "json"}, {"topic", "a"}});
    const auto named = fixed.listen(stream_of("/topic"));
    expect(named, {R"({"type":"subscribed","topic":"a"})"});
    assert_no_stream(fixed, stream_of("/topic?topic=b"), 403, "does not have the topic");
    named->vanish();
    host.stop();
    fixed.stop();
    ck_assert(host.offences().empty());
    ck_assert(fixed.offences().empty());
}
END_TEST

WEBSOCKET_TEST_SUITE(topic_plugin) {
    tcase_add_test(tests, options_that_make_no_sense_together_are_refused);
    tcase_add_test(tests, clients_get_the_topics_of_the_administrator_as_they_are);
    tcase_add_test(tests, a_topic_comes_from_the_path_or_the_query_if_it_is_allowed);
    tcase_add_test(tests, each_user_has_topics_of_his_own);
    tcase_add_test(tests, who_may_publish_reaches_all_or_all_others);
    tcase_add_test(tests, requests_that_are_none_are_answered_with_what_is_wrong);
    tcase_add_test(tests, requests_are_carried_out_and_answered);
    tcase_add_test(tests, clients_that_may_not_publish_are_told);
    tcase_add_test(tests, who_does_not_read_answers_is_not_read_from);
    tcase_add_test(tests, what_may_not_be_published_is_refused_with_what_is_wrong);
    tcase_add_test(tests, what_is_published_is_counted_and_of_its_type);
    tcase_add_test(tests, clients_in_envelopes_count_as_subscribers);
    tcase_add_test(tests, gaps_are_told_to_clients_that_ask_for_them);
    tcase_add_test(tests, gaps_are_told_at_once_where_the_query_asks_for_them);
    tcase_add_test(tests, streams_that_ask_for_what_there_is_not_are_refused_as_sockets_are);
    tcase_add_test(tests, a_stream_gets_what_sockets_get);
    tcase_add_test(tests, a_stream_where_a_socket_would_be_asked_for_one_topic_may_have_several);
    tcase_add_test(tests, a_stream_in_envelopes_names_its_topics_in_the_query);
}
