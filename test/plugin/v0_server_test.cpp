// SPDX-License-Identifier: Apache-2.0
#include "plugin/v0/v0_server.hpp"

#include "plugin/recording_plugin.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::plugin::V0Session;

START_TEST(a_plugin_reads_the_request_and_shapes_the_response) {
    PluginService host;
    std::string seen;
    host.on_connect = [&](const WebSocketServer* server) {
        ck_assert_uint_eq(server->size, sizeof(WebSocketServer));
        ck_assert_uint_eq(server->version, WEBSOCKET_SERVER_VERSION_1);
        seen = server->header_get(server, "Origin");
        ck_assert_ptr_null(server->header_get(server, "Absent"));
        ck_assert_ptr_null(server->header_get(server, nullptr));
        server->header_set(server, "X-Plugin", "yes");
        server->header_set(server, nullptr, "no");
        server->header_set(server, "No", nullptr);
        ck_assert_uint_eq(server->protocol_count(server), 2);
        ck_assert_str_eq(server->protocol_index(server, 1), "superchat");
        ck_assert_ptr_null(server->protocol_index(server, 2));
        server->protocol_set(server, server->protocol_index(server, 0));
        ck_assert_ptr_nonnull(server->request(server));
    };
    const PluginService::Candidate candidate = host.candidate();
    host.accepts = false;
    ck_assert(candidate.session->connect() == V0Session::Connected::refused);
    ck_assert_str_eq(seen.c_str(), "https://example.org");
    const auto& headers = candidate.request->response_headers;
    ck_assert_uint_eq(headers.size(), 2);
    ck_assert_str_eq(headers.at("X-Plugin").c_str(), "yes");
    ck_assert_str_eq(headers.at("Sec-WebSocket-Protocol").c_str(), "chat");
}
END_TEST

START_TEST(a_null_server_is_answered_politely) {
    PluginService host;
    const PluginService::Candidate candidate = host.candidate();
    const WebSocketServer server = websocket::plugin::make_v0_server(*candidate.session);
    ck_assert_ptr_null(server.request(nullptr));
    ck_assert_ptr_null(server.header_get(nullptr, "Origin"));
    server.header_set(nullptr, "X", "y");
    ck_assert_uint_eq(server.protocol_count(nullptr), 0);
    ck_assert_ptr_null(server.protocol_index(nullptr, 0));
    server.protocol_set(nullptr, "chat");
    ck_assert_uint_eq(server.send(nullptr, MESSAGE_TYPE_TEXT, nullptr, 0), 0);
    server.close(nullptr);
    host.accepts = false;
    ck_assert(candidate.session->connect() == V0Session::Connected::refused);
}
END_TEST

WEBSOCKET_TEST_SUITE(v0_server) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_plugin_reads_the_request_and_shapes_the_response);
    tcase_add_test(tests, a_null_server_is_answered_politely);
}
