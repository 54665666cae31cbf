// SPDX-License-Identifier: Apache-2.0
// Requests of a client and of its server, and what neither takes.
#include "client/rpc_client.hpp"

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "client/client_log.hpp"

using namespace websocket::jsonrpc;
using namespace websocket::test;

namespace {

void expect_refusal(const std::function<void(Configuration&)>& change, const std::string& what) {
    Configuration configuration{.ws = {.uri = "ws://localhost/"}};
    change(configuration);
    try {
        const Client client(std::move(configuration));
        ck_abort_msg("taken, although: %s", what.c_str());
    } catch (const ConfigurationError& error) {
        ck_assert_msg(std::string(error.what()).find(what) != std::string::npos, "%s",
                      error.what());
    }
}

}  // namespace

// --- misuse --------------------------------------------------------------------------------------

START_TEST(names_what_is_not_allowed_in_a_configuration) {
    expect_refusal([](auto& c) { c.ws.uri = "example.com"; },
                   "ws.uri must begin with ws:// or wss://");
    expect_refusal([](auto& c) { c.ws.uri = "ws://u@h/"; }, "ws.uri must not have a user");
    expect_refusal([](auto& c) { c.ws.uri = "ws://h:0/"; }, "port from 1 to 65535");
    expect_refusal([](auto& c) { c.ws.uri = "ws://[::x]/"; }, "IPv6");
    expect_refusal([](auto& c) { c.ws.uri = "ws://h/#f"; }, "fragment");
    expect_refusal([](auto& c) { c.ws.uri = "ws://h/a b"; }, "%20");
    expect_refusal([](auto& c) { c.heartbeat = 0ms; }, "heartbeat must be from 1 to");
    expect_refusal([](auto& c) { c.rpc.request_timeout = -1ms; }, "rpc.request_timeout");
    expect_refusal([](auto& c) { c.ws.reconnection.jitter = 2; }, "ws.reconnection.jitter");
    expect_refusal([](auto& c) { c.ws.reconnection.max_delay = 1ms; }, "ws.reconnection.max_delay");
    expect_refusal([](auto& c) { c.max_pending_requests = 0; }, "max_pending_requests");
    expect_refusal([](auto& c) { c.ws.headers = {{"Host", "x"}}; }, "\"Host\"");
    expect_refusal([](auto& c) { c.ws.protocols = {"a b"}; }, "subprotocol");
    expect_refusal([](auto& c) { c.ws.final_close_codes = {7}; }, "ws.final_close_codes");
    expect_refusal(
        [](auto& c) {
            c.ws.uri = "wss://h/";
            c.ws.tls.ca_file = "/nowhere";
        },
        "ws.tls: certificates of /nowhere");
}
END_TEST

START_TEST(refuses_arguments_that_cannot_be_sent) {
    const FakeServer server;
    Log log;
    Client client(configured(server, log));
    for (auto future : {client.send("").share(), client.send("m", 5).share(),
                        client.send("m", Value::array({"\xff"})).share(),
                        client.send("m", {}, SendOptions{.timeout = 0ms}).share()}) {
        ck_assert(future.wait_for(0s) == std::future_status::ready);
        try {
            static_cast<void>(future.get());
            ck_abort_msg("taken");
        } catch (const ConfigurationError& error) {
            ck_assert_int_gt(std::string(error.what()).size(), 0);
        }
    }
    ck_assert_uint_eq(client.pending_requests(), 0);
    try {
        static_cast<void>(client.close(1005));
        ck_abort_msg("taken");
    } catch (const ConfigurationError&) {
        ck_assert(client.state() == ClientState::connecting);
    }
}
END_TEST

