// SPDX-License-Identifier: Apache-2.0
// Sessions: who has one, how long it waits, what it takes along to another process.
#include <array>

#include "jsonrpc/probe.hpp"

using websocket::test::answer_to;
using websocket::test::expect_other;
using websocket::test::expect_text;
using websocket::test::expect_texts;
using websocket::test::inline_methods;
using websocket::test::json;
using websocket::test::rpc_probe;
using websocket::test::RpcProbe;
using websocket::test::session_of;
using SessionHost = websocket::testing::Host;
using SessionValue = websocket::jsonrpc::Value;
using websocket::testing::Client;
using namespace std::chrono_literals;

namespace {

std::string rpc_request(const std::string& method, const std::string& params = "[]") {
    return R"({"jsonrpc":"2.0","id":1,"method":")" + method + R"(","params":)" + params + "}";
}

std::string rpc_result(Client& client, const std::string& method,
                       const std::string& params = "[]") {
    const SessionValue reply = json(answer_to(client, rpc_request(method, params)));
    const SessionValue* found = reply.find("result");
    ck_assert_msg(found != nullptr, "%s", to_json(reply).c_str());
    return to_json(*found);
}

std::string rpc_reconnect(const std::string& id) {
    return rpc_request("connect", R"({"sessionId":")" + id + "\"}");
}

std::string rpc_welcomed(const std::string& id) {
    return R"({"id":1,"result":{"value":"reconnection successful","sessionId":")" + id +
           R"("},"jsonrpc":"2.0"})";
}

constexpr const char* kUnknownSessionText =
    R"({"id":1,"error":{"code":40007,"message":"reconnection error"},"jsonrpc":"2.0"})";

/// Says something to the service as another process would; hears what the service says.
class OtherProcess {
public:
    explicit OtherProcess(const SessionHost& host)
        : abi_(host.abi()),
          topics_(static_cast<const ws_topic_1*>(abi_->extension(abi_, WS_TOPIC_1))) {
        topics_->listen(
            abi_, kTopic.data(), kTopic.size(),
            [](void* self, std::uint32_t, const void* bytes, std::uint64_t n) {
                static_cast<OtherProcess*>(self)->heard.emplace_back(
                    static_cast<const char*>(bytes), n);
            },
            nullptr, this, &listener_);
    }
    OtherProcess(const OtherProcess&) = delete;
    OtherProcess& operator=(const OtherProcess&) = delete;
    ~OtherProcess() { topics_->ignore(abi_, listener_); }

    void say(SessionHost& host, const std::string& text) {
        topics_->publish(abi_, kTopic.data(), kTopic.size(), WS_TEXT, text.data(), text.size(), 0,
                         0);
        host.advance(0ms);
    }
    /// What the service has said last.
    SessionValue last() const {
        ck_assert(!heard.empty());
        return json(heard.back());
    }
    std::vector<std::string> heard;

private:
    static constexpr std::string_view kTopic = "\xFF"
                                               "websocket.jsonrpc:probe";
    const ws_host* abi_;
    const ws_topic_1* topics_;
    std::uint64_t listener_ = 0;
};

/// As another process hands it over.
std::string rpc_packed(const std::string& verb, const std::string& id, const std::string& to,
                       const std::string& user = "") {
    return R"({")" + verb + R"(":")" + id + R"(","from":"other","to":")" + to +
           R"(","session":{"user":")" + user +
           R"(","attributes":{"a":[1]},"topics":["news"],"next":5,"timeout":2000,"interval":0}})";
}

}  // namespace

