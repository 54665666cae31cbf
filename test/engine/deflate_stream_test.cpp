// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "engine/deflate_stream.hpp"

#include <string>

#include "engine/deflate_peer.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::engine::DeflateStream;
using websocket::engine::SharedDeflate;
using websocket::protocol::DeflateSettings;
using websocket::protocol::Inflater;

namespace {

/// A stream, with a loop's share.
struct Stream {
    DeflateSettings settings;
    SharedDeflate shared{};
    DeflateStream stream{};

    [[nodiscard]] DeflateStream::Means means() { return {settings, shared, 0}; }
    /// A message as it goes on the wire; empty when it is not smaller.
    [[nodiscard]] std::string sent(std::string_view text) {
        return text_of(stream.deflate(bytes(text), true, text.size(), means()));
    }
    [[nodiscard]] std::string received(std::string_view payload) {
        std::unique_ptr<Inflater> inflater = stream.take_inflater(means());
        std::string text = inflated(*inflater, payload);
        stream.give_back(std::move(inflater), means());
        return text;
    }
};

}  // namespace

START_TEST(without_takeover_each_message_stands_alone) {
    Stream stream{.settings = kWithoutContext};
    ZlibDeflate client;
    const std::string first = stream.sent(json(2000));
    const std::string second = stream.sent(json(2000));
    ck_assert(!first.empty());
    ck_assert(first == second);
    ZlibInflate alone;
    ck_assert(alone.message(second) == json(2000));
    for (int i = 0; i < 3; ++i) {
        client.reset();
        ck_assert(stream.received(client.message(json(3000))) == json(3000));
    }
}
END_TEST

START_TEST(with_takeover_messages_refer_to_earlier_ones) {
    Stream stream{.settings = kWithContext};
    ZlibInflate in;
    ZlibDeflate out;
    const std::string first = stream.sent(json(2000));
    const std::string second = stream.sent(json(2000));
    ck_assert(second.size() < first.size() / 4);
    ck_assert(in.message(first) == json(2000));
    ck_assert(in.message(second) == json(2000));
    for (int i = 0; i < 3; ++i) {
        ck_assert(stream.received(out.message(json(3000))) == json(3000));
    }
}
END_TEST

START_TEST(each_direction_may_have_its_own_way) {
    DeflateSettings settings = kWithContext;
    settings.server_takeover = false;
    Stream stream{.settings = settings};
    ZlibDeflate out;
    ck_assert(stream.sent(json(2000)) == stream.sent(json(2000)));
    for (int i = 0; i < 3; ++i) {
        ck_assert(stream.received(out.message(json(3000))) == json(3000));
    }
}
END_TEST

START_TEST(what_never_left_is_not_referred_to) {
    Stream stream{.settings = kWithContext};
    ZlibInflate in;
    ck_assert(in.message(stream.sent(json(2000, 1))) == json(2000, 1));
    ck_assert(!stream.sent(json(2000, 2)).empty());
    stream.stream.forget_last();
    ck_assert(in.message(stream.sent(json(2000, 2))) == json(2000, 2));
}
END_TEST

START_TEST(what_is_of_no_use_or_lacks_memory_leaves_as_it_is) {
    Stream stream{.settings = kWithContext};
    ck_assert(stream.sent(Random(1).bytes(2000)).empty());
    Stream fresh{.settings = kWithContext};
    bool nothing = false;
    {
        const FailingAllocator no_memory(0);
        nothing = fresh.stream.deflate(bytes("aaaaaaaaaaaaaaaa"), true, 16, fresh.means()).empty();
    }
    ck_assert(nothing);
    ZlibInflate in;
    ck_assert(in.message(fresh.sent(json(2000))) == json(2000));
}
END_TEST

START_TEST(resting_changes_nothing_for_the_client) {
    Stream stream{.settings = kWithContext};
    ZlibInflate in;
    ZlibDeflate out;
    stream.stream.rest(1000, 10);  // there is nothing yet
    for (int i = 0; i < 3; ++i) {
        ck_assert(in.message(stream.sent(json(2000))) == json(2000));
        ck_assert(stream.received(out.message(json(3000))) == json(3000));
        stream.stream.rest(1000, 10);
    }
}
END_TEST

WEBSOCKET_TEST_SUITE(deflate_stream) {
    tcase_add_test(tests, without_takeover_each_message_stands_alone);
    tcase_add_test(tests, with_takeover_messages_refer_to_earlier_ones);
    tcase_add_test(tests, each_direction_may_have_its_own_way);
    tcase_add_test(tests, what_never_left_is_not_referred_to);
    tcase_add_test(tests, what_is_of_no_use_or_lacks_memory_leaves_as_it_is);
    tcase_add_test(tests, resting_changes_nothing_for_the_client);
}
