// SPDX-License-Identifier: Apache-2.0
// Close codes and numbers, in whatever type a plugin has them.
#include <climits>
#include <functional>
#include <limits>
#include <string>

#include <websocket/plugin.hpp>
#include <websocket/testing.hpp>

#include "unit.hpp"

namespace {

using websocket::CloseCode;
using websocket::Connection;
using websocket::Options;
using websocket::Result;
using websocket::testing::Host;

/// What on_message does in this test.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): a plugin gets no arguments
std::function<void(Connection)> on_message;

struct Closing {
    void on_message(Connection client, websocket::Message) { ::on_message(client); }
};
WEBSOCKET_PLUGIN(sdk_connection_init, Closing)

/// What the client was closed with, by `close(Connection)`.
template <class Close>
std::uint32_t closed_by(Close close) {
    ::on_message = [&](Connection client) { ck_assert(close(client) == Result::ok); };
    Host host(*sdk_connection_init());
    const auto client = host.connect();
    client->text("");
    ck_assert(host.offences().empty());
    return client->closed_with().value_or(0);
}

enum class Own : std::uint16_t { kicked = 4001 };
enum Plain { plain = 4002 };

/// An option with this value.
class Given {
public:
    explicit Given(std::string value) : value_(std::move(value)) {}
    [[nodiscard]] Options options() const { return {&option_, 1}; }

private:
    const std::string value_;
    const ws_option option_{"n", 1, value_.c_str(), value_.size()};
};

template <class T>
bool is_refused(const std::string& value, T least, T most) {
    try {
        static_cast<void>(Given(value).options().number<T>("n", 0, least, most));
    } catch (const websocket::OptionError&) {
        return true;
    }
    return false;
}

}  // namespace

START_TEST(a_client_is_closed_with_a_code_of_any_type) {
    ck_assert_uint_eq(closed_by([](Connection c) { return c.close(); }), 1000);
    ck_assert_uint_eq(closed_by([](Connection c) { return c.close(CloseCode::too_big); }), 1009);
    ck_assert_uint_eq(closed_by([](Connection c) { return c.close(CloseCode::bad_gateway); }),
                      1014);
    ck_assert_uint_eq(closed_by([](Connection c) { return c.close(1001, "bye"); }), 1001);
    ck_assert_uint_eq(closed_by([](Connection c) { return c.close(Own::kicked); }), 4001);
    ck_assert_uint_eq(closed_by([](Connection c) { return c.close(plain); }), 4002);
    ck_assert_uint_eq(closed_by([](Connection c) { return c.close(std::size_t{4999}); }), 4999);
    ck_assert_uint_eq(closed_by([](Connection c) { return c.close(0); }), 1005);
}
END_TEST

START_TEST(a_code_that_is_none_is_not_cut_to_one_that_is) {
    ::on_message = [](Connection c) {
        ck_assert(c.close(65536 + 1000) == Result::bad_argument);
        ck_assert(c.close(-1) == Result::bad_argument);
        ck_assert(c.close(std::numeric_limits<std::uint64_t>::max()) == Result::bad_argument);
        ck_assert(c.close(std::int64_t{1} << 32 | 1000) == Result::bad_argument);
    };
    Host host(*sdk_connection_init());
    const auto client = host.connect();
    client->text("");
    ck_assert(client->open() && host.offences().empty());
}
END_TEST

START_TEST(the_end_of_a_connection_is_compared_by_name) {
    const websocket::Close close{1001, "", true, true};
    ck_assert(close.is(CloseCode::going_away) && !close.is(CloseCode::normal));
}
END_TEST

START_TEST(a_number_has_the_type_that_is_wanted) {
    ck_assert(Given("50").options().number<std::size_t>("n", 0, 0, 1000) == 50);
    ck_assert(Given("50").options().number<std::uint8_t>("n", 0, 0, 255) == 50);
    ck_assert(Given("-5").options().number<short>("n", 0, -5, 5) == -5);
    ck_assert(Given("-9223372036854775808").options().number("n", 0, INT64_MIN, 0) == INT64_MIN);
    ck_assert(
        Given("18446744073709551615").options().number<std::uint64_t>("n", 0, 0, UINT64_MAX) ==
        UINT64_MAX);
    ck_assert(Given("").options().number<unsigned>("none", 7, 0, 1) == 7);
}
END_TEST

START_TEST(a_number_that_does_not_fit_is_refused) {
    ck_assert(is_refused<std::uint8_t>("256", 0, 255));
    ck_assert(is_refused<std::size_t>("-1", 0, SIZE_MAX));
    ck_assert(is_refused<int>("2147483648", INT_MIN, INT_MAX));
    ck_assert(is_refused<int>("11", 0, 10));
    ck_assert(is_refused<unsigned>("4", 5, 10));
    for (const char* none : {"", " 5", "5 ", "+5", "0x5", "5.0", "five"}) {
        ck_assert(is_refused<int>(none, 0, 10));
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(sdk_connection) {
    tcase_add_test(tests, a_client_is_closed_with_a_code_of_any_type);
    tcase_add_test(tests, a_code_that_is_none_is_not_cut_to_one_that_is);
    tcase_add_test(tests, the_end_of_a_connection_is_compared_by_name);
    tcase_add_test(tests, a_number_has_the_type_that_is_wanted);
    tcase_add_test(tests, a_number_that_does_not_fit_is_refused);
}