START_TEST(a_session_begins_with_the_first_request_and_not_with_a_ping) {
    SessionHost host(rpc_probe(), inline_methods({}));
    const auto client = host.connect();
    expect_text(rpc_result(*client, "ping", "{}"), R"({"value":"pong"})");
    expect_text(answer_to(*client, rpc_request("closeSession")),
                R"({"id":1,"result":"bye","jsonrpc":"2.0"})");
    ck_assert(client->open());
    ck_assert_int_eq(host.metric("sessions"), 0);
    expect_text(rpc_result(*client, "first"), "true");
    expect_text(rpc_result(*client, "first"), "false");
    ck_assert_int_eq(host.metric("sessions"), 1);
    const auto other = host.connect();
    const std::string id = session_of(*other);
    expect_text(rpc_result(*other, "first"), "false");
    expect_text(session_of(*other), id);
    expect_texts(RpcProbe::happened(), {"connected", "connected"});
    host.stop();
    expect_texts(RpcProbe::happened(),
                 {"error close code 1001", "error close code 1001", "closed 4 ", "closed 4 "});
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(a_session_waits_for_its_client_and_not_for_ever) {
    SessionHost host(rpc_probe(), inline_methods({{"reconnection_timeout", "500"}}));
    const auto first = host.connect();
    const std::string id = session_of(*first);
    expect_text(rpc_result(*first, "set", R"(["name","alice"])"), "true");
    first->vanish();
    expect_texts(RpcProbe::happened(), {"connected", "error close code 1006"});
    host.advance(499ms);
    const auto second = host.connect();
    expect_text(answer_to(*second, rpc_reconnect(id)), rpc_welcomed(id));
    expect_text(rpc_result(*second, "get", R"(["name"])"), "\"alice\"");
    expect_texts(RpcProbe::happened(), {"reconnected"});
    host.advance(2s);
    expect_text(rpc_result(*second, "wait", "[100]"), "null");
    second->close(4321, "bye");
    host.advance(99ms);
    expect_texts(RpcProbe::happened(), {});
    host.advance(1ms);
    expect_texts(RpcProbe::happened(), {"closed 2 bye"});
    const auto third = host.connect();
    third->text(rpc_reconnect(id));
    host.advance(1s);
    expect_texts(third->texts(), {kUnknownSessionText});
    ck_assert(third->open());
    ck_assert_int_eq(host.metric("sessions"), 0);
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(a_client_may_come_back_before_the_server_has_missed_it) {
    SessionHost host(rpc_probe(), inline_methods({{"reconnection_timeout", "500"}}));
    const auto before = host.connect();
    const std::string id = session_of(*before);
    const auto after = host.connect();
    expect_text(rpc_result(*after, "first"), "true");  // a session that is left
    expect_text(answer_to(*after, rpc_request("reconnect", R"({"sessionId":")" + id + "\"}")),
                rpc_welcomed(id));
    before->vanish();
    host.advance(10s);
    expect_text(session_of(*after), id);
    expect_texts(RpcProbe::happened(), {"connected", "connected", "reconnected",
                                        "closed 2 its connection has another session"});
    ck_assert(answer_to(*after, rpc_request("reconnect")).find("-32602") != std::string::npos);
    ck_assert(answer_to(*after, rpc_request("connect", R"({"sessionId":5})")).find("-32602") !=
              std::string::npos);
}
END_TEST

START_TEST(nobody_gets_the_session_of_another_user) {
    SessionHost host(rpc_probe(), inline_methods({}));
    websocket::testing::Handshake alice;
    alice.user = "alice";
    const auto first = host.connect(alice);
    const std::string id = session_of(*first);
    first->vanish();
    const auto mallory = host.connect();
    expect_text(answer_to(*mallory, rpc_reconnect(id)), kUnknownSessionText);
    OtherProcess other(host);
    other.say(host, R"({"ask":")" + id + R"(","user":"mallory","from":"other"})");
    ck_assert_uint_eq(other.heard.size(), 1);  // what has just been said
    const auto again = host.connect(alice);
    expect_text(answer_to(*again, rpc_reconnect(id)), rpc_welcomed(id));
}
END_TEST

START_TEST(a_session_that_is_closed_does_not_come_back) {
    SessionHost host(rpc_probe(), inline_methods({{"takeover", "0"}}));
    const auto one = host.connect();
    const std::string first = session_of(*one);
    expect_text(answer_to(*one, rpc_request("closeSession")),
                R"({"id":1,"result":"bye","jsonrpc":"2.0"})");
    ck_assert(one->closed_with() == 1000);
    const auto two = host.connect();
    const std::string second = session_of(*two);
    two->text(rpc_request("close"));
    ck_assert(two->closed_with() == 1000);
    expect_text(two->close_reason(), "enough");
    const auto three = host.connect();
    for (const std::string& id : {first, second}) {
        expect_text(answer_to(*three, rpc_reconnect(id)), kUnknownSessionText);
    }
    expect_texts(RpcProbe::happened(), {"connected", "closed 0 Client sent close message",
                                        "connected", "closed 1 enough"});
}
END_TEST

START_TEST(a_session_goes_on_when_a_client_that_does_not_read_comes_back_goes_or_moves) {
    SessionHost host(rpc_probe(), inline_methods({}));
    OtherProcess other(host);
    const auto block = [](const std::shared_ptr<Client>& client) {
        client->stop_reading(0);
        client->text(rpc_request("void"));
        client->text(rpc_request("set", R"(["name","held"])"));
    };
    const auto first = host.connect();
    const std::string id = session_of(*first);
    block(first);
    const auto second = host.connect();  // before the server has missed the first one
    expect_text(answer_to(*second, rpc_reconnect(id)), rpc_welcomed(id));
    expect_text(rpc_result(*second, "get", R"(["name"])"), "\"held\"");
    expect_text(rpc_result(*second, "set", R"(["name",null])"), "true");
    block(second);
    second->vanish();
    expect_texts(RpcProbe::happened(), {"connected", "reconnected", "error close code 1006"});
    const auto third = host.connect();
    expect_text(answer_to(*third, rpc_reconnect(id)), rpc_welcomed(id));
    expect_text(rpc_result(*third, "get", R"(["name"])"), "\"held\"");
    expect_text(rpc_result(*third, "set", R"(["name",null])"), "true");
    block(third);
    other.say(host, R"({"ask":")" + id + R"(","user":"","from":"other"})");
    expect_text(other.last().find("give")->text(), id);
    expect_text(to_json(*other.last().find("session")->find("attributes")), R"({"name":"held"})");
    expect_texts(RpcProbe::happened(), {"reconnected", "closed 3 "});
    const auto fourth = host.connect();
    session_of(*fourth);
    block(fourth);
    fourth->text(rpc_request("closeSession"));
    expect_texts(RpcProbe::happened(), {"connected", "closed 0 Client sent close message"});
}
END_TEST

START_TEST(requests_to_a_client_end_with_its_answer_its_error_its_silence_or_its_end) {
    SessionHost host(rpc_probe(), inline_methods({{"request_timeout", "300"}}));
    const auto client = host.connect();
    const auto ask = [&] { return answer_to(*client, rpc_request("ask", R"(["what",[1]])")); };
    expect_text(ask(), R"({"id":1,"method":"what","params":[1],"jsonrpc":"2.0"})");
    expect_text(answer_to(*client, R"({"jsonrpc":"2.0","id":1,"result":{"x":[]}})"),
                R"({"id":1,"result":{"x":[]},"jsonrpc":"2.0"})");
    client->text(R"({"jsonrpc":"2.0","id":1,"result":"again"})");
    client->text(R"({"jsonrpc":"2.0","id":77,"result":"to what?"})");
    expect_texts(client->texts(), {});
    ck_assert(ask().starts_with(R"({"id":2,)"));
    expect_text(answer_to(*client, R"({"jsonrpc":"2.0","id":2,"error":{"code":3,"message":"no"}})"),
                R"({"id":1,"error":{"code":3,"message":"no"},"jsonrpc":"2.0"})");
    ask();
    host.advance(300ms);
    ck_assert(client->texts().at(0).find("-32002") != std::string::npos);
    ask();
    const std::string id = session_of(*client);
    client->vanish();
    const auto again = host.connect();
    expect_text(answer_to(*again, rpc_reconnect(id)), rpc_welcomed(id));
    ck_assert(answer_to(*again, rpc_request("ask", R"(["what",[1]])")).starts_with(R"({"id":5,)"));
    again->text(rpc_request("closeSession"));
    ck_assert(again->texts().at(0).find("bye") != std::string::npos);
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(the_watchdog_closes_who_has_begun_to_ping_and_stopped) {
    SessionHost host(rpc_probe(), inline_methods({{"watchdog", "on"}}));
    const auto quiet = host.connect();
    const std::string other = session_of(*quiet);
    const auto client = host.connect();
    const std::string id = session_of(*client);
    ck_assert(answer_to(*client, rpc_request("ping", R"({"interval":0})")).find("-32602") !=
              std::string::npos);
    for (int i = 0; i < 5; ++i) {
        expect_text(rpc_result(*client, "ping", i == 0 ? R"({"interval":100})" : "{}"),
                    R"({"value":"pong"})");
        host.advance(299ms);
        ck_assert(client->open());
    }
    host.advance(1ms);
    ck_assert(client->closed_with() == 1000);
    expect_text(client->close_reason(), "Close for not receive ping from client");
    const auto again = host.connect();
    expect_text(answer_to(*again, rpc_reconnect(id)), rpc_welcomed(id));
    host.advance(300ms);  // armed at once
    ck_assert(again->closed_with() == 1000);
    ck_assert(quiet->open());
}
END_TEST

START_TEST(attributes_have_a_limit) {
    SessionHost host(rpc_probe(), inline_methods({{"session_size", "20"}}));
    const auto client = host.connect();
    expect_text(rpc_result(*client, "set", R"(["a","0123456789"])"), "true");
    expect_text(rpc_result(*client, "set", R"(["b","0"])"), "false");
    expect_text(rpc_result(*client, "get", R"(["b"])"), "null");
    expect_text(rpc_result(*client, "set", R"(["a",null])"), "true");
    expect_text(rpc_result(*client, "set", R"(["b","0"])"), "true");
}
END_TEST

START_TEST(sessions_have_a_limit) {
    SessionHost host(rpc_probe(), inline_methods({{"max_sessions", "1"}, {"takeover", "0"}}));
    const auto one = host.connect();
    session_of(*one);
    const auto two = host.connect();
    ck_assert(answer_to(*two, rpc_request("void")).find("-32001") != std::string::npos);
    ck_assert(answer_to(*two, rpc_request("connect", "{}")).find("-32001") != std::string::npos);
    expect_text(rpc_result(*two, "ping", "{}"), R"({"value":"pong"})");
    one->text(rpc_request("closeSession"));
    expect_text(rpc_result(*two, "void"), "null");
    // Whoever only waits makes way for who is here.
    static_cast<void>(RpcProbe::happened());
    two->vanish();
    const auto three = host.connect();
    expect_text(rpc_result(*three, "void"), "null");
    expect_texts(RpcProbe::happened(),
                 {"error close code 1006", "closed 2 others need its place", "connected"});
    ck_assert_int_eq(host.metric("sessions"), 1);
}
END_TEST

START_TEST(attributes_of_all_sessions_have_a_limit_and_who_waits_makes_way) {
    SessionHost host(rpc_probe(), inline_methods({{"sessions_size", "3000"}, {"takeover", "0"}}));
    const std::string much = R"(["a",")" + std::string(1500, 'x') + "\"]";
    const auto one = host.connect();
    expect_text(rpc_result(*one, "set", much), "true");
    const auto two = host.connect();
    expect_text(rpc_result(*two, "set", much), "false");
    one->vanish();
    const auto three = host.connect();
    session_of(*three);
    three->vanish();
    static_cast<void>(RpcProbe::happened());
    expect_text(rpc_result(*two, "set", much),
                "true");  // the first one ends for it, the third one need not
    expect_texts(RpcProbe::happened(), {"closed 2 others need its place"});
    expect_text(rpc_result(*two, "set", R"(["a",null])"), "true");
    const auto four = host.connect();
    expect_text(rpc_result(*four, "set", much), "true");
    two->text(rpc_request("closeSession"));
    four->text(rpc_request("closeSession"));
    const auto five = host.connect();
    expect_text(rpc_result(*five, "set", much), "true");
}
END_TEST

START_TEST(params_that_wait_have_a_limit_together) {
    SessionHost host(rpc_probe(), inline_methods({{"in_flight_size", "2000"}}));
    const auto client = host.connect();
    const std::string much = R"(["what",")" + std::string(3000, 'x') + "\"]";
    ck_assert(answer_to(*client, rpc_request("ask", much)).starts_with(R"({"id":1,"method")"));
    const std::string refused = answer_to(*client, rpc_request("ask", R"(["what",[]])"));
    ck_assert_msg(refused.find("-32000") != std::string::npos &&
                      refused.find("2000 bytes") != std::string::npos,
                  "%s", refused.c_str());
    expect_text(answer_to(*client, R"({"jsonrpc":"2.0","id":1,"result":1})"),
                R"({"id":1,"result":1,"jsonrpc":"2.0"})");
    ck_assert(answer_to(*client, rpc_request("ask", much)).starts_with(R"({"id":2,"method")"));
}
END_TEST

