// SPDX-License-Identifier: Apache-2.0
// What Kurento's server and clients have said to each other, byte for byte.
#include "jsonrpc/probe.hpp"

using websocket::test::answer_to;
using websocket::test::expect_other;
using websocket::test::expect_text;
using websocket::test::expect_texts;
using websocket::test::rpc_probe;
using websocket::test::RpcProbe;
using websocket::test::session_of;
using KurentoHost = websocket::testing::Host;
using namespace std::chrono_literals;

namespace {

const websocket::testing::Pairs kKurento{{"compatibility", "kurento"}, {"threads", "0"}};

/// S stands for the id of the session.
std::string with_id(std::string text, const std::string& id) {
    for (std::size_t at = 0; (at = text.find("\"S\"", at)) != std::string::npos;) {
        text.replace(at, 3, "\"" + id + "\"");
    }
    return text;
}

}  // namespace

// First what is sent, then what is answered; an empty answer stands for none.
START_TEST(the_frames_of_kurento_come_out_as_they_were_captured) {
    const struct {
        const char* request;
        const char* answer;
    } cases[] = {
        {R"({"jsonrpc":"2.0","method":"ping","params":{"interval":1000},"id":0})",
         R"({"id":0,"result":{"value":"pong"},"jsonrpc":"2.0"})"},
        {R"({"jsonrpc":"2.0","method":"connect","params":{},"id":1})",
         R"({"id":1,"result":{"value":"OK","sessionId":"S"},"jsonrpc":"2.0"})"},
        {R"({"jsonrpc":"2.0","method":"ping","id":7})",
         R"({"id":7,"result":{"value":"pong"},"jsonrpc":"2.0"})"},
        {R"({"id":8,"method":"ping","jsonrpc":"2.0","params":{"sessionId":"whatever"}})",
         R"({"id":8,"result":{"value":"pong","sessionId":"whatever"},"jsonrpc":"2.0"})"},
        {R"({"id":2,"method":"echo","params":{"param1":"V1","sessionId":"S"},"jsonrpc":"2.0"})",
         R"({"id":2,"result":{"param1":"V1","sessionId":"S"},"jsonrpc":"2.0"})"},
        {R"({"jsonrpc":"2.0","method":"echo","params":{"some":"Value"},"id":3})",
         R"({"id":3,"result":{"some":"Value","sessionId":"S"},"jsonrpc":"2.0"})"},
        {R"({"id":4,"method":"echo","params":{"value":"Hello","sessionId":"S"},"jsonrpc":"2.0"})",
         R"({"id":4,"result":{"value":"Hello","sessionId":"S"},"jsonrpc":"2.0"})"},
        {R"({"id":5,"method":"echo","params":{"value":[1,2],"sessionId":"S"},"jsonrpc":"2.0"})",
         R"({"id":5,"result":{"value":[1,2],"sessionId":"S"},"jsonrpc":"2.0"})"},
        {R"({"id":6,"method":"echo","params":5,"jsonrpc":"2.0"})",
         R"({"id":6,"result":{"value":5,"sessionId":"S"},"jsonrpc":"2.0"})"},
        {R"({"id":6,"method":"echo","jsonrpc":"2.0","params":{"sessionId":"S"}})",
         R"({"id":6,"result":{"sessionId":"S"},"jsonrpc":"2.0"})"},
        {R"({"id":9,"method":"void","jsonrpc":"2.0"})",
         R"({"id":9,"jsonrpc":"2.0","result":{"sessionId":"S"}})"},
        {R"({"id":17,"method":"nothing","jsonrpc":"2.0"})",
         R"({"id":17,"result":"","jsonrpc":"2.0"})"},
        {R"({"id":10,"method":"error","params":[-1,"EXCEPTION","Data"],"jsonrpc":"2.0"})",
         R"({"id":10,"error":{"code":-1,"message":"EXCEPTION","data":"Data","sessionId":"S"},"jsonrpc":"2.0","data":{}})"},
        {R"({"id":11,"method":"error","params":[-1,"Exception message","Data","EXCEPTION"],"jsonrpc":"2.0"})",
         R"({"id":11,"error":{"code":-1,"message":"Exception message","data":"Data","type":"EXCEPTION","sessionId":"S"},"jsonrpc":"2.0","data":{}})"},
        {R"({"id":12,"method":"error","params":[7,"msg"],"jsonrpc":"2.0"})",
         R"({"id":12,"error":{"code":7,"message":"msg","sessionId":"S"},"jsonrpc":"2.0","data":{}})"},
        {R"({"id":13,"method":"error","params":[8,"msg",{"type":"T"}],"jsonrpc":"2.0"})",
         R"({"id":13,"error":{"code":8,"message":"msg","data":{"type":"T"},"type":"T","sessionId":"S"},"jsonrpc":"2.0","data":{}})"},
        {R"({"id":14,"method":"fail","jsonrpc":"2.0"})",
         R"({"id":14,"error":{"code":-1,"message":"std::runtime_error:secret"},"jsonrpc":"2.0"})"},
        {R"({"id":15,"method":"throw","params":[123,"rpc msg"],"jsonrpc":"2.0"})",
         R"({"id":15,"error":{"code":123,"message":"rpc msg. Code: 123"},"jsonrpc":"2.0"})"},
        {R"({"id":27,"method":"poll","params":[],"jsonrpc":"2.0"})",
         R"({"id":27,"result":[],"jsonrpc":"2.0"})"},
        {R"({"jsonrpc":"2.0","method":"connect","params":{"sessionId":"S"},"id":18})",
         R"({"id":18,"result":{"value":"reconnection successful","sessionId":"S"},"jsonrpc":"2.0"})"},
        {R"({"id":"23","method":"nothing","jsonrpc":"2.0"})",
         R"({"id":23,"result":"","jsonrpc":"2.0"})"},
        {R"({"id":1.7,"method":"nothing"})", R"({"id":1,"result":"","jsonrpc":"2.0"})"},
        {R"({"id":null,"method":"nothing","jsonrpc":"2.0"})", ""},
        {R"({"id":"x","method":"nothing","jsonrpc":"2.0"})", ""},
        {R"({"method":"nothing","jsonrpc":"2.0"})", ""},
        {R"({"method":"fail","jsonrpc":"2.0"})", ""},
        {R"({"id":99,"method":null,"jsonrpc":"2.0"})", ""},
        {R"([{"id":1,"method":"nothing","jsonrpc":"2.0"}])", ""},
        {"5", ""},
        {"{", ""},
    };
    KurentoHost host(rpc_probe(), kKurento);
    const auto client = host.connect();
    std::string id;
    for (const auto& [request, answer] : cases) {
        client->text(with_id(request, id));
        const auto texts = client->texts();
        const bool quiet = std::string_view(answer).empty();
        ck_assert_msg(texts.size() == (quiet ? 0U : 1U), "%s", request);
        if (quiet) continue;
        const std::size_t at = texts[0].find("\"sessionId\":\"");
        if (id.empty() && at != std::string::npos) id = texts[0].substr(at + 13, 26);
        expect_text(texts[0], with_id(answer, id));
    }
    ck_assert(client->open());
    ck_assert_uint_eq(id.size(), 26);
    ck_assert(id.find_first_not_of("0123456789abcdefghijklmnopqrstuv") == std::string::npos);
    expect_text(answer_to(*client, R"({"jsonrpc":"2.0","method":"closeSession","id":31})"),
                R"({"id":31,"result":"bye","jsonrpc":"2.0"})");
    ck_assert(client->closed_with() == 1000);
    ck_assert(client->close_reason().empty());
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(a_kurento_session_is_found_by_its_id_or_by_its_connection) {
    KurentoHost host(rpc_probe(), kKurento);
    const auto one = host.connect();
    const std::string id = session_of(*one);
    const auto other = host.connect();
    // From another connection: answered there, and nothing is bound to it.
    expect_text(
        answer_to(*other, R"({"id":1,"method":"void","params":{"sessionId":")" + id + "\"}}"),
        (R"({"id":1,"jsonrpc":"2.0","result":{"sessionId":")" + id + "\"}}"));
    expect_other(session_of(*other), id);
    expect_text(session_of(*one), id);
}
END_TEST

