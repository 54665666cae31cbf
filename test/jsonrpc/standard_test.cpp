// SPDX-License-Identifier: Apache-2.0
// JSON-RPC 2.0 as its specification has it, and what is wrong in every way.
#include "jsonrpc/probe.hpp"

using websocket::test::answer_to;
using websocket::test::expect_text;
using websocket::test::expect_texts;
using websocket::test::inline_methods;
using websocket::test::json;
using websocket::test::rpc_probe;
using websocket::test::RpcProbe;
using RpcHost = websocket::testing::Host;
using RpcJson = websocket::jsonrpc::Value;

WEBSOCKET_JSONRPC_PLUGIN(rpc_probe_init, RpcProbe)

const WebSocketPlugin& websocket::test::rpc_probe() { return *rpc_probe_init(); }

namespace {

/// Without what explains an error: the specification leaves `data` to the server.
void drop_data(RpcJson& reply) {
    if (reply.is_array()) {
        for (RpcJson& one : reply.items()) drop_data(one);
    } else if (RpcJson* error = reply.find("error")) {
        ck_assert_msg(error->find("data") != nullptr && error->find("data")->is_text(),
                      "no words for %s", to_json(reply).c_str());
        error->remove("data");
    }
}

/// The same members, in whatever order.
bool same(const RpcJson& a, const RpcJson& b) {
    if (a.is_array() && b.is_array()) {
        return std::ranges::equal(a.items(), b.items(), same);
    }
    if (!a.is_object() || !b.is_object()) return a == b;
    return a.members().size() == b.members().size() &&
           std::ranges::all_of(a.members(), [&b](const auto& one) {
               const RpcJson* other = b.find(one.name);
               return other != nullptr && same(one.value, *other);
           });
}

std::string rpc_start_error(const websocket::testing::Pairs& options) {
    try {
        const RpcHost host(rpc_probe(), options);
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "";
}

std::string call_text(const std::string& id, const std::string& method, const std::string& params) {
    return R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":")" + method + R"(","params":)" +
           params + "}";
}

}  // namespace

// Section 7 of the specification, all of it; an empty answer stands for none.
START_TEST(the_examples_of_the_specification_hold) {
    constexpr const char* kParse =
        R"({"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null})";
    constexpr const char* kInvalid =
        R"({"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null})";
    const std::string invalid = kInvalid;
    const struct {
        const char* request;
        std::string answer;
    } cases[] = {
        {R"({"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1})",
         R"({"jsonrpc": "2.0", "result": 19, "id": 1})"},
        {R"({"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2})",
         R"({"jsonrpc": "2.0", "result": -19, "id": 2})"},
        {R"({"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3})",
         R"({"jsonrpc": "2.0", "result": 19, "id": 3})"},
        {R"({"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4})",
         R"({"jsonrpc": "2.0", "result": 19, "id": 4})"},
        {R"({"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]})", ""},
        {R"({"jsonrpc": "2.0", "method": "foobar"})", ""},
        {R"({"jsonrpc": "2.0", "method": "foobar", "id": "1"})",
         R"({"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"})"},
        {R"({"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz])", kParse},
        {R"({"jsonrpc": "2.0", "method": 1, "params": "bar"})", kInvalid},
        {R"([{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
             {"jsonrpc": "2.0", "method"])",
         kParse},
        {"[]", kInvalid},
        {"[1]", "[" + invalid + "]"},
        {"[1,2,3]", "[" + invalid + "," + invalid + "," + invalid + "]"},
        {R"([{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
             {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
             {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
             {"foo": "boo"},
             {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
             {"jsonrpc": "2.0", "method": "get_data", "id": "9"}])",
         R"([{"jsonrpc": "2.0", "result": 7, "id": "1"}, {"jsonrpc": "2.0", "result": 19, "id": "2"},)" +
             invalid +
             R"(,{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "5"},
                {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"}])"},
        {R"([{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
             {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}])",
         ""},
    };
    RpcHost host(rpc_probe(), inline_methods({}));
    const auto client = host.connect();
    for (const auto& [request, answer] : cases) {
        client->text(request);
        const auto texts = client->texts();
        ck_assert_msg(texts.size() == (answer.empty() ? 0U : 1U), "%s", request);
        if (answer.empty()) continue;
        RpcJson got = json(texts[0]);
        drop_data(got);
        ck_assert_msg(same(got, json(answer)), "%s\ngot %s", request, texts[0].c_str());
    }
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(what_is_no_request_is_answered_with_what_is_wrong) {
    const struct {
        const char* request;
        const char* id;
        const char* words;
    } cases[] = {
        {R"("x")", "null", "not a string"},
        {R"({"id":1,"method":"void"})", "1", "\\\"jsonrpc\\\" has to be"},
        {R"({"jsonrpc":2.0,"id":1,"method":"void"})", "1", "\\\"jsonrpc\\\" has to be"},
        {R"({"jsonrpc":"1.0","id":"x","method":"void"})", "\"x\"", "\\\"jsonrpc\\\" has to be"},
        {R"({"jsonrpc":"2.0","id":{},"method":"void"})", "null", "not an object"},
        {R"({"jsonrpc":"2.0","id":[1],"method":"void"})", "null", "not an array"},
        {R"({"jsonrpc":"2.0","id":true,"method":"void"})", "null", "not a boolean"},
        {R"({"jsonrpc":"2.0","id":1,"method":null})", "1", "not null"},
        {R"({"jsonrpc":"2.0","id":1})", "1", "\\\"method\\\" is missing"},
        {R"({"jsonrpc":"2.0","id":1,"method":"void","params":5})", "1", "not a number"},
        {R"({"jsonrpc":"2.0","id":1,"method":"void","params":null})", "1", "not null"},
    };
    RpcHost host(rpc_probe(), inline_methods({}));
    const auto client = host.connect();
    for (const auto& [request, id, words] : cases) {
        const std::string answer = answer_to(*client, request);
        ck_assert_msg(answer.find("-32600") != std::string::npos, "%s", answer.c_str());
        ck_assert_msg(answer.find(words) != std::string::npos, "%s", answer.c_str());
        expect_text(to_json(*json(answer).find("id")), id);
    }
    client->binary("{}");
    ck_assert(client->closed_with() == 1003);
}
END_TEST

