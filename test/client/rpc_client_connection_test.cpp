// SPDX-License-Identifier: Apache-2.0
// How a client comes to a connection and a session, loses them, and ends.
#include "client/rpc_client.hpp"

#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "client/client_log.hpp"
#include "engine/awaiting.hpp"

using namespace websocket::jsonrpc;
using namespace websocket::test;

// --- connections ---------------------------------------------------------------------------------

START_TEST(says_why_it_cannot_connect_and_goes_on_trying) {
    const FakeServer server;
    Log log;
    Client client(configured(server, log));
    auto waits = client.send("m");
    client.connect();
    ServedClient first = server.accept();
    first.read_request();
    first.send_bytes("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    log.await("failed could not connect to " + server.uri() +
              ": the server answered 403 Forbidden");
    ServedClient second = server.accept();
    second.disconnect();
    log.await("failed could not connect");
    ck_assert(client.state() == ClientState::connecting);
    ServedClient third = server.accept();
    third.welcome("s1");
    log.await("connected s1");
    third.answer(third.expect_request("m"), "\"here\"");
    ck_assert(got(waits) == Value("here"));
}
END_TEST

START_TEST(gives_up_after_as_many_tries_as_it_may) {
    const FakeServer server;
    Log log;
    Configuration configuration = configured(server, log);
    configuration.ws.reconnection.max_retries = 1;
    Client client(std::move(configuration));
    auto waits = client.send("m");
    client.connect();
    server.accept().disconnect();
    server.accept().disconnect();
    log.await("failed");
    log.await("failed");
    log.await("disconnect 1006");
    ck_assert(thrown_by<ClosedError>(waits).starts_with("the connection has ended for good"));
    auto late = client.send("m");
    ck_assert(thrown_by<ClosedError>(late).starts_with("the connection has ended for good"));
    ck_assert(client.state() == ClientState::disconnected);
}
END_TEST

START_TEST(gives_up_a_server_that_does_not_finish_its_handshake) {
    const FakeServer server;
    Log log;
    Configuration configuration = configured(server, log);
    configuration.ws.connect_timeout = 50ms;
    configuration.ws.reconnection.max_retries = 0;
    Client client(std::move(configuration));
    client.connect();
    ServedClient silent = server.accept();
    log.await("failed could not connect to " + server.uri() + ": no connection in 50 ms");
    log.await("disconnect 1006");
}
END_TEST

START_TEST(fails_a_connection_that_breaks_the_protocol_and_makes_another) {
    const FakeServer server;
    Log log;
    Client client(configured(server, log));
    client.connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    log.await("connected s1");
    served.send_bytes(std::string_view("\x83\x00", 2));  // an opcode that there is not
    ck_assert_uint_eq(served.expect_close(), 1002);
    log.await("reconnecting 1006 the server broke the protocol of WebSocket: unknown opcode");
    ServedClient again = server.accept();
    again.open();
    again.expect_text(R"({"jsonrpc":"2.0","method":"connect","params":{"sessionId":"s1"},"id":1})");
}
END_TEST

// --- sessions ------------------------------------------------------------------------------------

START_TEST(is_told_that_its_session_is_gone_and_what_it_says_then_goes_first) {
    const FakeServer server;
    Log log;
    Configuration configuration = configured(server, log);
    std::unique_ptr<Client> client;
    configuration.ws.on_reconnected = [&](const ReconnectedInfo& info) {
        log.add(info.same_session ? "same" : "other");
        client->notify("again");
    };
    client = std::make_unique<Client>(std::move(configuration));
    client->connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    log.await("connected s1");
    served.send_close(1012, "restart");
    served.say_goodbye();
    log.await("reconnecting 1012 restart");
    auto waited = client->send("waited");
    ServedClient again = server.accept();
    again.open();
    again.refuse(again.expect_request("connect"), 40007);
    again.answer(again.expect_request("connect"), R"({"sessionId":"s2"})");
    log.await("other");
    again.expect_text(R"({"jsonrpc":"2.0","method":"again"})");
    again.answer(again.expect_request("waited"), "1");
    ck_assert(got(waited) == Value(1));
    ck_assert(client->session_id() == "s2");
}
END_TEST

START_TEST(a_server_without_sessions_is_fine) {
    const FakeServer server;
    Log log;
    Client client(configured(server, log));
    client.connect();
    ServedClient served = server.accept();
    served.open();
    served.refuse(served.expect_request("connect"), -32601);
    log.await("connected none");
    ck_assert(!client.session_id());
}
END_TEST

START_TEST(some_close_codes_are_final) {
    const FakeServer server;
    Log log;
    Client client(configured(server, log));
    client.connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    log.await("connected s1");
    auto asks = client.send("m");
    served.expect_request("m");
    served.send_close(1008, "go away");
    served.say_goodbye();
    log.await("disconnect 1008 go away");
    expect_thrown<ClosedError>(asks, "the connection has ended for good, with code 1008 (go away)");
}
END_TEST