START_TEST(an_unknown_id_is_an_error_of_connect_and_else_a_new_session) {
    KurentoHost host(rpc_probe(), kKurento);
    const auto client = host.connect();
    client->text(R"({"id":1,"method":"connect","params":{"sessionId":"nobody"}})");
    ck_assert(client->paused());  // until other processes have had their time
    expect_texts(client->texts(), {});
    host.advance(1s);
    expect_texts(
        client->texts(),
        {R"({"id":1,"error":{"code":40007,"message":"reconnection error"},"jsonrpc":"2.0"})"});
    ck_assert(!client->paused() && client->open());
    expect_texts(RpcProbe::happened(), {});
    client->text(R"({"id":2,"method":"first","params":{"sessionId":"nobody"}})");
    host.advance(1s);
    const auto texts = client->texts();
    ck_assert_uint_eq(texts.size(), 1);
    ck_assert(texts[0].starts_with(R"({"id":2,"result":{"value":true,"sessionId":")"));
    expect_other(session_of(*client), "nobody");
    expect_texts(RpcProbe::happened(), {"connected"});
}
END_TEST

START_TEST(kurento_clients_answer_requests_in_their_own_shapes) {
    KurentoHost host(rpc_probe(), kKurento);
    const auto client = host.connect();
    const std::string id = session_of(*client);
    expect_text(answer_to(*client, R"({"id":1,"method":"ask","params":["method",{"y":1}]})"),
                R"({"id":1,"method":"method","params":{"y":1},"jsonrpc":"2.0"})");
    expect_text(
        answer_to(*client, R"({"id":1,"result":{"value":"world","sessionId":")" + id + "\"}}"),
        (R"({"id":1,"result":{"value":"world","sessionId":")" + id + R"("},"jsonrpc":"2.0"})"));
    expect_text(answer_to(*client, R"({"id":2,"method":"ask","params":["pull"]})"),
                R"({"id":2,"method":"pull","jsonrpc":"2.0"})");
    // As a client does that polls.
    client->text(R"({"id":3,"method":"poll","params":[{"jsonrpc":"2.0","id":2,"result":"push"}]})");
    expect_texts(client->texts(), {R"({"id":2,"result":{"value":"push","sessionId":")" + id +
                                       R"("},"jsonrpc":"2.0"})",
                                   R"({"id":3,"result":[],"jsonrpc":"2.0"})"});
}
END_TEST

WEBSOCKET_TEST_SUITE(jsonrpc_kurento) {
    tcase_add_test(tests, the_frames_of_kurento_come_out_as_they_were_captured);
    tcase_add_test(tests, a_kurento_session_is_found_by_its_id_or_by_its_connection);
    tcase_add_test(tests, an_unknown_id_is_an_error_of_connect_and_else_a_new_session);
    tcase_add_test(tests, kurento_clients_answer_requests_in_their_own_shapes);
}