START_TEST(wrong_params_are_answered_with_which_one_and_what_is_needed) {
    const struct {
        const char* method;
        const char* params;
        const char* words;
    } cases[] = {
        {"subtract", "[1]", "parameter 2 \\\"subtrahend\\\" is missing"},
        {"subtract", "[1,2,3]", "3 parameters were given; there are 2"},
        {"subtract", "[1,\"2\"]", "parameter 2 \\\"subtrahend\\\": an integer"},
        {"subtract", "[1,2.5]", "parameter 2"},
        {"subtract", "{\"minuend\":1}", "parameter 2 \\\"subtrahend\\\" is missing"},
        {"subtract", "{\"minuend\":1,\"subtrahend\":2,\"x\":3}", "there is no parameter \\\"x\\\""},
        {"greet", "[5]", "a string is needed, not a number"},
        {"greet", "[\"a\",256]", "an integer from 0 to 255"},
        {"greet", "[\"a\",-1]", "an integer from 0 to 255"},
        {"sum", "[1,[2]]", "item 2: an integer"},
        {"sum", "{}", "an array is needed"},
        {"notify_hello", "{\"n\":1}", "params have to be an array"},
        {"void", "[1]", "1 parameters were given; there are 0"},
    };
    RpcHost host(rpc_probe(), inline_methods({}));
    const auto client = host.connect();
    for (const auto& [method, params, words] : cases) {
        const std::string answer = answer_to(*client, call_text("1", method, params));
        ck_assert_msg(answer.find("-32602") != std::string::npos, "%s", answer.c_str());
        ck_assert_msg(answer.find(words) != std::string::npos, "%s", answer.c_str());
    }
    const auto result = [&](const char* method, const char* params) {
        return to_json(*json(answer_to(*client, call_text("1", method, params))).find("result"));
    };
    expect_text(result("greet", "[\"a\"]"), "\"hi a;\"");
    expect_text(result("greet", "{\"times\":2,\"name\":\"b\"}"), "\"hi b;hi b;\"");
    expect_text(result("greet", "[\"a\",null]"), "\"hi a;\"");
}
END_TEST

START_TEST(ids_come_back_as_they_were) {
    RpcHost host(rpc_probe(), inline_methods({}));
    const auto client = host.connect();
    for (const char* id : {"0", "-5", "9223372036854775807", "18446744073709551615", "1.5", "\"\"",
                           "\"a\\\"b\"", "\"23\"", "null"}) {
        const std::string answer = answer_to(*client, call_text(id, "void", "[]"));
        expect_text(answer, (R"({"id":)" + std::string(id) + R"(,"result":null,"jsonrpc":"2.0"})"));
    }
}
END_TEST

