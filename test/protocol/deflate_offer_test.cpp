// SPDX-License-Identifier: Apache-2.0
#include "protocol/deflate_offer.hpp"

#include <string>

#include "unit.hpp"

using namespace websocket::protocol;

namespace {

constexpr DeflatePolicy kShared{.enabled = true};
constexpr DeflatePolicy kDedicated{
    .enabled = true, .server_takeover = true, .client_takeover = true};

DeflateAgreement agree(std::string_view offers, const DeflatePolicy& policy) {
    return agree_on_deflate(parse_extension_list(offers), policy);
}

void assert_answer(std::string_view offers, const DeflatePolicy& policy,
                   std::string_view expected) {
    const DeflateAgreement agreement = agree(offers, policy);
    ck_assert_msg(agreement.response == expected, "\"%s\" was answered with \"%s\", not \"%s\"",
                  std::string(offers).c_str(), agreement.response.c_str(),
                  std::string(expected).c_str());
    ck_assert_int_eq(agreement.settings.agreed(), !expected.empty());
}

}  // namespace

START_TEST(agrees_on_nothing_when_it_is_off_or_not_offered) {
    assert_answer("permessage-deflate", {}, "");
    assert_answer("", kDedicated, "");
    assert_answer("permessage-bzip2, x-webkit-deflate-frame, deflate-frame", kDedicated, "");
    ck_assert(describe({}) == "none");
}
END_TEST

START_TEST(what_is_malformed_is_declined_and_the_next_offer_counts) {
    for (const char* offer : {"permessage-deflate;", "permessage-deflate; =", "permessage deflate",
                              "permessage-deflate; server_max_window_bits=\"1 0\""}) {
        assert_answer(offer, kDedicated, "");
        assert_answer(std::string(offer) + ", permessage-deflate", kDedicated,
                      "permessage-deflate");
    }
    assert_answer("other; note=\"a, b\", permessage-deflate", kDedicated, "permessage-deflate");
}
END_TEST

