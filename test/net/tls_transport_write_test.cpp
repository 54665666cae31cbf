// SPDX-License-Identifier: Apache-2.0
// What leaves in which record, and what happens when the socket takes no more.
// One thread: nothing to see for ThreadSanitizer.
#include "net/tls_transport.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

#include "engine/tls_ends.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

constexpr std::size_t kRecord = 16384;

/// Sizes of what the records of TLS 1.3 contain: 5 + 1 + 16 bytes less than they take.
std::vector<std::size_t> contents_of(std::string_view records) {
    std::vector<std::size_t> sizes;
    while (!records.empty()) {
        const auto byte = [&](std::size_t i) {
            return std::size_t{static_cast<std::uint8_t>(records.at(i))};
        };
        const std::size_t size = byte(3) << 8U | byte(4);
        ck_assert_uint_le(5 + size, records.size());
        sizes.push_back(size - 17);
        records.remove_prefix(5 + size);
    }
    return sizes;
}

void expect_contents(Ends& ends, const std::vector<std::size_t>& expected) {
    std::size_t left = 0;
    for (const std::size_t size : expected) left += size + 22;
    std::string records;
    while (records.size() < left) records += ends.peer.tcp().receive_some();
    const std::vector<std::size_t> got = contents_of(records);
    ck_assert_uint_eq(got.size(), expected.size());
    ck_assert(got == expected);
}

IoResult write_parts(Ends& ends, const std::vector<std::string>& texts) {
    std::vector<iovec> parts;
    for (const std::string& text : texts) {
        parts.push_back({const_cast<char*>(text.data()), text.size()});
    }
    return ends.transport.write(parts);
}

/// A stream of bytes that is different everywhere.
std::string stream(std::size_t from, std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        const std::size_t at = from + i;
        text[i] = static_cast<char>(at ^ at >> 8U ^ at >> 16U);
    }
    return text;
}

/// Bytes of the stream on their way; what is offered once stays offered.
class TlsFlow {
public:
    explicit TlsFlow(Ends& ends) : ends_(ends) {}

    /// Offers what is left and at least `size` bytes, in parts; false when the socket is full.
    bool write(std::size_t size, std::size_t first_part = 0) {
        offered_ = std::max(offered_, written_ + size);
        const std::string text = stream(written_, offered_ - written_);
        const std::size_t cut = std::min(first_part, text.size());
        const IoResult result = write_parts(ends_, {text.substr(0, cut), "", text.substr(cut)});
        ck_assert(result.status == IoStatus::done || result.status == IoStatus::would_block);
        written_ += result.count;
        return result.status == IoStatus::done;
    }
    void fill(std::size_t chunk) {
        while (write(chunk)) {
        }
    }
    /// The peer reads all that was written, and more until there is room again.
    void drain() {
        while (!ends_.ready(POLLOUT)) ends_.peer.take_records(ends_.peer.receive_records());
        ends_.peer.expect(stream(read_, written_ - read_));
        read_ = written_;
    }
    [[nodiscard]] std::size_t written() const { return written_; }

private:
    Ends& ends_;
    std::size_t offered_ = 0;
    std::size_t written_ = 0;
    std::size_t read_ = 0;
};

}  // namespace

START_TEST(small_parts_leave_in_one_record) {
    Ends ends;
    ck_assert_uint_eq(write_parts(ends, {"one", "", "two", "three"}).count, 11);
    expect_contents(ends, {11});
    const std::vector<std::string> many(60, std::string(100, 'x'));
    ck_assert_uint_eq(write_parts(ends, many).count, 6000);
    expect_contents(ends, {6000});
}
END_TEST