START_TEST(what_is_told_of_long_names_is_whole_characters) {
    RpcHost host(rpc_probe(), inline_methods({}));
    const auto client = host.connect();
    for (const char* begin : {"", "x", "xx", "xxx"}) {
        std::string name = begin;
        for (int i = 0; i < 40; ++i) name += "\xE2\x82\xAC\xF0\x9F\x98\x80";
        ck_assert(answer_to(*client, call_text("1", name, "[]")).find("-32601") !=
                  std::string::npos);
        const std::string twice = R"({")" + name + R"(":1,")" + name + R"(":2})";
        ck_assert(answer_to(*client, call_text("1", "void", twice)).find("twice") !=
                  std::string::npos);
        ck_assert(answer_to(*client, call_text("1", "greet", R"({")" + name + R"(":1})"))
                      .find("there is no parameter") != std::string::npos);
    }
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(numbers_are_written_so_that_they_are_read_as_they_were) {
    RpcHost host(rpc_probe(), inline_methods({}));
    const auto client = host.connect();
    for (const char* number :
         {"0", "-0.0", "1500", "9007199254740991", "9.007199254740992e+15",
          "1.2345678901234568e+20", "-1e+300", "5e-324", "18446744073709551615", "0.1"}) {
        expect_text(answer_to(*client, call_text("1", "echo", "[" + std::string(number) + "]")),
                    R"({"id":1,"result":[)" + std::string(number) + R"(],"jsonrpc":"2.0"})");
    }
    expect_text(answer_to(*client, call_text("1", "echo", "[1.5e3,123456789012345680000.0]")),
                R"({"id":1,"result":[1500,1.2345678901234568e+20],"jsonrpc":"2.0"})");
}
END_TEST

START_TEST(limits_are_kept_and_named) {
    RpcHost host(
        rpc_probe(),
        inline_methods({{"size", "300"}, {"depth", "4"}, {"batch", "2"}, {"in_flight", "2"}}));
    const auto client = host.connect();
    ck_assert(answer_to(*client, call_text("1", "echo", "[\"" + std::string(300, 'x') + "\"]"))
                  .find("allowed are 300") != std::string::npos);
    ck_assert(answer_to(*client, call_text("1", "echo", "[[[[1]]]]")).find("more than 4 deep") !=
              std::string::npos);
    ck_assert(answer_to(*client, call_text("1", "echo", "[[[1]]]")).find("result") !=
              std::string::npos);
    ck_assert(answer_to(*client, "[1,2,3]").find("3 members; allowed are 2") != std::string::npos);
    client->text(call_text("1", "later", "[]"));
    client->text(call_text("2", "later", "[]"));
    ck_assert(client->texts().empty());
    ck_assert(answer_to(*client, call_text("3", "void", "[]")).find("-32000") != std::string::npos);
    ck_assert(RpcProbe::open[0].respond(1));
    ck_assert(!RpcProbe::open[0].respond(1));
    expect_texts(client->texts(), {R"({"id":1,"result":1,"jsonrpc":"2.0"})"});
    ck_assert(answer_to(*client, call_text("3", "void", "[]")).find("result") != std::string::npos);
    RpcProbe::open.clear();  // nobody can answer the second one any more
    ck_assert(client->texts()[0].find("has not been answered") != std::string::npos);
    const struct {
        const char* option;
        const char* value;
        const char* words;
    } wrong[] = {{"size", "1", "from 64"},
                 {"depth", "1", "from 2 to 512"},
                 {"compatibility", "java", "neither"},
                 {"sessions", "a b", "letters"},
                 {"watchdog", "maybe", "neither"},
                 {"color", "red", "threads"},
                 {"threads", "65", "from 0 to 64"}};
    for (const auto& [option, value, words] : wrong) {
        const std::string error = rpc_start_error({{option, value}});
        ck_assert_msg(error.find(words) != std::string::npos, "%s: %s", option, error.c_str());
    }
    expect_text(rpc_start_error({{"colour", "red"}}), "");
}
END_TEST

START_TEST(errors_say_what_the_method_says_and_no_more) {
    RpcHost host(rpc_probe(), inline_methods({{"label", "sums"}}));
    const auto client = host.connect();
    const std::pair<std::string, const char*> cases[] = {
        {call_text("1", "error", R"([7,"no",{"why":[1]}])"),
         R"({"id":1,"error":{"code":7,"message":"no","data":{"why":[1]}},"jsonrpc":"2.0"})"},
        {call_text("2", "throw", R"([8,"never"])"),
         R"({"id":2,"error":{"code":8,"message":"never"},"jsonrpc":"2.0"})"},
        {call_text("3", "fail", "[]"),
         R"({"id":3,"error":{"code":-32603,"message":"Internal error"},"jsonrpc":"2.0"})"},
        {call_text("4", "twice", "[]"), R"({"id":4,"result":"one","jsonrpc":"2.0"})"},
        {call_text("5", "nothing", "[]"), R"({"id":5,"result":null,"jsonrpc":"2.0"})"},
        {call_text("6", "garbage", "[]"),
         R"({"id":6,"error":{"code":-32603,"message":"Internal error","data":"the answer is not UTF-8"},"jsonrpc":"2.0"})"},
        {call_text("7", "forget", "[]"),
         R"({"id":7,"error":{"code":-32603,"message":"Internal error","data":"the request has not been answered"},"jsonrpc":"2.0"})"},
    };
    for (const auto& [request, answer] : cases) {
        expect_text(answer_to(*client, request), answer);
    }
    expect_texts(RpcProbe::happened(), {"connected", "exception std::runtime_error:secret"});
    // None of this is answered when it is a notification.
    for (const char* method : {"fail", "throw", "error", "garbage", "forget", "unknown", "ping"}) {
        client->text(R"({"jsonrpc":"2.0","method":")" + std::string(method) + "\"}");
        expect_texts(client->texts(), {});
    }
    ck_assert(host.offences().empty());
}
END_TEST