START_TEST(has_limits_for_all_that_waits) {
    const FakeServer server;
    Log log;
    Configuration configuration = configured(server, log);
    configuration.max_pending_requests = 2;
    configuration.max_queued_messages = 3;
    configuration.ws.max_buffered_bytes = 1000;
    Client client(std::move(configuration));
    auto first = client.send("a");
    auto second = client.send("b");
    auto third = client.send("c");
    expect_thrown<QueueFullError>(third,
                                  "2 requests wait for an answer; that is max_pending_requests");
    client.notify("d");
    try {
        client.notify("e");
        ck_abort_msg("taken");
    } catch (const QueueFullError& error) {
        ck_assert_str_eq(error.what(),
                         "3 messages wait for a connection; that is max_queued_messages");
    }
    client.connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    served.answer(served.expect_request("a"), "1");
    served.answer(served.expect_request("b"), "2");
    ck_assert(got(first) == Value(1) && got(second) == Value(2));
    try {
        client.notify("f", Value::array({std::string(1000, 'x')}));
        ck_abort_msg("taken");
    } catch (const QueueFullError& error) {
        ck_assert_ptr_nonnull(std::string_view(error.what()).find("ws.max_buffered_bytes") !=
                                      std::string_view::npos
                                  ? error.what()
                                  : nullptr);
    }
}
END_TEST

START_TEST(survives_what_is_no_json_rpc) {
    const FakeServer server;
    Log log;
    Client client(configured(server, log));
    client.connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    log.await("connected s1");
    for (const char* text :
         {"{", "[]", R"({"jsonrpc":"1.0","id":1})", R"({"jsonrpc":"2.0"})",
          R"({"jsonrpc":"2.0","id":{},"method":"m"})", R"({"jsonrpc":"2.0","id":9})",
          R"({"jsonrpc":"2.0","id":9,"result":1,"error":{}})", ""}) {
        served.send_text(text);
        log.await("error ");
    }
    served.send_frame(websocket::protocol::Opcode::binary, "x");
    log.await("error a message must be text");
    served.answer(77, "1");  // to nothing
    auto asks = client.send("m");
    const auto id = served.expect_request("m");
    served.send_text(R"({"jsonrpc":"2.0","error":5,"id":)" + std::to_string(id) + "}");
    ck_assert(thrown_by<ProtocolError>(asks).starts_with("\"error\" must be an object"));
}
END_TEST

// --- requests ------------------------------------------------------------------------------------

START_TEST(completes_requests_with_results_and_errors_in_any_order) {
    Awaited<std::string> told;
    const FakeServer server;
    Log log;
    Client client(configured(server, log));
    client.connect();
    ServedClient served = server.accept();
    const std::string head = served.open();
    ck_assert(head.starts_with("GET /jsonrpc HTTP/1.1\r\n"));
    served.expect_text(R"({"jsonrpc":"2.0","method":"connect","id":0})");
    served.answer(0, R"({"value":"OK","sessionId":"s1"})");
    log.await("connected s1");
    ck_assert(client.session_id() == "s1");
    auto one = client.send("one", Value::object({{"a", "\xc3\xa4"}}));
    served.expect_text(
        "{\"jsonrpc\":\"2.0\",\"method\":\"one\",\"params\":{\"a\":\"\xc3\xa4\"},\"id\":1}");
    client.send("two", {}, [&told](const Outcome& outcome) {
        try {
            static_cast<void>(outcome.result());
        } catch (const Error& error) {
            told.update([&](auto& text) { text = std::to_string(error.code) + error.what(); });
        }
    });
    const auto two = served.expect_request("two");
    served.refuse(two, 7);
    told.await([](const auto& text) { return text == "7no"; }, "the error");
    served.answer(1, "[1,null]");
    ck_assert(got(one) == Value::array({1, nullptr}));
    ck_assert_uint_eq(client.pending_requests(), 0);
}
END_TEST