START_TEST(large_parts_leave_in_full_records) {
    Ends ends;
    ck_assert_uint_eq(write_parts(ends, {"head", std::string(50'000, 'x'), "tail"}).count, 50'008);
    expect_contents(ends, {kRecord, kRecord, kRecord, 50'008 - 3 * kRecord});
    ck_assert_uint_eq(write_parts(ends, {std::string(kRecord, 'x')}).count, kRecord);
    expect_contents(ends, {kRecord});
}
END_TEST

START_TEST(bytes_keep_their_order_however_they_are_cut) {
    Ends ends({.version = kTlsVersions.at(static_cast<std::size_t>(_i))});
    std::size_t at = 0;
    for (const std::size_t first : {1U, 5'000U, 16'383U, 16'384U, 16'385U, 40'000U}) {
        for (const std::size_t second : {1U, 16'380U, 20'000U}) {
            const std::size_t begin = at;
            std::vector<std::string> texts;
            for (const std::size_t size : {first, second, std::size_t{7}}) {
                texts.push_back(stream(at, size));
                at += size;
            }
            ck_assert_uint_eq(write_parts(ends, texts).count, at - begin);
            ends.peer.expect(stream(begin, at - begin));
        }
    }
}
END_TEST

/// What makes other servers fail with "bad record mac".
START_TEST(a_full_socket_loses_no_byte_whatever_is_offered_next) {
    Ends ends({.version = kTlsVersions.at(static_cast<std::size_t>(_i)), .socket_buffer = 20'000});
    TlsFlow flow(ends);
    for (std::size_t round = 0; flow.written() < 3'000'000; ++round) {
        constexpr std::array<std::size_t, 6> kChunks{40'000, 100, 16'384, 9'000, 70'000, 16'400};
        flow.fill(kChunks.at(round % kChunks.size()));
        ck_assert(ends.transport.poll_events(true, true) == (EPOLLIN | EPOLLOUT));
        // Now more is behind what could not be written, and all at another place, in other parts.
        flow.write(100'000, 3);
        ends.peer.send("x");  // the other direction works meanwhile
        ck_assert(ends.read(1) == "x");
        flow.drain();
        while (!flow.write(100'000, 20'000)) flow.drain();
    }
}
END_TEST

START_TEST(a_peer_may_want_small_records) {
    Ends ends({.version = kTlsVersions.at(static_cast<std::size_t>(_i)),
               .socket_buffer = 20'000,
               .prepare = [](SSL*, SSL* client) {
                   SSL_set_tlsext_max_fragment_length(client, TLSEXT_max_fragment_length_512);
               }});
    TlsFlow flow(ends);
    while (flow.written() < 300'000) {
        flow.fill(40'000);
        flow.drain();
    }
}
END_TEST

START_TEST(several_records_leave_in_one_write) {
    std::array<int, 2> packets{};  // each write is one of them
    ck_assert_int_eq(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets.data()), 0);
    const Descriptor reader(packets[0]);
    TlsHandshake handshake;
    handshake.sockets.server = Descriptor(packets[1]);
    Ends ends(std::move(handshake));
    constexpr std::size_t kAll = 6 * kRecord + 5'000;
    ck_assert_uint_eq(write_parts(ends, {std::string(kAll, 'x')}).count, kAll);
    std::array<char, 200'000> buffer;
    const std::vector<std::size_t> full(3, kRecord);
    for (const auto& expected : {full, full, std::vector<std::size_t>{5'000}}) {
        const ssize_t count = ::recv(reader.get(), buffer.data(), buffer.size(), 0);
        ck_assert_int_gt(count, 0);
        ck_assert(contents_of({buffer.data(), static_cast<std::size_t>(count)}) == expected);
    }
}
END_TEST

START_TEST(reading_goes_on_when_the_answer_to_a_key_update_waits_with_what_is_written) {
    Ends ends({.socket_buffer = 20'000});
    const std::size_t filled = ends.fill_socket();
    ends.peer.tcp().send(ends.peer.key_update(SSL_KEY_UPDATE_REQUESTED));
    ck_assert(ends.read_status() == IoStatus::would_block);
    ck_assert(ends.transport.poll_events(true, true) == (EPOLLIN | EPOLLOUT));
    ck_assert(ends.write("answer").status == IoStatus::would_block);  // the KeyUpdate comes first
    ends.peer.send("input");
    ck_assert(ends.read(5) == "input");
    ck_assert(ends.transport.poll_events(true, true) == (EPOLLIN | EPOLLOUT));

    ends.drain_socket(filled);
    ck_assert_uint_eq(ends.write("answer").count, 6);
    ends.peer.expect("answer");
}
END_TEST

START_TEST(a_refusal_to_renegotiate_comes_behind_what_waits) {
    Ends ends({.version = TLS1_2_VERSION, .socket_buffer = 20'000});
    TlsFlow flow(ends);
    flow.fill(40'000);
    ends.peer.tcp().send(ends.peer.client_hello());
    ck_assert(ends.read_status() == IoStatus::would_block);
    while (flow.written() < 200'000) {
        while (!ends.ready(POLLOUT)) ends.peer.take_records(ends.peer.receive_records());
        flow.fill(40'000);
    }
    ck_assert_uint_gt(ends.peer.receive(10'000).size(), 0);
    while (!ends.peer.receive(1).empty()) {
    }
    ck_assert_int_eq(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
}
END_TEST

START_TEST(what_finds_neither_room_nor_memory_ends_the_connection) {
    const std::string text = stream(0, 1'000'000);
    const TlsWiring wiring{.version = kTlsVersions.at(static_cast<std::size_t>(_i)),
                           .socket_buffer = 20'000};
    const auto write_without = [&](std::size_t allocation) {
        Ends ends(wiring);
        const iovec part{const_cast<char*>(text.data()), text.size()};
        IoResult result{};
        {
            const FailingAllocator allocator(allocation);
            result = ends.transport.write({&part, 1});
        }
        if (result.status == IoStatus::failed) {
            ck_assert(ends.write("more").status == IoStatus::failed);
        } else {
            ends.peer.expect(text.substr(0, result.count));
        }
        return result.status;
    };
    ck_assert(write_without(FailingAllocator::kNever) != IoStatus::failed);
    ck_assert(write_without(0) == IoStatus::failed);
}
END_TEST

WEBSOCKET_TEST_SUITE(tls_transport_write) {
    tcase_set_timeout(tests, kTestTimeout);
    constexpr auto kEach = static_cast<int>(kTlsVersions.size());
    tcase_add_test(tests, small_parts_leave_in_one_record);
    tcase_add_test(tests, large_parts_leave_in_full_records);
    tcase_add_loop_test(tests, bytes_keep_their_order_however_they_are_cut, 0, kEach);
    tcase_add_loop_test(tests, a_full_socket_loses_no_byte_whatever_is_offered_next, 0, kEach);
    tcase_add_loop_test(tests, a_peer_may_want_small_records, 0, kEach);
    tcase_add_test(tests, several_records_leave_in_one_write);
    tcase_add_test(tests,
                   reading_goes_on_when_the_answer_to_a_key_update_waits_with_what_is_written);
    tcase_add_test(tests, a_refusal_to_renegotiate_comes_behind_what_waits);
    tcase_add_loop_test(tests, what_finds_neither_room_nor_memory_ends_the_connection, 0, kEach);
}
