// SPDX-License-Identifier: Apache-2.0
//
// Receiving straight into the message: receive_window() and received().
#include <algorithm>
#include <string>

#include "protocol/message_reader.hpp"
#include "protocol/random_stream.hpp"
#include "unit.hpp"

namespace {

using namespace websocket::test;
using websocket::base::ByteBuffer;
using websocket::protocol::MessageReader;
using websocket::protocol::MessageType;
using websocket::protocol::Next;

/// Reads as the engine does: into the window where there is one, else through a buffer.
class SocketReader {
public:
    SocketReader(Receiver& receiver, std::string_view bytes) : receiver_(receiver), rest_(bytes) {}

    /// Receives at most `size` bytes.
    void receive(std::size_t size, std::size_t least, std::size_t most) {
        size = std::min(size, rest_.size());
        const auto window = receiver_.reader.receive_window(least, most);
        require(window.size() <= most, "");
        if (window.empty()) {
            receiver_.feed(rest_.substr(0, size));
        } else {
            size = std::min(size, window.size());
            std::copy_n(rest_.begin(), size, window.begin());
            receiver_.reader.received(size, receiver_.sink);
            received_ += size;
        }
        rest_.remove_prefix(size);
    }

    [[nodiscard]] bool done() const { return rest_.empty() || receiver_.sink.ended; }
    /// Bytes that went through the window.
    [[nodiscard]] std::size_t received() const { return received_; }

private:
    Receiver& receiver_;
    std::string_view rest_;
    std::size_t received_ = 0;
};

/// A reader that has got the header of a frame of `length` bytes and `payload`.
Receiver inside_of_frame(std::uint64_t length, Opcode opcode = Opcode::binary,
                         std::string_view payload = {}, bool fin = true) {
    Receiver receiver;
    const ClientFrame frame{.opcode = opcode, .payload = payload, .fin = fin, .mask = {0, 0, 0, 0}};
    receiver.feed(client_header(frame, length) + std::string(payload));
    return receiver;
}

}  // namespace

START_TEST(gives_the_same_events_as_consuming) {
    Random random(30);
    StreamMaker maker(random, 300, 70000);
    std::size_t received = 0;
    for (int round = 0; round < 300; ++round) {
        const Stream stream = maker.make(1 + random.below(5));
        const std::size_t longest = random.pick({3, 50, 1000, 100000});
        Receiver receiver;
        SocketReader socket(receiver, stream.bytes);
        while (!socket.done()) {
            socket.receive(1 + random.below(longest), random.pick({1, 1, 10, 16384}),
                           random.pick({1, 7, 100, 4096, 262144}));
        }
        assert_events(receiver.sink.events, stream.events, "received");
        received += socket.received();
    }
    ck_assert_uint_gt(received, 100000);
}
END_TEST

START_TEST(there_is_a_window_just_where_enough_of_a_data_frame_is_missing) {
    Receiver receiver = inside_of_frame(100, Opcode::binary, "abc");
    ck_assert(receiver.reader.receive_window(98, 1000).empty());
    ck_assert_uint_eq(receiver.reader.receive_window(97, 1000).size(), 97);
    ck_assert_uint_eq(receiver.reader.receive_window(1, 10).size(), 10);
    ck_assert_uint_eq(receiver.reader.receive_window(0, 97).size(), 97);
    ck_assert_uint_eq(receiver.reader.receive_window(0, 96).size(), 96);
    ck_assert(receiver.reader.receive_window(SIZE_MAX, SIZE_MAX).empty());
}
END_TEST

START_TEST(there_is_no_window_outside_of_a_data_frame) {
    Receiver fresh;
    ck_assert(fresh.reader.receive_window(0, 1000).empty());
    Receiver header;
    header.feed(client_header({}, 70000).substr(0, 13));
    ck_assert(header.reader.receive_window(0, 1000).empty());
    Receiver control = inside_of_frame(100, Opcode::ping, "abc");
    ck_assert(control.reader.receive_window(0, 1000).empty());
    Receiver between = inside_of_frame(3, Opcode::text, "abc", false);
    ck_assert(between.reader.receive_window(0, 1000).empty());
    Receiver done = inside_of_frame(3, Opcode::text, "abc");
    ck_assert(done.reader.receive_window(0, 1000).empty());
    ck_assert_uint_eq(done.sink.events.size(), 1);
}
END_TEST

START_TEST(there_is_no_window_inside_of_a_ping_between_fragments) {
    Receiver receiver = inside_of_frame(3, Opcode::text, "abc", false);
    const std::string ping = client_frame({.opcode = Opcode::ping, .payload = "0123456789"});
    receiver.feed(ping.substr(0, 9));
    ck_assert(receiver.reader.receive_window(0, 1000).empty());
    receiver.feed(ping.substr(9) + client_frame({.opcode = Opcode::continuation, .payload = "d"}));
    assert_events(receiver.sink.events, {{"ping", "0123456789"}, {"text", "abcd"}}, "after a ping");
}
END_TEST

START_TEST(an_unused_window_changes_nothing) {
    Receiver receiver = inside_of_frame(6, Opcode::text, "abc");
    const auto window = receiver.reader.receive_window(1, 1000);
    std::fill(window.begin(), window.end(), std::uint8_t{'?'});
    receiver.feed("def");  // the mask is 0
    assert_events(receiver.sink.events, {{"text", "abcdef"}}, "window not used");
}
END_TEST

START_TEST(receiving_nothing_is_harmless) {
    Receiver receiver = inside_of_frame(6, Opcode::text, "abc");
    ck_assert_uint_eq(receiver.reader.receive_window(1, 1000).size(), 3);
    receiver.reader.received(0, receiver.sink);
    ck_assert(receiver.sink.events.empty());
    receiver.feed("def");
    assert_events(receiver.sink.events, {{"text", "abcdef"}}, "received 0");
}
END_TEST

