// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "engine/outbox.hpp"

#include <array>
#include <new>
#include <string>
#include <vector>

#include "engine/peer.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::Outbox;
using websocket::engine::SharedFrame;

namespace {

SharedFrame frame(std::string_view text) { return SharedFrame::join(bytes(text), {}); }

/// Which nothing is added to.
SharedFrame shared_frame(std::string_view text) {
    static std::vector<SharedFrame> others;
    return others.emplace_back(frame(text));
}

/// What would be written next with `slots` vectors.
std::string next(const Outbox& outbox, std::size_t slots = 64) {
    std::vector<iovec> parts(slots);
    parts.resize(outbox.gather(parts));
    std::string bytes;
    for (const iovec& part : parts) bytes.append(static_cast<char*>(part.iov_base), part.iov_len);
    return bytes;
}

}  // namespace

START_TEST(empty_it_is_one_pointer_and_gives_nothing) {
    static_assert(sizeof(Outbox) == sizeof(void*));
    Outbox outbox;
    ck_assert(outbox.empty());
    ck_assert(next(outbox).empty());
    outbox.drop_front(0);
    ck_assert(outbox.empty());
}
END_TEST

START_TEST(first_in_first_out) {
    Outbox outbox;
    for (const char* bytes : {"one", "two", "three"}) outbox.push(shared_frame(bytes));
    ck_assert(next(outbox) == "onetwothree");
    ck_assert(next(outbox, 2) == "onetwo");
    outbox.drop_front(6);
    ck_assert(next(outbox) == "three");
    outbox.push(frame("four"));
    outbox.drop_front(9);
    ck_assert(outbox.empty());
}
END_TEST

START_TEST(goes_on_where_a_write_stopped) {
    const std::string whole = "onetwothree";
    for (std::size_t first = 0; first <= whole.size(); ++first) {
        for (std::size_t second = first; second <= whole.size(); ++second) {
            Outbox outbox;
            for (const char* bytes : {"one", "two", "three"}) outbox.push(shared_frame(bytes));
            outbox.drop_front(first);
            outbox.drop_front(second - first);
            ck_assert(next(outbox) == whole.substr(second));
            ck_assert_int_eq(outbox.empty(), second == whole.size());
        }
    }
}
END_TEST

START_TEST(shared_frames_are_not_copied_and_end_separately) {
    const SharedFrame shared = frame("shared");
    Outbox quick;
    Outbox slow;
    quick.push(shared);
    slow.push(shared);
    quick.drop_front(6);
    slow.drop_front(2);
    ck_assert(quick.empty());
    std::array<iovec, 1> slot;
    ck_assert_uint_eq(slow.gather(slot), 1);
    ck_assert_ptr_eq(slot[0].iov_base, shared.bytes().data() + 2);
}
END_TEST

START_TEST(a_push_without_memory_changes_nothing) {
    for (const bool used : {false, true}) {
        const SharedFrame kept = frame("kept");
        for (int round = 0; round < 200; ++round) {
            Outbox outbox;
            if (used) {
                for (int i = 0; i < round; ++i) outbox.push(kept);
            }
            const std::string before = next(outbox, 300);
            fail_each_allocation([&] { outbox.push(kept); },
                                 [&](bool failed) {
                                     if (failed) ck_assert(next(outbox, 300) == before);
                                 });
            ck_assert(next(outbox, 300) == before + "kept");
        }
    }
}
END_TEST

