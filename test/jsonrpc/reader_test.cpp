// SPDX-License-Identifier: Apache-2.0
#include "jsonrpc/probe.hpp"

namespace {

using websocket::jsonrpc::Reader;
using websocket::jsonrpc::ReadError;
using websocket::test::expect_text;
using RpcValue = websocket::jsonrpc::Value;

std::string read_error(const Reader& reader, std::string_view text) {
    try {
        static_cast<void>(reader.read(text));
    } catch (const ReadError& error) {
        return error.what();
    }
    return "";
}

}  // namespace

START_TEST(json_that_is_none_is_refused_with_a_reason) {
    const Reader reader({.size = 200, .depth = 3});
    const struct {
        std::string text;
        const char* reason;
    } cases[] = {
        {"", "empty"},
        {"{", "not JSON"},
        {"{\"a\":}", "not JSON"},
        {"[1,]", "not JSON"},
        {"{} {}", "not JSON"},
        {"nul", "not JSON"},
        {"'a'", "not JSON"},
        {"\"a", "does not end"},
        {"\"a\nb\"", "control character"},
        {"\"\\x\"", "escape"},
        {"\"\xff\"", "UTF-8"},
        {"\"\xed\xa0\x80\"", "UTF-8"},
        {"\xef\xbb\xbf{}", "not JSON"},
        {"\"\\ud800\"", "surrogate"},
        {"\"\\ud800\\u0041\"", "surrogate"},
        {"\"\\udc00\"", "surrogate"},
        {"{\"\\udc00\":1}", "surrogate"},
        {"01", "number"},
        {"1.", "number"},
        {"-", "number"},
        {"1e999", "number"},
        {"18446744073709551616", "number"},
        {"-9223372036854775809", "number"},
        {"1" + std::string(100, '0'), "number"},
        {"[[[[1]]]]", "more than 3 deep"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "member \"a\" twice"},
        {"[{\"a\":1,\"\\u0061\":3}]", "member \"a\" twice"},
        {"\"" + std::string(199, 'x') + "\"", "201 bytes; allowed are 200"},
    };
    for (const auto& [text, reason] : cases) {
        const std::string error = read_error(reader, text);
        ck_assert_msg(error.find(reason) != std::string::npos, "%s: %s", text.c_str(),
                      error.c_str());
    }
}
END_TEST

START_TEST(many_members_are_looked_through_for_doubles) {
    const Reader reader({.size = 1 << 20, .depth = 3});
    std::string text = "{";
    for (int i = 0; i < 1000; ++i) text += "\"" + std::to_string(i) + "\":0,";
    expect_text(read_error(reader, text + "\"x\":0}"), "");
    ck_assert(read_error(reader, text + "\"500\":0}").find("\"500\" twice") != std::string::npos);
}
END_TEST

START_TEST(json_survives_reading_and_writing) {
    const Reader reader({});
    for (const char* text :
         {"null", "true", "false", "0", "-1", "9223372036854775807", "-9223372036854775808",
          "18446744073709551615", "0.5", "1e+300", "\"\"", R"("a\"\\\b\f\n\r\t\u0001é😀")", "[]",
          "{}", R"([1,[2,{"a":{"b":[null]}}],"x"])", R"({"z":1,"a":2,"":3})"}) {
        expect_text(to_json(reader.read(text)), text);
    }
    expect_text(to_json(reader.read(" [ 1.0 , \"\\u00e9\\ud83d\\ude00\\/\" ] \n")), "[1,\"é😀/\"]");
    ck_assert(reader.read("\"\\u0000\"").text() == std::string(1, '\0'));
    expect_text(to_json(RpcValue(std::nan(""))), "null");
}
END_TEST

START_TEST(a_reader_serves_many_sizes_and_depths_one_after_the_other) {
    const Reader reader({.size = 1 << 20, .depth = 100});
    for (const std::size_t size : {1U, 100000U, 10U, 500000U, 70000U, 2U}) {
        const std::string text = "\"" + std::string(size, 'x') + "\"";
        ck_assert_uint_eq(reader.read(text).text().size(), size);
    }
    const std::string deep = std::string(100, '[') + "1" + std::string(100, ']');
    expect_text(to_json(reader.read(deep)), deep);
    ck_assert(!read_error(reader, "[" + deep + "]").empty());
}
END_TEST

START_TEST(integers_are_what_fits_their_type) {
    ck_assert(RpcValue(200).integer<std::int8_t>() == std::nullopt);
    ck_assert(RpcValue(-1).integer<std::uint8_t>() == std::nullopt);
    ck_assert(RpcValue(5.0).integer<int>() == 5);
    ck_assert(RpcValue(5.5).integer<int>() == std::nullopt);
    ck_assert(RpcValue(1e300).integer<std::int64_t>() == std::nullopt);
    ck_assert(RpcValue("5").integer<int>() == std::nullopt);
    ck_assert(RpcValue(UINT64_MAX).integer<std::uint64_t>() == UINT64_MAX);
    ck_assert(RpcValue(UINT64_MAX).integer<std::int64_t>() == std::nullopt);
}
END_TEST

WEBSOCKET_TEST_SUITE(jsonrpc_reader) {
    tcase_add_test(tests, json_that_is_none_is_refused_with_a_reason);
    tcase_add_test(tests, many_members_are_looked_through_for_doubles);
    tcase_add_test(tests, json_survives_reading_and_writing);
    tcase_add_test(tests, a_reader_serves_many_sizes_and_depths_one_after_the_other);
    tcase_add_test(tests, integers_are_what_fits_their_type);
}