START_TEST(a_window_of_no_bytes_is_empty) {
    Receiver receiver = inside_of_frame(6, Opcode::text, "abc");
    ck_assert(receiver.reader.receive_window(0, 0).empty());
    Receiver fresh = inside_of_frame(6, Opcode::text);
    ck_assert(fresh.reader.receive_window(0, 0).empty());
}
END_TEST

START_TEST(text_that_was_received_is_checked_up_to_its_last_byte) {
    for (const std::string bad : {"\xFF", "\xE2\x82", "\xED\xA0\x80"}) {
        Receiver receiver = inside_of_frame(bad.size(), Opcode::text);
        SocketReader socket(receiver, bad);
        while (!socket.done()) socket.receive(1, 1, 1000);
        ck_assert_uint_eq(receiver.sink.events.size(), 1);
        ck_assert(receiver.sink.events[0].kind == "violation");
        ck_assert_uint_eq(receiver.sink.events[0].code, 1007);
    }
}
END_TEST

START_TEST(bad_text_is_refused_before_the_frame_is_whole) {
    Receiver receiver = inside_of_frame(1000, Opcode::text, "\xE2");
    const auto window = receiver.reader.receive_window(1, 1000);
    window[0] = 0x82;
    window[1] = 'x';
    receiver.reader.received(1, receiver.sink);
    ck_assert(receiver.sink.events.empty());
    receiver.reader.receive_window(1, 1000)[0] = 'x';
    receiver.reader.received(1, receiver.sink);
    ck_assert_uint_eq(receiver.sink.events.size(), 1);
    ck_assert_uint_eq(receiver.sink.events[0].code, 1007);
}
END_TEST

START_TEST(the_mask_goes_on_where_it_was) {
    const std::string payload = "The mask turns with every byte.";
    const std::string frame = client_frame({.payload = payload});
    for (std::size_t consumed = 6; consumed < frame.size(); ++consumed) {
        for (const std::size_t step : {1U, 2U, 3U, 5U, 100U}) {
            Receiver receiver;
            receiver.feed(std::string_view(frame).substr(0, consumed));
            SocketReader socket(receiver, std::string_view(frame).substr(consumed));
            while (!socket.done()) socket.receive(step, 1, 1000);
            assert_events(receiver.sink.events, {{"text", payload}}, "unmasked");
            ck_assert_uint_eq(socket.received(), frame.size() - consumed);
        }
    }
}
END_TEST

START_TEST(a_message_in_parts_hands_over_its_buffer_and_a_whole_one_lies_where_it_was_read) {
    const std::string frame = client_frame({.payload = "abc"});
    Receiver receiver;
    receiver.feed(frame);
    ck_assert_uint_eq(receiver.sink.owned, 0);
    receiver.feed_in_steps(frame, 5);
    ck_assert_uint_eq(receiver.sink.owned, 1);

    std::vector<std::uint8_t> bytes(frame.begin(), frame.end());
    struct {
        const std::uint8_t* payload = nullptr;
        Next on_message(MessageType, std::span<std::uint8_t> span, ByteBuffer*) {
            payload = span.data();
            return Next::more;
        }
        Next on_ping(std::span<std::uint8_t>) { return Next::more; }
        Next on_pong(std::span<std::uint8_t>) { return Next::more; }
        void on_close(std::uint16_t, std::string_view) {}
        void on_violation(websocket::protocol::Violation) {}
    } sink;
    MessageReader reader;
    static_cast<void>(reader.consume(bytes, {}, sink));
    ck_assert_ptr_eq(sink.payload, bytes.data() + 6);
}
END_TEST

START_TEST(a_buffer_that_was_taken_outlives_the_reader) {
    ByteBuffer taken;
    struct Taker : RecordingSink {
        explicit Taker(ByteBuffer& buffer) : into(buffer) {}
        ByteBuffer& into;
        Next on_message(MessageType, std::span<std::uint8_t>, ByteBuffer* owner) {
            into = std::move(*owner);
            return Next::more;
        }
    };
    {
        Taker sink(taken);
        MessageReader reader;
        const std::string frames = client_frame({.payload = "kept ", .fin = false}) +
                                   client_frame({.opcode = Opcode::continuation, .payload = "on"});
        std::vector<std::uint8_t> bytes(frames.begin(), frames.end());
        static_cast<void>(reader.consume(bytes, {}, sink));
        ck_assert(reader.at_boundary());
    }
    ck_assert(std::string(taken.bytes().begin(), taken.bytes().end()) == "kept on");
}
END_TEST

WEBSOCKET_TEST_SUITE(message_reader_receive) {
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, gives_the_same_events_as_consuming);
    tcase_add_test(tests, there_is_a_window_just_where_enough_of_a_data_frame_is_missing);
    tcase_add_test(tests, there_is_no_window_outside_of_a_data_frame);
    tcase_add_test(tests, there_is_no_window_inside_of_a_ping_between_fragments);
    tcase_add_test(tests, an_unused_window_changes_nothing);
    tcase_add_test(tests, receiving_nothing_is_harmless);
    tcase_add_test(tests, a_window_of_no_bytes_is_empty);
    tcase_add_test(tests, text_that_was_received_is_checked_up_to_its_last_byte);
    tcase_add_test(tests, bad_text_is_refused_before_the_frame_is_whole);
    tcase_add_test(tests, the_mask_goes_on_where_it_was);
    tcase_add_test(tests,
                   a_message_in_parts_hands_over_its_buffer_and_a_whole_one_lies_where_it_was_read);
    tcase_add_test(tests, a_buffer_that_was_taken_outlives_the_reader);
}
