// SPDX-License-Identifier: Apache-2.0
#include "protocol/extension_list.hpp"

#include <string>

#include "protocol/random.hpp"
#include "protocol/require.hpp"
#include "unit.hpp"

using namespace websocket::test;
using namespace websocket::protocol;

namespace {

/// One line for what was parsed: "a;b=1,c".
std::string parsed(std::string_view text) {
    std::string line;
    for (const Extension& extension : parse_extension_list(text)) {
        line += (line.empty() ? "" : ",") + extension.name;
        for (const ExtensionParameter& parameter : extension.parameters) {
            line += ';' + parameter.name;
            if (parameter.value) line += '=' + *parameter.value;
        }
    }
    return line;
}

void assert_parsed(std::string_view text, std::string_view expected) {
    const std::string got = parsed(text);
    ck_assert_msg(got == expected, "\"%s\" gave %s", std::string(text).c_str(), got.c_str());
}

}  // namespace

START_TEST(reads_extensions_and_parameters_in_their_order) {
    assert_parsed("permessage-deflate", "permessage-deflate");
    assert_parsed("a, b ,c", "a,b,c");
    assert_parsed("a; x; y=1; z=\"2\", b", "a;x;y=1;z=2,b");
    assert_parsed("a;x=1;x=2", "a;x=1;x=2");
    assert_parsed("permessage-deflate; client_max_window_bits",
                  "permessage-deflate;client_max_window_bits");
}
END_TEST

START_TEST(skips_white_space_and_empty_elements) {
    assert_parsed("", "");
    assert_parsed(" \t", "");
    assert_parsed(", ,", "");
    assert_parsed(" a ;\tx = 1 , , b ", "a;x=1,b");
}
END_TEST

START_TEST(unescapes_quoted_values_which_have_to_be_tokens) {
    assert_parsed("a; x=\"1\\0\"", "a;x=10");
    assert_parsed("a; x=\"\\1\\0\"", "a;x=10");
    for (const char* text : {"a; x=\"1 0\"", "a; x=\"\"", "a; x=\"1", "a; x=\"1\\", "a; x=\"1,2\"",
                             "a; x=\"\\\"\"", "a; x=\"1\"2"}) {
        assert_parsed(text, "");
    }
}
END_TEST

START_TEST(passes_over_what_does_not_follow_the_grammar) {
    for (const char* text : {"a b", "a;", "a; ;x", "a; x=", "a; =1", "=", ";", "a; x=1 2", "a/b",
                             "a; x==1", "a\"b\"", "\x80", "a; x=\xFF"}) {
        assert_parsed(text, "");
        assert_parsed(std::string("x,") + text + ", y; z=1", "x,y;z=1");
    }
}
END_TEST

START_TEST(a_comma_between_quotes_ends_nothing) {
    assert_parsed("a; x=\"1, b; y=\\\", c\", d", "d");
    assert_parsed("a; x=\"1, b", "");
    assert_parsed("a; x=\"1\\", "");
    assert_parsed("a; x=\"1 2\", permessage-deflate", "permessage-deflate");
    assert_parsed("permessage-deflate;", "");
}
END_TEST

START_TEST(takes_any_bytes_without_harm) {
    Random random(7692);
    constexpr std::string_view kUsual = "ab;,=\" \t\\1";
    for (int i = 0; i < 100'000; ++i) {
        std::string text;
        for (std::size_t size = random.below(24); size > 0; --size) {
            text += random.one_in(20) ? static_cast<char>(random.below(256))
                                      : kUsual[random.below(kUsual.size())];
        }
        const std::string once = parsed(text);
        // What was read, written again, reads the same.
        require(parsed(once) == once, text);
    }
}
END_TEST

START_TEST(what_a_server_accepts_has_to_follow_the_grammar) {
    const auto accepted = parse_accepted_extensions("a; b=\"1\", , c");
    ck_assert(accepted.has_value() && accepted->size() == 2);
    ck_assert(accepted->front().parameters.at(0).value == "1");
    for (const char* text : {"", " , ", "a;", "a b", "a, ;", "a; b=\"1", "=", "a, b; c=\"1 2\""}) {
        ck_assert_msg(!parse_accepted_extensions(text), "%s", text);
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(extension_list) {
    tcase_add_test(tests, reads_extensions_and_parameters_in_their_order);
    tcase_add_test(tests, skips_white_space_and_empty_elements);
    tcase_add_test(tests, unescapes_quoted_values_which_have_to_be_tokens);
    tcase_add_test(tests, passes_over_what_does_not_follow_the_grammar);
    tcase_add_test(tests, a_comma_between_quotes_ends_nothing);
    tcase_add_test(tests, takes_any_bytes_without_harm);
    tcase_add_test(tests, what_a_server_accepts_has_to_follow_the_grammar);
}
