// SPDX-License-Identifier: Apache-2.0
#include "protocol/event_encoder.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/event_source.hpp"
#include "protocol/random.hpp"
#include "protocol/require.hpp"
#include "unit.hpp"

using namespace websocket::test;
using namespace websocket::protocol;
using namespace std::string_view_literals;

namespace {

std::string encode(EventEncoder& encoder, const EventPart& part) {
    std::string text(encoder.size(part), '?');
    auto* begin = reinterpret_cast<std::uint8_t*>(text.data());
    require(encoder.write(part, begin) == begin + text.size(), text);
    return text;
}

std::string encode(MessageType type, std::string_view message, std::string_view fields = {}) {
    EventEncoder encoder;
    return encode(encoder, {type, true, true, bytes(message), fields});
}

/// In as many parts as chance wants.
std::string encode_in_parts(Random& random, MessageType type, std::string_view message,
                            std::string_view fields = {}) {
    EventEncoder encoder;
    std::string text;
    bool first = true;
    bool last = false;
    while (!last) {
        const std::size_t size = random.below(message.size() + 1);
        last = size == message.size() && random.one_in(2);
        text += encode(encoder, {type, first, last, bytes(message.substr(0, size)),
                                 first ? fields : std::string_view()});
        message.remove_prefix(size);
        first = false;
    }
    return text;
}

StreamEvent only(std::string_view stream) {
    const EventSource source(stream);
    ck_assert_uint_eq(source.events.size(), 1);
    ck_assert_uint_eq(source.unfinished.size(), 0);
    return source.events.front();
}

std::string unbase64(std::string_view text) {
    constexpr auto kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"sv;
    std::string result;
    require(text.size() % 4 == 0, text);
    for (std::size_t i = 0; i < text.size(); i += 4) {
        std::uint32_t bits = 0;
        std::size_t padding = 0;
        for (std::size_t j = i; j < i + 4; ++j) {
            const std::size_t value = kAlphabet.find(text[j]);
            padding += text[j] == '=' ? 1 : 0;
            require(value != std::string_view::npos || text[j] == '=', text);
            bits = bits << 6 | (text[j] == '=' ? 0U : static_cast<std::uint32_t>(value));
        }
        for (std::size_t j = 0; j < 3 - padding; ++j) {
            result += static_cast<char>(bits >> (16 - 8 * j) & 0xFF);
        }
    }
    return result;
}

std::string random_lines(Random& random) {
    constexpr auto kPieces =
        std::to_array<std::string_view>({"\n", "\r", "\r\n", "\n\n", ":", " ", "data: ", "id: 1",
                                         "event: x", "retry: 1", "a", "ü"});
    std::string text;
    for (std::size_t left = random.below(12); left > 0; --left) {
        text += kPieces.at(random.below(kPieces.size()));
    }
    return text;
}

}  // namespace

START_TEST(text_cannot_become_fields_of_the_stream) {
    for (const std::string_view hostile : {"x\n\nid: 7\ndata: y", "x\rid: 7\r\rdata: y",
                                           "x\r\nevent: z\r\n\r\n", "\n\nretry: 1\n\n"}) {
        const std::string stream = encode(MessageType::text, hostile);
        const StreamEvent event = only(stream);
        ck_assert(event.data == with_line_feeds(hostile));
        ck_assert(event.type == "message");
        ck_assert(event.last_id.empty());
        ck_assert(EventSource(stream).retry.empty());
    }
}
END_TEST

START_TEST(what_would_end_the_line_of_a_name_or_an_id_is_no_field) {
    ck_assert(!event_fields("a\nb", std::nullopt));
    ck_assert(!event_fields("a\rdata: x", std::nullopt));
    ck_assert(!event_fields(std::nullopt, "1\n"));
    ck_assert(!event_fields(std::nullopt, "1\r2"));
    ck_assert(!event_fields(std::nullopt, "1\0002"sv));
    ck_assert(event_fields("a\0b"sv, std::nullopt).has_value());
    ck_assert(event_fields(std::nullopt, std::nullopt) == "");
    ck_assert(event_fields("", std::nullopt) == "");
    const std::string longest(kMaxEventField, 'x');
    ck_assert_uint_eq(event_fields(longest, longest).value().size(), kMaxEventFields);
    ck_assert(!event_fields(longest + 'x', std::nullopt));
    ck_assert(!event_fields(std::nullopt, longest + 'x'));
}
END_TEST