START_TEST(what_cannot_be_a_session_is_not_looked_for_elsewhere) {
    SessionHost host(rpc_probe(), inline_methods({}));
    const OtherProcess other(host);
    const auto client = host.connect();
    expect_text(answer_to(*client, rpc_reconnect(std::string(65, 'a'))), kUnknownSessionText);
    ck_assert(!client->paused() && other.heard.empty());
}
END_TEST

START_TEST(a_session_goes_to_the_process_that_its_client_comes_to) {
    SessionHost host(rpc_probe(), inline_methods({}));
    OtherProcess other(host);
    const auto client = host.connect();
    const std::string id = session_of(*client);
    rpc_result(*client, "set", R"(["name","alice"])");
    rpc_result(*client, "subscribe", R"(["news"])");
    static_cast<void>(RpcProbe::happened());
    other.say(host, R"({"ask":"nobody","user":"","from":"other"})");
    ck_assert_uint_eq(other.heard.size(), 1);
    other.say(host, R"({"ask":")" + id + R"(","user":"","from":"other"})");
    const SessionValue given = other.last();
    expect_text(given.find("give")->text(), id);
    expect_text(given.find("to")->text(), "other");
    expect_text(
        to_json(*given.find("session")),
        R"({"user":"","attributes":{"name":"alice"},"topics":["news"],"next":1,"timeout":10000,"interval":0})");
    expect_texts(RpcProbe::happened(), {"closed 3 "});
    // The old connection is not closed; who speaks there begins anew.
    expect_other(session_of(*client), id);
    other.say(host, R"({"ask":")" + id + R"(","user":"","from":"third"})");
    ck_assert_uint_eq(other.heard.size(), 4);
}
END_TEST