START_TEST(a_request_runs_out_of_time_connected_or_not) {
    const FakeServer server;
    Log log;
    Client client(configured(server, log));
    auto waits = client.send("early", {}, {.timeout = 5ms});
    expect_thrown<RequestTimeoutError>(waits,
                                       "Request has timed out: no answer to \"early\" in 5 ms");
    client.connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    auto late = client.send("late", {}, {.timeout = 5ms});
    const auto id = served.expect_request("late");  // and "early" has not left
    ck_assert(!thrown_by<RequestTimeoutError>(late).empty());
    served.answer(id, "1");
    auto next = client.send("next");
    served.answer(served.expect_request("next"), "2");
    ck_assert(got(next) == Value(2));
}
END_TEST

START_TEST(rejects_or_repeats_what_was_under_way_when_the_connection_is_lost) {
    const FakeServer server;
    Log log;
    Client client(configured(server, log));
    client.connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    log.await("connected s1");
    auto lost = client.send("lost");
    auto repeated = client.send("repeated", {}, {.retries = 1});
    served.expect_request("lost");
    const auto id = served.expect_request("repeated");
    served.disconnect();
    ck_assert(
        thrown_by<ConnectionError>(lost).starts_with("the connection was lost before the answer"));
    log.await("reconnecting 1006");
    ServedClient again = server.accept();
    again.open();
    again.answer(again.expect_request("connect"), R"({"sessionId":"s1"})");
    log.await("reconnected s1 same");
    ck_assert_int_eq(again.expect_request("repeated"), id);
    again.answer(id, "3");
    ck_assert(got(repeated) == Value(3));
}
END_TEST

START_TEST(answers_the_server_at_once_or_later_and_each_request_once) {
    Awaited<std::optional<ServerRequest>> kept;
    const FakeServer server;
    Log log;
    Configuration configuration = configured(server, log);
    configuration.rpc.methods = {
        {"double", Method([](const Value& params) { return 2 * params.items().at(0).number(); })},
        {"refuse", Method([](const Value&) -> Value { throw Error(7, "not today"); })},
        {"fail", Method([](const Value&) { throw std::runtime_error("of the client"); })},
        {"later", Method([&kept](const ServerRequest& request) {
             kept.update([&](auto& one) { one = request; });
         })},
        {"forget", Method([](const ServerRequest&) {})}};
    Client client(std::move(configuration));
    client.connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    log.await("connected s1");
    const auto ask = [&](const char* id, const char* method, const char* wanted) {
        served.send_text(std::string(R"({"id":)") + id + R"(,"method":")" + method +
                         R"(","params":[21],"jsonrpc":"2.0"})");
        if (wanted != nullptr) served.expect_text(wanted);
    };
    ask("1", "double", R"({"jsonrpc":"2.0","result":42,"id":1})");
    ask("1", "double", R"({"jsonrpc":"2.0","result":42,"id":1})");
    ask("\"x\"", "refuse",
        R"({"jsonrpc":"2.0","error":{"code":7,"message":"not today"},"id":"x"})");
    ask("2", "fail",
        R"({"jsonrpc":"2.0","error":{"code":-32603,"message":"of the client"},"id":2})");
    log.await("error of the client");
    ask("3", "unknown",
        R"({"jsonrpc":"2.0","error":{"code":-32601,"message":"the client has no method \"unknown\""},"id":3})");
    ask("4", "pull", R"({"jsonrpc":"2.0","result":"push","id":4})");
    ask("5", "forget",
        R"({"jsonrpc":"2.0","error":{"code":-32603,"message":"the client has not answered"},"id":5})");
    ask("6", "later", nullptr);
    kept.await([](const auto& one) { return one.has_value(); }, "the request");
    const ServerRequest request = *kept.get();
    request.success("now");
    served.expect_text(R"({"jsonrpc":"2.0","result":"now","id":6})");
    try {
        request.success();
        ck_abort_msg("answered twice");
    } catch (const AlreadyAnsweredError& error) {
        ck_assert_str_eq(error.what(), "the request \"later\" has been answered already");
    }
    served.send_text(R"({"method":"later","jsonrpc":"2.0"})");
    kept.await([](const auto& one) { return one->is_notification(); }, "the notification");
    kept.get()->success("nobody hears this");
    served.send_frame(websocket::protocol::Opcode::ping, "p");
    served.expect_pong("p");
}
END_TEST