START_TEST(notices_a_server_that_answers_no_pings) {
    const FakeServer server;
    Log log;
    Configuration configuration = configured(server, log);
    configuration.heartbeat = 10ms;
    configuration.rpc.heartbeat_request_timeout = 20ms;
    Client client(std::move(configuration));
    client.connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    log.await("connected s1");
    served.expect_text(R"({"jsonrpc":"2.0","method":"ping","params":{"interval":10},"id":1})");
    served.expect_text(R"({"jsonrpc":"2.0","method":"ping","id":2})");
    log.await("error the server does not answer pings");
    log.await("reconnecting 1006");
    ServedClient again = server.accept();
    again.open();
    again.expect_request("connect");
}
END_TEST

START_TEST(waits_for_the_answer_to_a_ping_no_longer_than_until_the_next) {
    const FakeServer server;
    Log log;
    Configuration configuration = configured(server, log);
    configuration.heartbeat = 20ms;
    configuration.rpc.request_timeout = 1h;
    Client client(std::move(configuration));
    client.connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    log.await("connected s1");
    log.await("error the server does not answer pings");
    log.await("reconnecting 1006");
}
END_TEST

START_TEST(gives_up_a_connection_on_which_nothing_comes) {
    const FakeServer server;
    Log log;
    Configuration configuration = configured(server, log);
    configuration.ws.idle_timeout = 30ms;
    configuration.session = false;
    Client client(std::move(configuration));
    client.connect();
    ServedClient served = server.accept();
    served.open();
    log.await("connected none");
    log.await("reconnecting 1006 nothing came from the server in 30 ms");
}
END_TEST

// --- the end -------------------------------------------------------------------------------------

START_TEST(closes_cleanly_and_tells_the_server_before) {
    const FakeServer server;
    Log log;
    Configuration configuration = configured(server, log);
    configuration.send_close_message = true;
    Client client(std::move(configuration));
    client.connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    log.await("connected s1");
    auto asks = client.send("m");
    served.expect_request("m");
    auto closed = client.close(3000, "bye");
    auto again = client.close();
    served.answer(served.expect_request("closeSession"), "\"bye\"");
    served.say_goodbye();
    const CloseInfo info = closed.get();
    ck_assert(info.code == 3000 && info.was_clean && info.final);
    ck_assert_uint_eq(again.get().code, 3000);
    log.await("disconnect 3000");
    expect_thrown<ClosedError>(asks, "the client has been closed");
    auto late = client.send("m");
    expect_thrown<ClosedError>(late, "the client has been closed");
    ck_assert(client.state() == ClientState::disconnected);
    ck_assert_uint_eq(client.close().get().code, 3000);
}
END_TEST

START_TEST(closes_although_the_server_says_nothing_and_before_it_is_connected) {
    const FakeServer server;
    Log log;
    Configuration configuration = configured(server, log);
    configuration.ws.close_timeout = 20ms;
    Client client(configuration);
    client.connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    log.await("connected s1");
    const CloseInfo info = client.close().get();
    ck_assert_uint_eq(info.code, 1006);
    ck_assert_str_eq(info.reason.c_str(), "no answer to the Close in 20 ms");
    ck_assert_uint_eq(served.expect_close(), 1005);
    Client idle(configuration);
    ck_assert_uint_eq(idle.close().get().code, 1006);
    Client trying(configuration);
    trying.connect();
    ck_assert_uint_eq(trying.close().get().code, 1006);
}
END_TEST

START_TEST(closes_in_time_although_the_end_of_the_session_is_not_answered) {
    const FakeServer server;
    Log log;
    Configuration configuration = configured(server, log);
    configuration.send_close_message = true;
    configuration.ws.close_timeout = 20ms;
    configuration.rpc.request_timeout = std::chrono::hours(24);
    Client client(std::move(configuration));
    client.connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    log.await("connected s1");
    auto closed = client.close(3000);
    served.expect_request("closeSession");
    ck_assert(closed.wait_for(kPatience) == std::future_status::ready);
    ck_assert_uint_eq(closed.get().code, 1006);
    ck_assert_uint_eq(served.expect_close(), 3000);
}
END_TEST

START_TEST(its_destructor_completes_all_and_calls_nobody_afterwards) {
    Awaited<int> called;
    const FakeServer server;
    Log log;
    std::future<Value> asks;
    std::optional<ServedClient> served;
    {
        Client client(configured(server, log));
        asks = client.send("m");
        client.send("m", {}, [&called](const Outcome& outcome) {
            ck_assert(!outcome);
            called.update([](int& times) { ++times; });
        });
        client.connect();
        served.emplace(server.accept());
        served->welcome("s1");
        served->expect_request("m");
    }
    ck_assert_uint_eq(served->expect_close(), 1001);
    ck_assert_int_eq(called.get(), 1);
    expect_thrown<ClosedError>(asks, "the client has been closed");
}
END_TEST