START_TEST(a_process_does_not_end_before_a_session_that_it_gives_away_has_arrived) {
    SessionHost host(rpc_probe(), inline_methods({}));
    OtherProcess other(host);
    const auto one = host.connect();
    const auto two = host.connect();
    const std::array sessions{session_of(*one), session_of(*two)};
    for (const std::string& id : sessions) {
        other.say(host, R"({"ask":")" + id + R"(","user":"","from":"other"})");
        ck_assert_uint_eq(host.drain_holds(), 1);
        other.say(host, R"({"got":"nobody","from":"other"})");
        ck_assert_uint_eq(host.drain_holds(), 1);
        if (id == sessions[1]) {
            host.advance(1s);  // nobody waits for it any more
        } else {
            other.say(host, R"({"got":")" + id + R"(","from":"other"})");
        }
        ck_assert_uint_eq(host.drain_holds(), 0);
    }
    ck_assert(host.offences().empty());
}
END_TEST

/// Who has it cannot give it away while it makes a copy of it for others.
START_TEST(a_client_need_not_wait_when_its_session_is_kept_here_meanwhile) {
    SessionHost host(rpc_probe(), inline_methods({}));
    OtherProcess other(host);
    const auto client = host.connect();
    client->text(rpc_reconnect("abc"));
    other.say(host, rpc_packed("keep", "xyz", ""));
    expect_texts(client->texts(), {});
    other.say(host, rpc_packed("keep", "abc", ""));
    expect_texts(client->texts(), {rpc_welcomed("abc")});
    expect_text(rpc_result(*client, "get", R"(["a"])"), "[1]");
}
END_TEST

