// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "engine/connection_id.hpp"

#include <initializer_list>

#include "unit.hpp"

using websocket::engine::ConnectionId;

START_TEST(the_default_names_nothing_that_was_ever_given_out) {
    constexpr ConnectionId nothing;
    ck_assert_uint_eq(nothing.value(), 0);
    ck_assert(!(nothing == ConnectionId(0, 0, 1)));
}
END_TEST

START_TEST(loop_slot_and_generation_do_not_touch_each_other) {
    constexpr std::uint32_t kLoop = ConnectionId::kMaxLoops - 1;
    constexpr std::uint32_t kSlot = ConnectionId::kMaxSlots - 1;
    for (const std::uint32_t loop : {0U, 1U, kLoop}) {
        for (const std::uint32_t slot : {0U, 1U, kSlot}) {
            for (const std::uint32_t generation : {1U, 0x8000'0000U, 0xFFFF'FFFFU}) {
                const ConnectionId id(loop, slot, generation);
                ck_assert_uint_eq(id.loop(), loop);
                ck_assert_uint_eq(id.slot(), slot);
                ck_assert_uint_eq(id.generation(), generation);
            }
        }
    }
}
END_TEST

START_TEST(the_next_user_of_a_slot_has_another_name) {
    ck_assert(!(ConnectionId(1, 2, 3) == ConnectionId(1, 2, 4)));
    ck_assert(ConnectionId(1, 2, 3) == ConnectionId(1, 2, 3));
}
END_TEST

WEBSOCKET_TEST_SUITE(connection_id) {
    tcase_add_test(tests, the_default_names_nothing_that_was_ever_given_out);
    tcase_add_test(tests, loop_slot_and_generation_do_not_touch_each_other);
    tcase_add_test(tests, the_next_user_of_a_slot_has_another_name);
}