START_TEST(completes_what_others_have_sent_before_a_callback_destroys_it) {
    const ClientThread thread = ClientThread::start();
    const auto threads = threads_of_process();
    const FakeServer server;
    Log log;
    Awaited<int> called;
    Door gone;
    std::future<Value> asks;
    std::future<CloseInfo> closed;
    auto client = std::make_unique<Client>(configured(server, log));
    client->send("first", {}, [&](const Outcome&) {
        std::thread([&] {
            client->send("second", {}, [&called](const Outcome& outcome) {
                ck_assert(!outcome);
                called.update([](int& times) { ++times; });
            });
            asks = client->send("third");
            client->notify("fourth");
            client->reconnect();
            closed = client->close();
        }).join();
        client.reset();
        gone.open();
    });
    client->connect();
    ServedClient served = server.accept();
    served.welcome("s1");
    served.answer(served.expect_request("first"), "1");
    gone.await("the destruction");
    expect_thrown<ClosedError>(asks, "the client has been closed");
    ck_assert(closed.wait_for(kPatience) == std::future_status::ready);
    ck_assert_uint_eq(closed.get().code, 1006);
    called.await([](int times) { return times == 1; }, "the callback");
    await_quietly([&] { return threads_of_process() == threads; }, "the end of the threads");
    ck_assert_int_eq(called.get(), 1);
}
END_TEST

START_TEST(may_be_destroyed_by_any_of_its_callbacks) {
    const ClientThread thread = ClientThread::start();
    const auto threads = threads_of_process();
    for (const bool shared : {false, true}) {
        for (int way = 0; way < 4; ++way) {
            const FakeServer server;
            Log log;
            Door gone;
            std::unique_ptr<Client> client;
            const auto destroy = [&] {
                client.reset();
                gone.open();
            };
            Configuration configuration = configured(server, log);
            configuration.thread = shared ? thread : ClientThread();
            if (way == 0) configuration.ws.on_connected = [&](const ConnectedInfo&) { destroy(); };
            if (way == 1) configuration.ws.on_reconnecting = [&](const CloseInfo&) { destroy(); };
            configuration.rpc.methods = {{"end", Method([&](const ServerRequest&) { destroy(); })}};
            client = std::make_unique<Client>(std::move(configuration));
            auto asks = client->send("first");
            client->connect();
            ServedClient served = server.accept();
            served.welcome("s1");
            if (way > 0) {
                log.await("connected s1");
                const auto id = served.expect_request("first");
                if (way == 1) served.disconnect();
                if (way == 2) served.send_text(R"({"jsonrpc":"2.0","id":1,"method":"end"})");
                if (way == 3) {
                    client->send("second", {}, [&](const Outcome&) { destroy(); });
                    served.answer(served.expect_request("second"), "1");
                }
                static_cast<void>(id);
            }
            gone.await("the destruction");
            static_cast<void>(thrown_by<std::exception>(asks));
        }
    }
    // Nobody joins those of clients that their own threads destroy; a process that ended meanwhile would seem to leak
    // what they are about to free.
    await_quietly([&] { return threads_of_process() == threads; }, "the end of the threads");
}
END_TEST

WEBSOCKET_TEST_SUITE(rpc_client_connection) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, says_why_it_cannot_connect_and_goes_on_trying);
    tcase_add_test(tests, gives_up_after_as_many_tries_as_it_may);
    tcase_add_test(tests, gives_up_a_server_that_does_not_finish_its_handshake);
    tcase_add_test(tests, fails_a_connection_that_breaks_the_protocol_and_makes_another);
    tcase_add_test(tests, is_told_that_its_session_is_gone_and_what_it_says_then_goes_first);
    tcase_add_test(tests, a_server_without_sessions_is_fine);
    tcase_add_test(tests, some_close_codes_are_final);
    tcase_add_test(tests, notices_a_server_that_answers_no_pings);
    tcase_add_test(tests, waits_for_the_answer_to_a_ping_no_longer_than_until_the_next);
    tcase_add_test(tests, gives_up_a_connection_on_which_nothing_comes);
    tcase_add_test(tests, closes_cleanly_and_tells_the_server_before);
    tcase_add_test(tests, closes_although_the_server_says_nothing_and_before_it_is_connected);
    tcase_add_test(tests, closes_in_time_although_the_end_of_the_session_is_not_answered);
    tcase_add_test(tests, its_destructor_completes_all_and_calls_nobody_afterwards);
    tcase_add_test(tests, completes_what_others_have_sent_before_a_callback_destroys_it);
    tcase_add_test(tests, may_be_destroyed_by_any_of_its_callbacks);
}