START_TEST(a_batch_is_answered_when_its_last_request_is) {
    RpcHost host(rpc_probe(), inline_methods({}));
    const auto client = host.connect();
    client->text("[" + call_text("1", "later", "[]") + "," + call_text("2", "void", "[]") + "," +
                 call_text("3", "ping", "[]") + "," + call_text("4", "closeSession", "[]") + "]");
    expect_texts(client->texts(), {});
    RpcProbe::open[0].respond("done");
    const RpcJson answers = json(client->texts().at(0));
    ck_assert_uint_eq(answers.items().size(), 4);
    expect_text(to_json(answers.items()[3]), R"({"id":1,"result":"done","jsonrpc":"2.0"})");
    ck_assert(answers.items()[2].find("error")->find("data")->text().find("batch") !=
              std::string::npos);
    ck_assert(client->open());
    RpcProbe::open.clear();
}
END_TEST

START_TEST(a_client_that_does_not_read_its_answers_is_not_read_from_and_loses_none) {
    RpcHost host(rpc_probe(), inline_methods({}));
    const auto client = host.connect();
    client->stop_reading(100);
    client->text(call_text("1", "void", "[]"));
    ck_assert(!client->paused());
    client->text(call_text("2", "void", "[]"));
    ck_assert(client->paused());
    client->read();
    ck_assert(!client->paused());
    client->stop_reading(0);
    client->text(call_text("3", "void", "[]"));  // read before the pause
    client->text(call_text("4", "void", "[]"));
    client->text(call_text("5", "ping", "{}"));
    ck_assert(client->paused());
    ck_assert_uint_eq(client->texts().size(), 2);
    client->read();
    ck_assert(!client->paused());
    expect_texts(client->texts(), {R"({"id":3,"result":null,"jsonrpc":"2.0"})",
                                   R"({"id":5,"result":{"value":"pong"},"jsonrpc":"2.0"})",
                                   R"({"id":4,"result":null,"jsonrpc":"2.0"})"});
}
END_TEST

START_TEST(answers_that_come_later_wait_for_a_client_that_does_not_read_up_to_a_limit) {
    RpcHost host(rpc_probe(), inline_methods({{"in_flight_size", "1024"}}));
    const auto client = host.connect();
    for (const char* id : {"1", "2", "3", "4"}) client->text(call_text(id, "later", "[]"));
    client->stop_reading(0);
    const std::string much(600, 'x');
    ck_assert(RpcProbe::open[0].respond(much));
    client->read();
    ck_assert(!client->paused());
    ck_assert_uint_eq(client->texts().size(), 1);
    client->stop_reading(100);
    ck_assert(RpcProbe::open[1].respond(much));  // finds room
    ck_assert(RpcProbe::open[2].respond(much));  // waits
    ck_assert_uint_eq(client->texts().size(), 1);
    ck_assert(!client->closed_with());
    ck_assert(!RpcProbe::open[3].respond(much));  // is too much
    ck_assert(client->closed_with() == 1008);
    RpcProbe::open.clear();
}
END_TEST

WEBSOCKET_TEST_SUITE(jsonrpc_standard) {
    tcase_add_test(tests, the_examples_of_the_specification_hold);
    tcase_add_test(tests, what_is_no_request_is_answered_with_what_is_wrong);
    tcase_add_test(tests, wrong_params_are_answered_with_which_one_and_what_is_needed);
    tcase_add_test(tests, ids_come_back_as_they_were);
    tcase_add_test(tests, what_is_told_of_long_names_is_whole_characters);
    tcase_add_test(tests, numbers_are_written_so_that_they_are_read_as_they_were);
    tcase_add_test(tests, limits_are_kept_and_named);
    tcase_add_test(tests, errors_say_what_the_method_says_and_no_more);
    tcase_add_test(tests, a_batch_is_answered_when_its_last_request_is);
    tcase_add_test(tests, a_client_that_does_not_read_its_answers_is_not_read_from_and_loses_none);
    tcase_add_test(tests,
                   answers_that_come_later_wait_for_a_client_that_does_not_read_up_to_a_limit);
}