START_TEST(a_client_finds_its_session_in_another_process) {
    SessionHost host(rpc_probe(), inline_methods({}));
    OtherProcess other(host);
    const auto client = host.connect();
    client->text(rpc_reconnect("abc"));
    ck_assert(client->paused());
    const SessionValue question = other.last();
    expect_text(question.find("ask")->text(), "abc");
    const std::string self = question.find("from")->text();
    other.say(host, rpc_packed("give", "abc", "somebody else"));
    other.say(host, rpc_packed("give", "xyz", self));
    expect_texts(client->texts(), {});
    other.say(host, rpc_packed("give", "abc", self));
    expect_texts(client->texts(), {rpc_welcomed("abc")});
    ck_assert(!client->paused());
    expect_text(other.last().find("drop")->text(), "abc");
    expect_text(rpc_result(*client, "get", R"(["a"])"), "[1]");
    expect_texts(RpcProbe::happened(), {"reconnected"});
    const auto* topics =
        static_cast<const ws_topic_1*>(host.abi()->extension(host.abi(), WS_TOPIC_1));
    topics->publish(host.abi(), "news", 4, WS_TEXT, "hi", 2, 0, 0);
    expect_texts(client->texts(), {"hi"});
    ck_assert(answer_to(*client, rpc_request("ask", R"(["what",[1]])")).starts_with(R"({"id":5,)"));
    client->vanish();
    host.advance(2s);
    expect_texts(RpcProbe::happened(), {"error close code 1006", "closed 2 close code 1006"});
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(a_client_that_goes_while_its_session_comes_finds_it_later) {
    SessionHost host(rpc_probe(), inline_methods({}));
    OtherProcess other(host);
    const auto hasty = host.connect();
    hasty->text(rpc_reconnect("abc"));
    const std::string self = other.last().find("from")->text();
    hasty->vanish();
    other.say(host, rpc_packed("give", "abc", self));
    const auto again = host.connect();
    expect_text(answer_to(*again, rpc_reconnect("abc")), rpc_welcomed("abc"));
    again->vanish();
    host.advance(2s);
    ck_assert_int_eq(host.metric("sessions"), 0);
}
END_TEST

START_TEST(what_a_draining_process_leaves_is_kept_until_its_client_comes) {
    SessionHost host(rpc_probe(), inline_methods({}));
    OtherProcess other(host);
    other.say(host, rpc_packed("keep", "abc", ""));
    other.say(host, rpc_packed("keep", "gone", ""));
    other.say(host, rpc_packed("keep", "lost", "", "alice"));
    ck_assert_int_eq(host.metric("sessions"), 3);
    other.say(host, R"({"drop":"gone","from":"third"})");
    const auto client = host.connect();
    expect_text(answer_to(*client, rpc_reconnect("abc")), rpc_welcomed("abc"));
    expect_text(answer_to(*client, rpc_reconnect("lost")), kUnknownSessionText);
    ck_assert_int_eq(host.metric("sessions"), 2);
    other.say(host, R"({"drop":"abc","from":"third"})");  // it is not a copy any more
    expect_text(session_of(*client), "abc");
    host.advance(2s);
    ck_assert_int_eq(host.metric("sessions"), 1);
    for (const char* nonsense :
         {"", "x", "[]", "{}", R"({"keep":"x","session":5})", R"({"keep":"x","session":{}})",
          R"({"keep":"x","session":{"user":"","attributes":5}})", R"({"ask":"x"})",
          R"({"give":5,"to":5})", R"({"keep":"x"})"}) {
        other.say(host, nonsense);
    }
    ck_assert_int_eq(host.metric("sessions"), 1);
    expect_texts(RpcProbe::happened(), {"reconnected"});
}
END_TEST

START_TEST(a_draining_process_keeps_copies_of_others_and_itself_until_somebody_has_them) {
    SessionHost host(rpc_probe(), inline_methods({}));
    OtherProcess other(host);
    other.say(host, rpc_packed("keep", "abc", ""));
    host.drain(30s);
    expect_text(other.last().find("keep")->text(), "abc");
    ck_assert_uint_eq(host.drain_holds(), 1);
    other.say(host, R"({"drop":"abc","from":"third"})");
    ck_assert_uint_eq(host.drain_holds(), 0);
    host.stop();
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(a_draining_process_hands_over_what_waits_for_its_client) {
    SessionHost host(rpc_probe(), inline_methods({}));
    OtherProcess other(host);
    const auto waiting = host.connect();
    const std::string first = session_of(*waiting);
    waiting->vanish();
    const auto open = host.connect();
    const std::string second = session_of(*open);
    static_cast<void>(RpcProbe::happened());
    host.drain(30s);
    expect_text(other.last().find("keep")->text(), first);
    ck_assert_uint_eq(host.drain_holds(), 1);
    expect_text(session_of(*open), second);
    open->close(1012);
    ck_assert_uint_eq(host.drain_holds(), 2);
    expect_text(other.last().find("keep")->text(), second);
    expect_texts(RpcProbe::happened(), {"closed 3 ", "closed 3 "});
    // As long as it lives, it answers those that have begun too late to hear it.
    other.say(host, R"({"ask":")" + second + R"(","user":"","from":"late"})");
    expect_text(other.last().find("give")->text(), second);
    ck_assert_int_eq(host.metric("sessions"), 1);
    ck_assert_uint_eq(host.drain_holds(), 2);  // it is on its way
    host.advance(1s);
    ck_assert_uint_eq(host.drain_holds(), 1);
    host.advance(10s);  // nobody has come for the first one
    ck_assert_uint_eq(host.drain_holds(), 0);
    host.stop();
    expect_texts(RpcProbe::happened(), {});
    ck_assert(host.offences().empty());
}
END_TEST

WEBSOCKET_TEST_SUITE(jsonrpc_session) {
    tcase_add_test(tests, a_session_begins_with_the_first_request_and_not_with_a_ping);
    tcase_add_test(tests, a_session_waits_for_its_client_and_not_for_ever);
    tcase_add_test(tests, a_client_may_come_back_before_the_server_has_missed_it);
    tcase_add_test(tests, nobody_gets_the_session_of_another_user);
    tcase_add_test(tests, a_session_that_is_closed_does_not_come_back);
    tcase_add_test(tests,
                   a_session_goes_on_when_a_client_that_does_not_read_comes_back_goes_or_moves);
    tcase_add_test(tests,
                   requests_to_a_client_end_with_its_answer_its_error_its_silence_or_its_end);
    tcase_add_test(tests, the_watchdog_closes_who_has_begun_to_ping_and_stopped);
    tcase_add_test(tests, attributes_have_a_limit);
    tcase_add_test(tests, sessions_have_a_limit);
    tcase_add_test(tests, attributes_of_all_sessions_have_a_limit_and_who_waits_makes_way);
    tcase_add_test(tests, params_that_wait_have_a_limit_together);
    tcase_add_test(tests, what_cannot_be_a_session_is_not_looked_for_elsewhere);
    tcase_add_test(tests, a_session_goes_to_the_process_that_its_client_comes_to);
    tcase_add_test(tests, a_process_does_not_end_before_a_session_that_it_gives_away_has_arrived);
    tcase_add_test(tests, a_client_need_not_wait_when_its_session_is_kept_here_meanwhile);
    tcase_add_test(tests, a_client_finds_its_session_in_another_process);
    tcase_add_test(tests, a_client_that_goes_while_its_session_comes_finds_it_later);
    tcase_add_test(tests, what_a_draining_process_leaves_is_kept_until_its_client_comes);
    tcase_add_test(tests,
                   a_draining_process_keeps_copies_of_others_and_itself_until_somebody_has_them);
    tcase_add_test(tests, a_draining_process_hands_over_what_waits_for_its_client);
}
