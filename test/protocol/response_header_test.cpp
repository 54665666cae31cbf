// SPDX-License-Identifier: Apache-2.0
#include "protocol/response_header.hpp"

#include <string>
#include <string_view>

#include "protocol/require.hpp"
#include "unit.hpp"

namespace {

using websocket::protocol::fault_of_header;
using websocket::protocol::HeaderFault;
using websocket::test::require;

}  // namespace

START_TEST(a_name_is_a_token) {
    for (int byte = 0; byte < 256; ++byte) {
        const char c = static_cast<char>(byte);
        const bool of_tokens = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                               (c >= 'a' && c <= 'z') ||
                               std::string("!#$%&'*+-.^_`|~").find(c) != std::string::npos;
        const std::string name{'X', c, 'Y'};
        require((fault_of_header(name, "x") == HeaderFault::none) == of_tokens, name);
    }
    ck_assert(fault_of_header("", "x") == HeaderFault::name);
}
END_TEST

START_TEST(a_value_has_no_control_characters) {
    for (int byte = 0; byte < 256; ++byte) {
        const bool allowed = byte == '\t' || (byte >= 0x20 && byte != 0x7F);
        const std::string value{'x', static_cast<char>(byte), 'y'};
        require((fault_of_header("X", value) == HeaderFault::none) == allowed, value);
    }
    ck_assert(fault_of_header("X", "") == HeaderFault::none);
}
END_TEST

START_TEST(what_the_server_sets_itself_is_reserved_in_any_case) {
    for (const std::string_view name :
         {"Sec-WebSocket-Accept", "sec-websocket-protocol", "SEC-WEBSOCKET-EXTENSIONS",
          "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Sec-WebSocket-", "Upgrade", "connection",
          "Content-Length", "TRANSFER-ENCODING", "Trailer", "te", "keep-alive",
          "Proxy-Connection"}) {
        require(fault_of_header(name, "x") == HeaderFault::reserved, name);
    }
    for (const std::string_view name : {"Sec-WebSocket", "Sec-Web", "X-Upgrade", "Upgrade-To",
                                        "Connections", "Content-Type", "Set-Cookie", "tea"}) {
        require(fault_of_header(name, "x") == HeaderFault::none, name);
    }
}
END_TEST

START_TEST(each_fault_has_a_sentence) {
    for (const HeaderFault fault : {HeaderFault::name, HeaderFault::value, HeaderFault::reserved}) {
        ck_assert(std::string(describe(fault)) != describe(HeaderFault::none));
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(response_header) {
    tcase_add_test(tests, a_name_is_a_token);
    tcase_add_test(tests, a_value_has_no_control_characters);
    tcase_add_test(tests, what_the_server_sets_itself_is_reserved_in_any_case);
    tcase_add_test(tests, each_fault_has_a_sentence);
}