/// A client that reads nothing decides how many there are.
START_TEST(small_frames_take_hardly_more_memory_than_their_bytes) {
    for (const bool aside : {false, true}) {
        Outbox outbox;
        std::size_t allocations = 0;
        for (int i = 0; i < 10'000; ++i) {
            SharedFrame pong = SharedFrame::build(Opcode::pong, {});
            const FailingAllocator counting;
            aside ? outbox.park(std::move(pong), false) : outbox.push(std::move(pong));
            allocations += FailingAllocator::count();
        }
        ck_assert_uint_lt(allocations, 50);
        ck_assert_uint_eq(outbox.parked_bytes(), aside ? 20'000 : 0);
        if (aside) ck_assert_uint_eq(outbox.push_last({}), 20'000);
        const std::string all = next(outbox);
        ck_assert_uint_eq(all.size(), 20'000);
        for (std::size_t i = 0; i < all.size(); i += 2) ck_assert_int_eq(all[i + 1], 0);
        outbox.drop_front(19'999);
        ck_assert_uint_eq(next(outbox).size(), 1);
        outbox.drop_front(1);
        ck_assert(outbox.empty());
    }
}
END_TEST

START_TEST(a_small_frame_never_changes_what_others_hold) {
    const SharedFrame shared = frame("shared");
    Outbox first;
    Outbox second;
    first.push(shared);
    first.push(frame(" one"));
    second.push(shared);
    second.push(frame(" two"));
    second.push(shared);
    ck_assert(next(first) == "shared one");
    ck_assert(next(second) == "shared twoshared");
    ck_assert(text_of(shared.bytes()) == "shared");
}
END_TEST

START_TEST(what_was_kept_aside_follows_the_last_part) {
    Outbox outbox;
    outbox.push(frame("a"));
    outbox.park(frame("later"), false);
    outbox.park(SharedFrame::build(Opcode::text, bytes("plain")), true);
    ck_assert_uint_eq(outbox.parked_bytes(), 12);
    ck_assert(next(outbox) == "a");
    std::size_t moved = 0;
    fail_each_allocation([&] { moved = outbox.push_last(frame(std::string(1'000, 'b'))); },
                         [&](bool failed) {
                             if (!failed) return;
                             ck_assert(next(outbox) == "a");
                             ck_assert_uint_eq(outbox.parked_bytes(), 12);
                         });
    ck_assert_uint_eq(moved, 12);
    ck_assert(next(outbox) == "a" + std::string(1'000, 'b') + "later");
    outbox.drop_front(1'006);
    ck_assert(text_of(outbox.next_plain().frame.payload()) == "plain");
    ck_assert_uint_eq(outbox.parked_bytes(), 0);
}
END_TEST

START_TEST(a_plain_message_stops_what_can_be_written_until_it_is_compressed) {
    Outbox outbox;
    outbox.push(frame("one"));
    ck_assert(!outbox.holds_plain());
    outbox.push_plain(SharedFrame::build(Opcode::text, bytes("plain")));
    outbox.push(frame("two"));
    ck_assert(outbox.holds_plain());
    ck_assert(!outbox.next_plain().frame);
    ck_assert(next(outbox) == "one");
    outbox.drop_front(3);
    ck_assert(!outbox.empty());
    ck_assert(next(outbox).empty());
    const Outbox::Plain plain = outbox.next_plain();
    ck_assert(text_of(plain.frame.payload()) == "plain");
    ck_assert_uint_eq(plain.done, 0);

    outbox.replace_plain(2, frame("PL"));
    ck_assert(!outbox.next_plain().frame);
    ck_assert(next(outbox) == "PL");
    outbox.drop_front(1);
    ck_assert(next(outbox) == "L");
    outbox.drop_front(1);
    ck_assert_uint_eq(outbox.next_plain().done, 2);
    outbox.replace_plain(3, frame("AIN"));
    ck_assert(!outbox.holds_plain());
    ck_assert(next(outbox) == "AINtwo");
    outbox.drop_front(6);
    ck_assert(outbox.empty());
    ck_assert(!outbox.holds_plain());
}
END_TEST

START_TEST(a_plain_message_may_stay_as_it_is) {
    Outbox outbox;
    for (const char* text : {"a", "b"}) {
        outbox.push_plain(SharedFrame::build(Opcode::text, bytes(text)));
    }
    outbox.keep_plain();
    ck_assert(next(outbox) == std::string("\x81\x01") + "a");
    ck_assert(outbox.holds_plain());
    outbox.drop_front(3);
    ck_assert(text_of(outbox.next_plain().frame.payload()) == "b");
    outbox.replace_plain(1, frame("B"));
    ck_assert(next(outbox) == "B");
}
END_TEST

START_TEST(a_plain_message_without_memory_changes_nothing) {
    Outbox outbox;
    outbox.push_plain(SharedFrame::build(Opcode::text, bytes("plain")));
    const SharedFrame part = frame("P");
    bool replaced = false;
    fail_each_allocation([&] { outbox.push_plain(part); },
                         [&](bool failed) {
                             ck_assert(text_of(outbox.next_plain().frame.payload()) == "plain");
                             replaced = !failed;
                         });
    ck_assert(replaced);
}
END_TEST

WEBSOCKET_TEST_SUITE(outbox) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, empty_it_is_one_pointer_and_gives_nothing);
    tcase_add_test(tests, first_in_first_out);
    tcase_add_test(tests, goes_on_where_a_write_stopped);
    tcase_add_test(tests, shared_frames_are_not_copied_and_end_separately);
    tcase_add_test(tests, a_push_without_memory_changes_nothing);
    tcase_add_test(tests, small_frames_take_hardly_more_memory_than_their_bytes);
    tcase_add_test(tests, a_small_frame_never_changes_what_others_hold);
    tcase_add_test(tests, what_was_kept_aside_follows_the_last_part);
    tcase_add_test(tests, a_plain_message_stops_what_can_be_written_until_it_is_compressed);
    tcase_add_test(tests, a_plain_message_may_stay_as_it_is);
    tcase_add_test(tests, a_plain_message_without_memory_changes_nothing);
}