START_TEST(answers_the_server_whatever_a_method_throws) {
    const FakeServer server;
    Log log;
    Configuration configuration = configured(server, log);
    configuration.ws.on_error = nullptr;
    configuration.rpc.methods = {
        {"bytes", Method([](const Value&) -> Value { throw std::runtime_error("caf\xe9!"); })},
        {"number", Method([](const Value&) -> Value { throw 42; })},
        {"error", Method([](const Value&) -> Value { throw Error(7, "\xff", Value("\xfe")); })},
        {"result", Method([](const Value&) { return "\xff"; })}};
    Client client(std::move(configuration));
    client.connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    const std::pair<const char*, const char*> cases[] = {
        {"bytes", R"({"code":-32603,"message":"caf\uFFFD!"})"},
        {"number", R"({"code":-32603,"message":"unknown exception"})"},
        {"error", R"({"code":7,"message":"\uFFFD"})"},
        {"result", R"({"code":-32603,"message":"a result must be UTF-8"})"}};
    for (const auto& [method, error] : cases) {
        const std::string name = method;
        served.send_text(R"({"jsonrpc":"2.0","method":")" + name + "\"}");
        served.send_text(R"({"jsonrpc":"2.0","id":")" + name + R"(","method":")" + name + "\"}");
        const Value answer = Reader({}).read(served.text());
        ck_assert_str_eq(answer.find("id")->text().c_str(), method);
        ck_assert(*answer.find("error") == Reader({}).read(error));
    }
}
END_TEST

START_TEST(may_be_used_by_many_threads_while_connections_come_and_go) {
    std::atomic<int> completed{0};
    const FakeServer server;
    Log log;
    Client client(configured(server, log));
    client.connect();
    std::vector<std::thread> threads;
    constexpr int kThreads = 4;
    constexpr int kRequests = 50;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&] {
            for (int j = 0; j < kRequests; ++j) {
                auto future = client.send("m", Value::array({j}), {.retries = 1000});
                if (got(future) == Value(j)) ++completed;
            }
        });
    }
    int answered = 0;
    while (answered < kThreads * kRequests) {
        ServedClient served = server.accept();
        served.open();
        served.answer(served.expect_request("connect"), R"({"sessionId":"s1"})");
        for (int i = 0; i < 40 && answered < kThreads * kRequests; ++i) {
            const Value request = Reader({}).read(served.text());
            served.answer(*request.find("id")->integer<std::int64_t>(),
                          std::to_string(*request.find("params")->items()[0].integer<int>()));
            ++answered;
        }
        if (answered == kThreads * kRequests) {
            for (std::thread& thread : threads) thread.join();
        }
        // What it has answered has arrived, as the stream keeps its order.
        served.send_close(1012);
        served.expect_close();
    }
    ck_assert_int_eq(completed, kThreads * kRequests);
}
END_TEST

WEBSOCKET_TEST_SUITE(rpc_client) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, names_what_is_not_allowed_in_a_configuration);
    tcase_add_test(tests, refuses_arguments_that_cannot_be_sent);
    tcase_add_test(tests, has_limits_for_all_that_waits);
    tcase_add_test(tests, survives_what_is_no_json_rpc);
    tcase_add_test(tests, completes_requests_with_results_and_errors_in_any_order);
    tcase_add_test(tests, a_request_runs_out_of_time_connected_or_not);
    tcase_add_test(tests, rejects_or_repeats_what_was_under_way_when_the_connection_is_lost);
    tcase_add_test(tests, answers_the_server_at_once_or_later_and_each_request_once);
    tcase_add_test(tests, answers_the_server_whatever_a_method_throws);
    tcase_add_test(tests, may_be_used_by_many_threads_while_connections_come_and_go);
}
