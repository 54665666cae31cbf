// SPDX-License-Identifier: Apache-2.0
#include "protocol/handshake.hpp"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "failing_allocator.hpp"
#include "protocol/random.hpp"
#include "unit.hpp"

namespace {

using namespace websocket::protocol;

using Tokens = std::vector<std::string_view>;

constexpr std::string_view kTokenChars =
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

bool is_list_of(std::string_view list, const Tokens& expected) {
    const auto tokens = parse_token_list(list);
    return tokens.has_value() && *tokens == expected;
}

}  // namespace

START_TEST(answers_the_keys_of_the_rfc_and_of_the_old_module) {
    ck_assert(accept_value("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ck_assert(accept_value("36zg57EA+cDLixMBxrDj4g==") == "eGic2At3BJQkGyA4Dq+3nczxEJo=");
}
END_TEST

START_TEST(answers_a_key_of_any_length) {
    ck_assert(accept_value("") == "Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=");
    for (const std::size_t size : {1U, 12U, 63U, 64U, 65U, 8000U}) {
        const std::string accept = accept_value(std::string(size, 'k'));
        ck_assert_uint_eq(accept.size(), 28);
        ck_assert(accept.ends_with('='));
        ck_assert(accept != accept_value(std::string(size + 1, 'k')));
    }
}
END_TEST

START_TEST(base64_is_that_of_rfc_4648) {
    using Pair = std::pair<std::string_view, std::string_view>;
    for (const auto& [plain, encoded] :
         {Pair{"", ""}, Pair{"f", "Zg=="}, Pair{"fo", "Zm8="}, Pair{"foo", "Zm9v"},
          Pair{"foob", "Zm9vYg=="}, Pair{"fooba", "Zm9vYmE="}, Pair{"foobar", "Zm9vYmFy"},
          Pair{"\xFB\xFF\xFE", "+//+"}}) {
        const std::string text = base64(websocket::test::bytes(plain));
        ck_assert_msg(text == encoded, "%s", text.c_str());
    }
}
END_TEST

START_TEST(running_out_of_memory_throws_and_leaks_nothing) {
    const auto ignore = [](bool) {};
    ck_assert_uint_ge(
        websocket::test::fail_each_allocation(
            [] { static_cast<void>(accept_value("36zg57EA+cDLixMBxrDj4g==")); }, ignore),
        1);
    ck_assert_uint_ge(websocket::test::fail_each_allocation(
                          [] { static_cast<void>(parse_token_list("a, b, c, d, e")); }, ignore),
                      3);
}
END_TEST

START_TEST(a_strict_key_is_the_base64_of_16_bytes) {
    websocket::test::Random random(12);
    for (int i = 0; i < 1000; ++i) {
        const std::string key = base64(websocket::test::bytes(random.bytes(16)));
        ck_assert_msg(is_strict_key(key), "%s", key.c_str());
        ck_assert(is_lenient_key(key));
    }
    for (std::size_t bytes = 0; bytes < 40; ++bytes) {
        const std::string key = base64(websocket::test::bytes(random.bytes(bytes)));
        ck_assert_msg(is_strict_key(key) == (bytes == 16), "%zu: %s", bytes, key.c_str());
    }
}
END_TEST

START_TEST(a_lenient_key_is_the_base64_of_one_or_more_bytes) {
    websocket::test::Random random(13);
    ck_assert(!is_lenient_key(""));
    for (std::size_t bytes = 1; bytes < 70; ++bytes) {
        ck_assert(is_lenient_key(base64(websocket::test::bytes(random.bytes(bytes)))));
    }
}
END_TEST

START_TEST(refuses_the_bad_keys_of_the_old_suite) {
    for (const std::string_view key :
         {"", "=", "==", "====", "36zg57EA+cDLixMBxrDj4g=", "36zg57EA+cDLixMBxrDj4g",
          "36zg57EA+cDLixMBxrDj4g===", "36zg57EA+cDLixMBxrDj4gAA", "36zg57EA+cDLixMBxrDj4h==",
          "36zg57EA+cDLixMBxrDj4gA=", "36zg57EA+cDLixMBxrDj=g==", "36zg57EA+cDLixMBxrDj4g==36zg",
          "^6zg57EA+cDLixMBxrDj4g==", "36zg57EA+cDLixMBxrDj4-==", "36zg57EA_cDLixMBxrDj4g==",
          " 36zg57EA+cDLixMBxrDj4g==", "36zg57EA+cDLixMBxrDj4g== ", "36zg57EA cDLixMBxrDj4g==",
          "36zg57EA\xC3\xA9"
          "DLixMBxrDj4g=="}) {
        ck_assert_msg(!is_strict_key(key), "%s", std::string(key).c_str());
    }
}
END_TEST

START_TEST(only_four_last_characters_end_16_bytes) {
    std::string key = "36zg57EA+cDLixMBxrDj4?==";
    for (unsigned byte = 0; byte < 256; ++byte) {
        key[21] = static_cast<char>(byte);
        const bool expected = byte == 'A' || byte == 'Q' || byte == 'g' || byte == 'w';
        ck_assert_msg(is_strict_key(key) == expected, "%02x", byte);
    }
}
END_TEST

START_TEST(a_lenient_key_is_still_base64) {
    for (const std::string_view key : {"A", "AB", "ABC", "A===", "AB=C", "AB==AB==", "====", "=AAA",
                                       "AB=", "ABCD=", "ABC?", "AB C", "ABC\n", "ABCDE"}) {
        ck_assert_msg(!is_lenient_key(key), "%s", std::string(key).c_str());
    }
    for (const std::string_view key : {"AA==", "AAA=", "AAAA", "AAAAAAAAAAA="}) {
        ck_assert(is_lenient_key(key) && !is_strict_key(key));
    }
    const std::string with_nul("AB\0=", 4);
    ck_assert(!is_lenient_key(with_nul));
}
END_TEST

START_TEST(reads_versions_from_0_to_255_in_their_only_spelling) {
    for (unsigned version = 0; version < 1000; ++version) {
        const auto parsed = parse_version(std::to_string(version));
        ck_assert(parsed.has_value() == (version <= 255));
        ck_assert_uint_eq(parsed.value_or(version), version);
    }
    for (const std::string_view text :
         {"", "abcdef", "+13", "-1", "13sdfj", "1300", "013", "00", "000", "256", "8_", " 13",
          "13 ", "1 3", "13,8", "0x8", "1e1", "99999999999999999999"}) {
        ck_assert_msg(!parse_version(text), "%s", std::string(text).c_str());
    }
}
END_TEST

START_TEST(speaks_13_8_and_7_and_lists_just_these) {
    for (unsigned version = 0; version < 256; ++version) {
        const bool expected = version == 13 || version == 8 || version == 7;
        ck_assert(is_supported_version(version) == expected);
        ck_assert(list_has_token(kSupportedVersions, std::to_string(version)) == expected);
    }
}
END_TEST

START_TEST(finds_a_token_wherever_it_stands_in_the_list) {
    for (const std::string_view list :
         {"Upgrade", "upgrade", "UPGRADE", " Upgrade", "Upgrade\t", "\t Upgrade \t",
          "Upgrade, close", "close, Upgrade,", "close,Upgrade", ",,Upgrade", "keep-alive , upgrade",
          "close, Upgrade;q=1", "Upgrade ; a=b"}) {
        ck_assert_msg(list_has_token(list, "Upgrade"), "%s", std::string(list).c_str());
    }
    for (const std::string_view list :
         {"", ",", " ", "Upgraded", "Up", "Up grade", "close", "Upgrade-Insecure", "x;Upgrade",
          "Upgrade Upgrade", "\"Upgrade\"", "close;a=Upgrade", "Upgrad\xE9"}) {
        ck_assert_msg(!list_has_token(list, "Upgrade"), "%s", std::string(list).c_str());
    }
}
END_TEST

START_TEST(ignoring_case_is_for_letters_only) {
    ck_assert(!list_has_token("[", "{"));
    ck_assert(!list_has_token("@", "`"));
    ck_assert(!list_has_token("\xC0", "\xE0"));
}
END_TEST

START_TEST(reads_the_offered_subprotocols_in_their_order) {
    ck_assert(is_list_of("chat", {"chat"}));
    ck_assert(is_list_of("a,b,c", {"a", "b", "c"}));
    ck_assert(is_list_of(" a ,\tb\t, c", {"a", "b", "c"}));
    ck_assert(is_list_of(",a,,b, ,", {"a", "b"}));
    ck_assert(is_list_of("a, a, A", {"a", "a", "A"}));
    ck_assert(is_list_of(kTokenChars, {kTokenChars}));
    ck_assert(is_list_of("dumb-increment-protocol, echo", {"dumb-increment-protocol", "echo"}));
}
END_TEST

START_TEST(refuses_a_list_without_a_token_or_with_something_else) {
    for (const std::string_view list : {"",
                                        " ",
                                        "\t",
                                        ",",
                                        ",,",
                                        " , ",
                                        "bad token",
                                        "\"quoted\"",
                                        "a/b",
                                        "a\\b",
                                        "{a}",
                                        "a;b",
                                        "a\x05",
                                        "a\tb",
                                        "good, bad token",
                                        "bad token, good",
                                        "a=b",
                                        "(a)",
                                        "a@b",
                                        "a:b",
                                        "[a]",
                                        "<a>",
                                        "a?",
                                        "\xC3\xA9",
                                        "a\x7F",
                                        "a\r\n"}) {
        ck_assert_msg(!parse_token_list(list), "%s", std::string(list).c_str());
    }
}
END_TEST

START_TEST(exactly_the_characters_of_rfc_9110_make_a_token) {
    for (unsigned byte = 0; byte < 256; ++byte) {
        const std::string list = std::string("a") + static_cast<char>(byte) + "b";
        const bool separates = byte == ',';
        const bool expected =
            separates || kTokenChars.find(static_cast<char>(byte)) != std::string_view::npos;
        ck_assert_msg(parse_token_list(list).has_value() == expected, "%02x", byte);
    }
}
END_TEST

START_TEST(the_tokens_point_into_the_list) {
    const std::string list = "first, second";
    const auto tokens = parse_token_list(list);
    ck_assert(tokens.has_value());
    ck_assert_ptr_eq(tokens->at(0).data(), list.data());
    ck_assert_ptr_eq(tokens->at(1).data(), list.data() + 7);
}
END_TEST

WEBSOCKET_TEST_SUITE(handshake) {
    tcase_add_test(tests, answers_the_keys_of_the_rfc_and_of_the_old_module);
    tcase_add_test(tests, answers_a_key_of_any_length);
    tcase_add_test(tests, base64_is_that_of_rfc_4648);
    tcase_add_test(tests, running_out_of_memory_throws_and_leaks_nothing);
    tcase_add_test(tests, a_strict_key_is_the_base64_of_16_bytes);
    tcase_add_test(tests, a_lenient_key_is_the_base64_of_one_or_more_bytes);
    tcase_add_test(tests, refuses_the_bad_keys_of_the_old_suite);
    tcase_add_test(tests, only_four_last_characters_end_16_bytes);
    tcase_add_test(tests, a_lenient_key_is_still_base64);
    tcase_add_test(tests, reads_versions_from_0_to_255_in_their_only_spelling);
    tcase_add_test(tests, speaks_13_8_and_7_and_lists_just_these);
    tcase_add_test(tests, finds_a_token_wherever_it_stands_in_the_list);
    tcase_add_test(tests, ignoring_case_is_for_letters_only);
    tcase_add_test(tests, reads_the_offered_subprotocols_in_their_order);
    tcase_add_test(tests, refuses_a_list_without_a_token_or_with_something_else);
    tcase_add_test(tests, exactly_the_characters_of_rfc_9110_make_a_token);
    tcase_add_test(tests, the_tokens_point_into_the_list);
}
