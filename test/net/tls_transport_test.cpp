// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "net/tls_transport.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <span>
#include <string>

#include "engine/tls_ends.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::net::IoResult;
using websocket::net::IoStatus;

namespace {

std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
    return text;
}

}  // namespace

START_TEST(carries_data_both_ways) {
    Ends ends({.version = kTlsVersions.at(static_cast<std::size_t>(_i))});
    for (const std::size_t size : {1U, 16'384U, 16'385U, 60'000U}) {
        const std::string text = pattern(size);
        ends.peer.send(text);
        ck_assert(ends.read(size) == text);
        ck_assert_uint_eq(ends.write(text).count, size);
        ends.peer.expect(text);
    }
}
END_TEST

// --- reading -------------------------------------------------------------------------------------

START_TEST(tls_never_blocks) {
    Ends ends;
    ck_assert(ends.transport.poll_events(true, false) == EPOLLIN);
    std::array<std::uint8_t, 10> buffer;
    const IoResult result = ends.transport.read(buffer);
    ck_assert(result.status == IoStatus::would_block && result.count == 0);
    ck_assert(!ends.transport.pending());
}
END_TEST

START_TEST(takes_a_record_byte_by_byte_and_counts_each_one_as_life) {
    Ends ends({.version = kTlsVersions.at(static_cast<std::size_t>(_i))});
    const std::string record = ends.peer.encrypt("hello");
    for (std::size_t i = 0; i + 1 < record.size(); ++i) {
        ends.peer.tcp().send(record.substr(i, 1));
        std::array<std::uint8_t, 100> buffer;
        const IoResult result = ends.read(buffer);
        ck_assert(result.status == IoStatus::would_block && result.count == 1);
        ck_assert(!ends.transport.pending());  // or the loop would spin
    }
    ends.peer.tcp().send(record.substr(record.size() - 1));
    ck_assert(ends.read(5) == "hello");
}
END_TEST

START_TEST(gives_all_records_that_came_together_in_one_read) {
    Ends ends;
    std::string records;
    for (int i = 0; i < 100; ++i) records += ends.peer.encrypt("0123456789");
    ends.peer.tcp().send(records);
    std::array<std::uint8_t, 2000> buffer;
    ck_assert_uint_eq(ends.read(buffer).count, 1000);
    ck_assert(!ends.transport.pending());
}
END_TEST

START_TEST(gives_whole_records_although_a_part_of_one_is_behind_them) {
    Ends ends;
    std::string records = ends.peer.encrypt("whole");
    records += ends.peer.encrypt("in two parts");
    ends.peer.tcp().send(records.substr(0, records.size() - 5));
    std::array<std::uint8_t, 100> buffer;
    ck_assert_uint_eq(ends.read(buffer).count, 5);
    ck_assert(!ends.transport.pending());
    ends.peer.tcp().send(records.substr(records.size() - 5));
    ck_assert(ends.read(12) == "in two parts");
}
END_TEST

START_TEST(tells_that_there_is_more_than_fitted) {
    Ends ends;
    ends.peer.send("0123456789");
    ends.peer.send("abcde");
    std::array<std::uint8_t, 4> buffer;
    std::string text;
    ends.await(POLLIN);
    do {
        const IoResult result = ends.transport.read(buffer);
        ck_assert(result.status == IoStatus::done);
        text += text_of(std::span(buffer).first(result.count));
    } while (ends.transport.pending());
    ck_assert_str_eq(text.c_str(), "0123456789abcde");
}
END_TEST

START_TEST(looks_once_for_what_it_may_have_met_when_it_took_over) {
    TlsHandshake handshake;
    handshake.server.feed("GET / HTTP/1.1\r\n\r\n");
    char nothing = 0;
    ck_assert_int_lt(SSL_read(handshake.server.get(), &nothing, 1), 0);
    Ends ends(std::move(handshake));
    ck_assert(ends.transport.pending());
    ck_assert(ends.read_status() == IoStatus::failed);
}
END_TEST

// --- what there was before -----------------------------------------------------------------------

START_TEST(gives_what_was_decrypted_before_it_took_over) {
    TlsHandshake handshake;
    handshake.server.feed(handshake.client.encrypt("already decrypted"));
    std::array<char, 8> taken{};
    ck_assert_int_eq(SSL_read(handshake.server.get(), taken.data(), 8), 8);
    Ends ends(std::move(handshake));
    ck_assert(ends.transport.pending());
    ck_assert(ends.read(9) == "decrypted");
}
END_TEST

START_TEST(goes_on_with_a_record_that_was_read_in_part) {
    TlsHandshake handshake;
    const std::string record = handshake.client.encrypt("hello");
    handshake.server.feed(record.substr(0, 9));
    char nothing = 0;
    ck_assert_int_lt(SSL_read(handshake.server.get(), &nothing, 1), 0);
    Ends ends(std::move(handshake));
    ends.peer.tcp().send(record.substr(9));
    ck_assert(ends.read(5) == "hello");
}
END_TEST

START_TEST(begins_with_records_that_were_received_before) {
    std::size_t size = 1;
    for (std::size_t cut = 0; cut <= size; cut += 7) {
        TlsHandshake handshake;
        std::string all;
        for (const char* text : {"first", "second", "third"}) all += handshake.client.encrypt(text);
        size = all.size();
        Ends ends(std::move(handshake), all.substr(0, cut));
        ck_assert(ends.transport.pending());
        ends.peer.tcp().send(all.substr(cut));
        ck_assert(ends.read(16) == "firstsecondthird");
    }
}
END_TEST

START_TEST(nobody_of_the_former_owner_is_called_any_more) {
    static std::atomic<int> calls;
    calls = 0;
    SslContext context = server_context();
    SSL_CTX_set_keylog_callback(context.get(), [](const SSL*, const char*) { ++calls; });
    SSL_CTX_set_info_callback(context.get(), [](const SSL*, int, int) { ++calls; });
    SSL_CTX_set_msg_callback(context.get(),
                             [](int, int, int, const void*, std::size_t, SSL*, void*) { ++calls; });
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_remove_cb(context.get(), [](SSL_CTX*, SSL_SESSION*) { ++calls; });
    SSL_CTX_sess_set_new_cb(context.get(), [](SSL*, SSL_SESSION*) { return ++calls, 0; });
    SSL_CTX_up_ref(context.get());
    const SslContext alive(context.get());  // its own end removes the sessions
    {
        Ends ends(TlsHandshake({}, std::move(context)), {}, 2);
        ck_assert_int_gt(calls, 0);  // they do work
        calls = 0;
        ends.peer.tcp().send(ends.peer.key_update(SSL_KEY_UPDATE_REQUESTED));
        ends.peer.send("a");
        ck_assert(ends.read(1) == "a");
        for (int i = 0; i < 5; ++i) {
            ends.write("b");
            ends.peer.expect("b");
        }
    }
    ck_assert_int_eq(calls, 0);
}
END_TEST

// --- handshake messages --------------------------------------------------------------------------

START_TEST(follows_the_peers_key_updates) {
    Ends ends;
    for (const int type : {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED}) {
        ends.peer.tcp().send(ends.peer.key_update(type));
        ck_assert(ends.read_status() == IoStatus::would_block);
        ck_assert(!ends.transport.pending());
        ends.peer.send("new key");
        ck_assert(ends.read(7) == "new key");
        ends.write("answer");
        ends.peer.expect("answer");
    }
}
END_TEST

START_TEST(changes_its_key_in_time) {
    Ends ends({}, 3);
    std::string text;
    for (int i = 0; i < 20; ++i) {
        text += static_cast<char>('a' + i);
        ck_assert_uint_eq(ends.write(text.substr(text.size() - 1)).count, 1);
    }
    ends.peer.expect(text);
    ends.peer.send("with a new key, too");  // it was asked for one
    ck_assert(ends.read(19) == "with a new key, too");
    Ends old({.version = TLS1_2_VERSION}, 3);  // which cannot
    ck_assert_uint_eq(old.write(pattern(100'000)).count, 100'000);
    old.peer.expect(pattern(100'000));
}
END_TEST

START_TEST(a_flood_of_key_updates_ends_the_connection) {
    Ends ends;
    IoStatus last{};
    int updates = 0;
    do {
        ends.peer.tcp().send(ends.peer.key_update(SSL_KEY_UPDATE_NOT_REQUESTED));
        last = ends.read_status();
        ++updates;
    } while (last == IoStatus::would_block && updates < 1000);
    ck_assert(last == IoStatus::failed);
    ck_assert_int_eq(updates, TlsTransport::kMaxBarrenReads + 1);
    ck_assert(ends.write("too late").status == IoStatus::failed);
}
END_TEST

START_TEST(key_updates_between_data_are_no_flood) {
    Ends ends;
    for (int i = 0; i < 200; ++i) {
        ends.peer.tcp().send(ends.peer.key_update(SSL_KEY_UPDATE_REQUESTED));
        ends.peer.send("data");
        ck_assert(ends.read(4) == "data");
    }
    ends.write("still here");
    ends.peer.expect("still here");
}
END_TEST

START_TEST(refuses_to_renegotiate) {
    Ends ends({.version = TLS1_2_VERSION});
    ends.peer.tcp().send(ends.peer.client_hello());
    ck_assert(ends.read_status() == IoStatus::would_block);
    ck_assert_uint_eq(ends.write("no").count, 2);
    ends.peer.expect_end(SSL_ERROR_SSL);
    ck_assert_int_eq(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
}
END_TEST

// --- the end -------------------------------------------------------------------------------------

START_TEST(the_peers_close_notify_is_the_end_behind_its_data) {
    Ends ends({.version = kTlsVersions.at(static_cast<std::size_t>(_i))});
    std::string records = ends.peer.encrypt("last words");
    records += ends.peer.close_notify();
    ends.peer.tcp().send(records);
    std::array<std::uint8_t, 100> buffer;
    ck_assert_uint_eq(ends.read(buffer).count, 10);
    ck_assert(ends.transport.pending());  // nothing more will make the descriptor readable
    ck_assert(ends.transport.read(buffer).status == IoStatus::closed);
    ck_assert(ends.transport.read(buffer).status == IoStatus::closed);
    ck_assert_uint_eq(ends.write("half a connection still listens").count, 31);
    ck_assert(ends.transport.shutdown_write());
}
END_TEST

START_TEST(an_end_without_close_notify_is_an_end_as_well) {
    Ends ends({.version = kTlsVersions.at(static_cast<std::size_t>(_i))});
    ends.peer.send("cut off");
    ends.peer.tcp().shut_down();
    ck_assert(ends.read(7) == "cut off");
    ck_assert(ends.read_status() == IoStatus::closed);
    ck_assert(ends.read_status() == IoStatus::closed);
    ends.write("answer");
    ends.peer.expect("answer");
}
END_TEST

START_TEST(an_end_inside_of_a_record_is_an_end_as_well) {
    Ends ends;
    const std::string record = ends.peer.encrypt("never whole");
    ends.peer.tcp().send(record.substr(0, 10));
    ends.peer.tcp().shut_down();
    IoStatus last{};
    while ((last = ends.read_status()) == IoStatus::would_block) {
    }
    ck_assert(last == IoStatus::closed);
}
END_TEST

START_TEST(says_close_notify_and_reads_on) {
    Ends ends({.version = kTlsVersions.at(static_cast<std::size_t>(_i))});
    ends.write("bye");
    ck_assert(ends.transport.shutdown_write());
    ends.peer.expect("bye");
    ends.peer.expect_end();
    ck_assert(ends.peer.tcp().receive_some().empty());  // FIN
    ends.peer.send("late");
    ck_assert(ends.read(4) == "late");
    ends.peer.tcp().send(ends.peer.close_notify());
    ck_assert(ends.read_status() == IoStatus::closed);
}
END_TEST

START_TEST(close_notify_waits_for_room) {
    Ends ends({.socket_buffer = 4000});
    const std::size_t filled = ends.fill_socket();
    ck_assert(ends.transport.poll_events(false, false) == 0);
    ck_assert(!ends.transport.shutdown_write());
    ck_assert(ends.transport.poll_events(false, false) == EPOLLOUT);
    ck_assert(!ends.transport.shutdown_write());
    ends.drain_socket(filled);
    ck_assert(ends.transport.shutdown_write());
    ck_assert(ends.transport.poll_events(false, false) == 0);
    ends.peer.expect_end();
}
END_TEST

START_TEST(garbage_ends_the_connection_and_says_so) {
    Ends ends({.version = kTlsVersions.at(static_cast<std::size_t>(_i))});
    std::string record = ends.peer.encrypt("hello");
    record.back() = static_cast<char>(record.back() ^ 1);
    ends.peer.tcp().send(record);
    ck_assert(ends.read_status() == IoStatus::failed);
    ck_assert(ends.transport.pending());
    ck_assert(ends.read_status() == IoStatus::failed);
    ck_assert(ends.write("no").status == IoStatus::failed);
    ck_assert(ends.transport.shutdown_write());
    ends.peer.expect_end(SSL_ERROR_SSL);  // a fatal alert
}
END_TEST

START_TEST(data_before_garbage_is_not_lost) {
    Ends ends;
    ends.peer.tcp().send(ends.peer.encrypt("good") + "GET / HTTP/1.1\r\n\r\n");
    std::array<std::uint8_t, 100> buffer;
    ck_assert_uint_eq(ends.read(buffer).count, 4);
    ck_assert(ends.transport.pending());
    ck_assert(ends.transport.read(buffer).status == IoStatus::failed);
}
END_TEST

START_TEST(a_reset_is_an_error_and_no_signal) {
    ::signal(SIGPIPE, SIG_DFL);
    Ends ends;
    ends.peer.tcp().reset();
    IoResult result{};
    while ((result = ends.write(pattern(1000))).status == IoStatus::done) {
    }
    ck_assert(result.status == IoStatus::failed);
    ck_assert(ends.transport.shutdown_write());
}
END_TEST

START_TEST(what_the_peer_sent_before_it_reset_is_still_read) {
    Ends ends({.version = kTlsVersions.at(static_cast<std::size_t>(_i))});
    ends.peer.send("last words");
    ends.await(POLLIN);
    ends.peer.tcp().reset();
    while (ends.write(pattern(1000)).status == IoStatus::done) {
    }
    ck_assert(ends.read(10) == "last words");
    ck_assert(ends.write("no").status == IoStatus::failed);
    ck_assert(ends.transport.shutdown_write());
    const IoStatus end = ends.read_status();
    ck_assert(end == IoStatus::closed || end == IoStatus::failed);
}
END_TEST

WEBSOCKET_TEST_SUITE(tls_transport) {
    tcase_set_timeout(tests, kTestTimeout);
    constexpr auto kEach = static_cast<int>(kTlsVersions.size());
    tcase_add_loop_test(tests, carries_data_both_ways, 0, kEach);
    tcase_add_test(tests, tls_never_blocks);
    tcase_add_loop_test(tests, takes_a_record_byte_by_byte_and_counts_each_one_as_life, 0, kEach);
    tcase_add_test(tests, gives_all_records_that_came_together_in_one_read);
    tcase_add_test(tests, gives_whole_records_although_a_part_of_one_is_behind_them);
    tcase_add_test(tests, tells_that_there_is_more_than_fitted);
    tcase_add_test(tests, looks_once_for_what_it_may_have_met_when_it_took_over);
    tcase_add_test(tests, gives_what_was_decrypted_before_it_took_over);
    tcase_add_test(tests, goes_on_with_a_record_that_was_read_in_part);
    tcase_add_test(tests, begins_with_records_that_were_received_before);
    tcase_add_test(tests, nobody_of_the_former_owner_is_called_any_more);
    tcase_add_test(tests, follows_the_peers_key_updates);
    tcase_add_test(tests, changes_its_key_in_time);
    tcase_add_test(tests, a_flood_of_key_updates_ends_the_connection);
    tcase_add_test(tests, key_updates_between_data_are_no_flood);
    tcase_add_test(tests, refuses_to_renegotiate);
    tcase_add_loop_test(tests, the_peers_close_notify_is_the_end_behind_its_data, 0, kEach);
    tcase_add_loop_test(tests, an_end_without_close_notify_is_an_end_as_well, 0, kEach);
    tcase_add_test(tests, an_end_inside_of_a_record_is_an_end_as_well);
    tcase_add_loop_test(tests, says_close_notify_and_reads_on, 0, kEach);
    tcase_add_test(tests, close_notify_waits_for_room);
    tcase_add_loop_test(tests, garbage_ends_the_connection_and_says_so, 0, kEach);
    tcase_add_test(tests, data_before_garbage_is_not_lost);
    tcase_add_test(tests, a_reset_is_an_error_and_no_signal);
    tcase_add_loop_test(tests, what_the_peer_sent_before_it_reset_is_still_read, 0, kEach);
}