START_TEST(a_bare_offer_gets_what_the_policy_says) {
    assert_answer("permessage-deflate", kDedicated, "permessage-deflate");
    assert_answer("permessage-deflate", kShared,
                  "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    const DeflatePolicy server_only{.enabled = true, .server_takeover = true};
    assert_answer("permessage-deflate", server_only,
                  "permessage-deflate; client_no_context_takeover");
    assert_answer("Permessage-Deflate", kDedicated, "permessage-deflate");
}
END_TEST

START_TEST(no_context_takeover_is_granted_whenever_it_is_offered) {
    assert_answer("permessage-deflate; server_no_context_takeover", kDedicated,
                  "permessage-deflate; server_no_context_takeover");
    assert_answer("permessage-deflate; client_no_context_takeover", kDedicated,
                  "permessage-deflate; client_no_context_takeover");
    const DeflateAgreement both = agree(
        "permessage-deflate; client_no_context_takeover; server_no_context_takeover", kDedicated);
    ck_assert(!both.settings.server_takeover && !both.settings.client_takeover);
}
END_TEST

START_TEST(the_servers_window_is_at_most_what_the_offer_wants) {
    for (unsigned bits = 9; bits <= 15; ++bits) {
        const std::string text = "; server_max_window_bits=" + std::to_string(bits);
        assert_answer("permessage-deflate" + text, kDedicated, "permessage-deflate" + text);
        DeflatePolicy policy = kDedicated;
        policy.server_bits = 11;
        const unsigned expected = bits < 11 ? bits : 11;
        const DeflateAgreement agreement = agree("permessage-deflate" + text, policy);
        ck_assert_uint_eq(agreement.settings.server_bits, expected);
        ck_assert(agreement.response ==
                  "permessage-deflate; server_max_window_bits=" + std::to_string(expected));
    }
    DeflatePolicy small = kDedicated;
    small.server_bits = 10;
    assert_answer("permessage-deflate", small, "permessage-deflate");
    ck_assert_uint_eq(agree("permessage-deflate", small).settings.server_bits, 10);
}
END_TEST

START_TEST(an_offer_of_a_window_that_zlib_cannot_do_is_passed_over) {
    assert_answer("permessage-deflate; server_max_window_bits=8", kDedicated, "");
    assert_answer("permessage-deflate; server_max_window_bits=8, permessage-deflate", kDedicated,
                  "permessage-deflate");
}
END_TEST

START_TEST(the_clients_window_is_restricted_only_where_the_client_said_it_can_be) {
    DeflatePolicy small = kDedicated;
    small.client_bits = 11;
    assert_answer("permessage-deflate", small, "permessage-deflate");
    ck_assert_uint_eq(agree("permessage-deflate", small).settings.client_bits, 15);
    assert_answer("permessage-deflate; client_max_window_bits", small,
                  "permessage-deflate; client_max_window_bits=11");
    assert_answer("permessage-deflate; client_max_window_bits=9", small,
                  "permessage-deflate; client_max_window_bits=9");
    assert_answer("permessage-deflate; client_max_window_bits=12", small,
                  "permessage-deflate; client_max_window_bits=11");
    assert_answer("permessage-deflate; client_max_window_bits", kDedicated, "permessage-deflate");
    assert_answer("permessage-deflate; client_max_window_bits=15", kDedicated,
                  "permessage-deflate");
    assert_answer("permessage-deflate; client_max_window_bits=8", kDedicated,
                  "permessage-deflate; client_max_window_bits=8");
}
END_TEST

START_TEST(values_may_be_quoted) {
    assert_answer("permessage-deflate; server_max_window_bits=\"10\"; "
                  "client_max_window_bits=\"9\"",
                  kDedicated,
                  "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9");
}
END_TEST

START_TEST(an_invalid_offer_is_passed_over) {
    for (const char* parameters :
         {"server_no_context_takeover=1",
          "client_no_context_takeover=x",
          "server_no_context_takeover; server_no_context_takeover",
          "client_no_context_takeover; Client_No_Context_Takeover",
          "server_max_window_bits",
          "server_max_window_bits=7",
          "server_max_window_bits=16",
          "server_max_window_bits=09",
          "server_max_window_bits=+9",
          "server_max_window_bits=1O",
          "server_max_window_bits=9x",
          "server_max_window_bits=4294967306",
          "server_max_window_bits=10; server_max_window_bits=10",
          "client_max_window_bits=7",
          "client_max_window_bits=16",
          "client_max_window_bits=010",
          "client_max_window_bits; client_max_window_bits=10",
          "mystery",
          "mystery=1",
          "level=9",
          "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
          "client_max_window_bits; mystery"}) {
        const std::string offer = "permessage-deflate; " + std::string(parameters);
        assert_answer(offer, kDedicated, "");
        // The next one counts.
        assert_answer(offer + ", other, permessage-deflate; server_max_window_bits=12", kDedicated,
                      "permessage-deflate; server_max_window_bits=12");
    }
}
END_TEST

START_TEST(the_first_valid_offer_wins) {
    assert_answer("permessage-deflate; server_max_window_bits=10, permessage-deflate", kDedicated,
                  "permessage-deflate; server_max_window_bits=10");
    assert_answer("x; y=1, permessage-deflate; client_no_context_takeover, permessage-deflate",
                  kDedicated, "permessage-deflate; client_no_context_takeover");
}
END_TEST

START_TEST(the_servers_own_choices_go_along) {
    const DeflatePolicy policy{.enabled = true, .level = 7, .memory_level = 4, .min_size = 600};
    const DeflateSettings settings = agree("permessage-deflate", policy).settings;
    ck_assert_uint_eq(settings.level, 7);
    ck_assert_uint_eq(settings.memory_level, 4);
    ck_assert_uint_eq(settings.min_size, 600);
    ck_assert(!settings.applies_to(Opcode::text, 599));
    ck_assert(settings.applies_to(Opcode::text, 600));
    ck_assert(settings.applies_to(Opcode::binary, 600));
    ck_assert(!settings.applies_to(Opcode::ping, 600));
    ck_assert(!DeflateSettings{}.applies_to(Opcode::text, 600));
    const DeflateSettings all = agree("permessage-deflate", kShared).settings;
    ck_assert(!all.applies_to(Opcode::text, 0));
}
END_TEST

START_TEST(describes_an_agreement_with_both_windows) {
    DeflatePolicy policy = kDedicated;
    policy.server_bits = 12;
    ck_assert(describe(agree("permessage-deflate", policy).settings) ==
              "permessage-deflate; server_max_window_bits=12; client_max_window_bits=15");
    ck_assert(describe(agree("permessage-deflate", kShared).settings) ==
              "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
              "server_max_window_bits=15; client_max_window_bits=15");
}
END_TEST

START_TEST(knows_the_safaris_that_break_their_agreement) {
    for (const char* agent :
         {"Mozilla/5.0 (Macintosh; Intel Mac OS X 12_2) AppleWebKit/605.1.15 (KHTML, like Gecko) "
          "Version/15.0 Safari/605.1.15",
          "Mozilla/5.0 (Macintosh; Intel Mac OS X 12_2) AppleWebKit/605.1.15 (KHTML, like Gecko) "
          "Version/15.3 Safari/605.1.15",
          "Mozilla/5.0 (iPhone; CPU iPhone OS 15_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, "
          "like Gecko) Version/15.1 Mobile/15E148 Safari/604.1",
          "Mozilla/5.0 (iPhone; CPU iPhone OS 15_3_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, "
          "like Gecko) CriOS/98.0.4758.85 Mobile/15E148 Safari/604.1",
          "Mozilla/5.0 (iPad; CPU OS 15_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
          "Mobile/15E148"}) {
        ck_assert_msg(has_broken_deflate(agent), "%s", agent);
    }
    for (const char* agent :
         {"", "curl/7.88", " Version/15.", " Version/15.1",
          "Mozilla/5.0 (Macintosh; Intel Mac OS X 12_2) AppleWebKit/605.1.15 (KHTML, like Gecko) "
          "Version/15.4 Safari/605.1.15",
          "Mozilla/5.0 (Macintosh; Intel Mac OS X 12_2) AppleWebKit/605.1.15 (KHTML, like Gecko) "
          "Version/15.10 Safari/605.1.15",
          "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like "
          "Gecko) Version/14.1.2 Safari/605.1.15",
          "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
          "Chrome/96.0.4664.110 Safari/537.36",
          "Mozilla/5.0 (iPhone; CPU iPhone OS 15_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, "
          "like Gecko) Version/15.4 Mobile/15E148 Safari/604.1"}) {
        ck_assert_msg(!has_broken_deflate(agent), "%s", agent);
    }
}
END_TEST

START_TEST(a_client_offers_what_its_policy_says) {
    ck_assert(offer_deflate(kDedicated) == "permessage-deflate; client_max_window_bits");
    ck_assert(offer_deflate(kShared) ==
              "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
              "client_max_window_bits");
    DeflatePolicy small = kDedicated;
    small.server_bits = 10;
    small.client_bits = 11;
    ck_assert(offer_deflate(small) ==
              "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11");
}
END_TEST

START_TEST(a_client_takes_what_the_server_may_answer) {
    const auto settings = [](std::string_view answer, const DeflatePolicy& policy = kDedicated) {
        const DeflateAnswer checked = check_deflate(parse_extension_list(answer).at(0), policy);
        ck_assert_msg(checked.fault == nullptr, "%s", checked.fault);
        return describe(checked.settings);
    };
    ck_assert(settings("permessage-deflate") ==
              "permessage-deflate; server_max_window_bits=15; client_max_window_bits=15");
    ck_assert(
        settings("Permessage-Deflate; server_max_window_bits=8; client_max_window_bits=\"9\"") ==
        "permessage-deflate; server_max_window_bits=8; client_max_window_bits=9");
    // What the server may ask for without an offer of it.
    ck_assert(settings("permessage-deflate; server_no_context_takeover; "
                       "client_no_context_takeover") ==
              "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
              "server_max_window_bits=15; client_max_window_bits=15");
    // A client that said that it does without context does, whatever the answer.
    ck_assert(settings("permessage-deflate; server_no_context_takeover", kShared) ==
              "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
              "server_max_window_bits=15; client_max_window_bits=15");
}
END_TEST

START_TEST(a_client_refuses_an_answer_that_its_offer_does_not_allow) {
    const auto assert_fault = [](std::string_view answer, const DeflatePolicy& policy,
                                 std::string_view fault) {
        const DeflateAnswer checked = check_deflate(parse_extension_list(answer).at(0), policy);
        ck_assert_msg(checked.fault != nullptr && checked.fault == fault, "%s: %s",
                      std::string(answer).c_str(), checked.fault);
        ck_assert(!checked.settings.agreed());
    };
    DeflatePolicy small = kDedicated;
    small.server_bits = 10;
    for (const char* parameter :
         {"x", "server_max_window_bits", "server_max_window_bits=16", "server_max_window_bits=08",
          "client_max_window_bits=7", "server_no_context_takeover=1",
          "client_no_context_takeover; client_no_context_takeover"}) {
        assert_fault(std::string("permessage-deflate; ") + parameter, kDedicated,
                     "a parameter is unknown, invalid or there twice");
    }
    assert_fault("permessage-deflate; client_max_window_bits", kDedicated,
                 "client_max_window_bits has no value");
    assert_fault("permessage-deflate; client_max_window_bits=8", kDedicated,
                 "client_max_window_bits=8 is a window that zlib cannot compress with");
    assert_fault("permessage-deflate", kShared,
                 "server_no_context_takeover was asked for and is missing");
    for (const char* answer :
         {"permessage-deflate", "permessage-deflate; server_max_window_bits=11"}) {
        assert_fault(answer, small, "server_max_window_bits is larger than what was asked for");
    }
}
END_TEST

START_TEST(both_ends_know_the_same_of_what_they_agreed_on) {
    for (unsigned bits = 0; bits < 16; ++bits) {
        for (std::uint8_t window = 9; window <= 15; ++window) {
            DeflatePolicy client = kDedicated;
            client.client_takeover = (bits & 1) != 0;
            client.server_takeover = (bits & 2) != 0;
            client.server_bits = window;
            client.client_bits = static_cast<std::uint8_t>(24 - window);
            DeflatePolicy server = kDedicated;
            server.client_takeover = (bits & 4) != 0;
            server.server_takeover = (bits & 8) != 0;
            server.server_bits = 12;
            server.client_bits = 12;
            const DeflateAgreement agreement = agree(offer_deflate(client), server);
            ck_assert(agreement.settings.agreed());
            DeflateSettings expected = agreement.settings;
            // The server says what window it uses only to a client that asked.
            if (window == 15) expected.server_bits = 15;
            const DeflateAnswer answer =
                check_deflate(parse_extension_list(agreement.response).at(0), client);
            ck_assert_msg(answer.fault == nullptr && answer.settings == expected, "%s: %s, %s",
                          agreement.response.c_str(), describe(agreement.settings).c_str(),
                          describe(answer.settings).c_str());
        }
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(deflate_offer) {
    tcase_add_test(tests, agrees_on_nothing_when_it_is_off_or_not_offered);
    tcase_add_test(tests, what_is_malformed_is_declined_and_the_next_offer_counts);
    tcase_add_test(tests, a_bare_offer_gets_what_the_policy_says);
    tcase_add_test(tests, no_context_takeover_is_granted_whenever_it_is_offered);
    tcase_add_test(tests, the_servers_window_is_at_most_what_the_offer_wants);
    tcase_add_test(tests, an_offer_of_a_window_that_zlib_cannot_do_is_passed_over);
    tcase_add_test(tests, the_clients_window_is_restricted_only_where_the_client_said_it_can_be);
    tcase_add_test(tests, values_may_be_quoted);
    tcase_add_test(tests, an_invalid_offer_is_passed_over);
    tcase_add_test(tests, the_first_valid_offer_wins);
    tcase_add_test(tests, the_servers_own_choices_go_along);
    tcase_add_test(tests, describes_an_agreement_with_both_windows);
    tcase_add_test(tests, knows_the_safaris_that_break_their_agreement);
    tcase_add_test(tests, a_client_offers_what_its_policy_says);
    tcase_add_test(tests, a_client_takes_what_the_server_may_answer);
    tcase_add_test(tests, a_client_refuses_an_answer_that_its_offer_does_not_allow);
    tcase_add_test(tests, both_ends_know_the_same_of_what_they_agreed_on);
}