START_TEST(an_empty_message_is_an_event_too) {
    ck_assert(encode(MessageType::text, "") == "data: \n\n");
    ck_assert(only("data: \n\n").data.empty());
}
END_TEST

START_TEST(the_stream_is_as_it_is_specified) {
    ck_assert(encode(MessageType::text, "hello") == "data: hello\n\n");
    ck_assert(encode(MessageType::text, " two\nlines") == "data:  two\ndata: lines\n\n");
    ck_assert(encode(MessageType::text, "a\r\nb\rc", "event: e\nid: 3\n") ==
              "event: e\nid: 3\ndata: a\ndata: b\ndata: c\n\n");
    ck_assert(encode(MessageType::binary, "\x01\xFF") == "event: binary\ndata: Af8=\n\n");
    ck_assert(encode(MessageType::binary, "abc", *event_fields("mine", "")) ==
              "event: mine\nid: \ndata: YWJj\n\n");
    ck_assert(retry_field(std::chrono::seconds(2)) == "retry: 2000\n\n");
}
END_TEST

START_TEST(an_event_has_the_name_and_id_that_it_was_given) {
    const StreamEvent event =
        only(encode(MessageType::text, "x", *event_fields(" spaced: name", "e-7")));
    ck_assert(event == (StreamEvent{" spaced: name", "x", "e-7"}));
}
END_TEST

START_TEST(whatever_text_is_sent_in_whatever_parts_a_browser_gets_it) {
    Random random(20);
    for (int round = 0; round < (kSanitizer ? 2'000 : 20'000); ++round) {
        const std::string text =
            random.one_in(4) ? random.text(random.below(200)) : random_lines(random);
        const std::string whole = encode(MessageType::text, text);
        require(encode_in_parts(random, MessageType::text, text) == whole, text);
        const EventSource source(whole);
        require(source.events.size() == 1 && source.unfinished.empty(), whole);
        require(source.events[0] == StreamEvent{"message", with_line_feeds(text), ""}, whole);
    }
}
END_TEST

START_TEST(whatever_bytes_are_sent_in_whatever_parts_a_page_can_decode_them) {
    Random random(21);
    for (int round = 0; round < (kSanitizer ? 1'000 : 5'000); ++round) {
        const std::string message = random.bytes(random.below(64));
        const std::string whole = encode(MessageType::binary, message);
        require(encode_in_parts(random, MessageType::binary, message) == whole, message);
        const EventSource source(whole);
        require(source.events.size() == 1 && source.unfinished.empty(), whole);
        require(source.events[0].type == "binary", whole);
        require(unbase64(source.events[0].data) == message, whole);
    }
}
END_TEST

START_TEST(events_one_behind_the_other_stay_apart) {
    Random random(22);
    std::string stream;
    std::vector<StreamEvent> wanted;
    for (int i = 0; i < 200; ++i) {
        const std::string text = random_lines(random);
        const std::string id = std::to_string(i);
        stream += encode(MessageType::text, text, *event_fields("e", id));
        if (random.one_in(3)) stream += kEventComment;
        wanted.push_back({"e", with_line_feeds(text), id});
    }
    ck_assert(EventSource(stream).events == wanted);
}
END_TEST

START_TEST(a_chunk_says_its_size) {
    ck_assert(ChunkHeader(1).text() == "1\r\n");
    ck_assert(ChunkHeader(255).text() == "ff\r\n");
    ck_assert(ChunkHeader(SIZE_MAX).text() == "ffffffffffffffff\r\n");
}
END_TEST

WEBSOCKET_TEST_SUITE(event_encoder) {
    tcase_add_test(tests, text_cannot_become_fields_of_the_stream);
    tcase_add_test(tests, what_would_end_the_line_of_a_name_or_an_id_is_no_field);
    tcase_add_test(tests, an_empty_message_is_an_event_too);
    tcase_add_test(tests, the_stream_is_as_it_is_specified);
    tcase_add_test(tests, an_event_has_the_name_and_id_that_it_was_given);
    tcase_add_test(tests, whatever_text_is_sent_in_whatever_parts_a_browser_gets_it);
    tcase_add_test(tests, whatever_bytes_are_sent_in_whatever_parts_a_page_can_decode_them);
    tcase_add_test(tests, events_one_behind_the_other_stay_apart);
    tcase_add_test(tests, a_chunk_says_its_size);
}
