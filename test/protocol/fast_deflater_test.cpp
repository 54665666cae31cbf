// SPDX-License-Identifier: Apache-2.0
// Where the library is missing there is nothing to test: then each test ends at once.
#include "protocol/fast_deflater.hpp"

#include <memory>
#include <string>

#include "failing_allocator.hpp"
#include "protocol/deflater.hpp"
#include "protocol/message_text.hpp"
#include "protocol/random.hpp"
#include "protocol/zlib_client.hpp"
#include "unit.hpp"

using namespace websocket::test;
using namespace websocket::protocol;
using websocket::base::ByteBuffer;

namespace {

constexpr std::size_t kNoLimit = Deflater::kNoLimit;

std::string written(ByteBuffer& buffer) { return {buffer.bytes().begin(), buffer.bytes().end()}; }

/// Compresses a whole message for itself; empty when it was refused.
std::string compress(FastDeflater& deflater, std::string_view plain, std::size_t limit = kNoLimit) {
    deflater.reset();
    ByteBuffer out;
    return deflater.deflate(bytes(plain), true, out, limit) ? written(out) : "";
}

/// Text, noise, one byte over and over, or some of each.
std::string any_message(Random& random, std::size_t most) {
    const std::size_t size = 1 + random.below(most);
    switch (random.below(4)) {
        case 0: return random.bytes(size);
        case 1: return std::string(size, static_cast<char>(random.below(256)));
        case 2: return json(size, static_cast<std::uint32_t>(random.below(1000)));
        default: {
            const std::string noise = random.bytes(1 + size / 7);
            std::string mixed;
            while (mixed.size() < size) mixed += noise + json(1 + random.below(300));
            return mixed;
        }
    }
}

}  // namespace

START_TEST(what_it_makes_zlib_inflates_in_a_window_of_the_size_agreed_on) {
    Random random(11);
    for (unsigned bits = kMinWindowBits; bits <= kMaxWindowBits; ++bits) {
        const auto deflater = FastDeflater::make(bits);
        if (deflater == nullptr) return;
        for (int message = 0; message < 60; ++message) {
            const std::string plain = any_message(random, message % 10 == 0 ? 300'000 : 9'000);
            ZlibInflate client(static_cast<int>(bits));
            const std::string payload = compress(*deflater, plain);
            ck_assert(!payload.empty());
            ck_assert(!payload.ends_with(ZlibDeflate::kTail));
            ck_assert(client.message(payload) == plain);
        }
    }
}
END_TEST

START_TEST(parts_make_one_message_and_are_refused_each_for_itself) {
    Random random(12);
    const auto deflater = FastDeflater::make(kMaxWindowBits);
    if (deflater == nullptr) return;
    for (int round = 0; round < 200; ++round) {
        ZlibInflate client;
        const std::string plain = any_message(random, 20'000);
        std::string payload;
        for (std::string_view rest = plain; !rest.empty();) {
            const std::size_t size = 1 + random.below(rest.size());
            if (random.one_in(3)) deflater->reset();
            ByteBuffer out;
            ck_assert(
                deflater->deflate(bytes(rest.substr(0, size)), size == rest.size(), out, kNoLimit));
            payload += written(out);
            rest.remove_prefix(size);
        }
        deflater->reset();
        ck_assert(client.message(payload) == plain);
    }
}
END_TEST

START_TEST(what_would_not_become_smaller_is_refused_here_too_and_the_limit_is_exclusive) {
    Random random(13);
    const auto deflater = FastDeflater::make(kMaxWindowBits);
    if (deflater == nullptr) return;
    for (const std::size_t size : {1U, 2U, 10U, 100U, 1000U, 70'000U}) {
        const std::string noise = random.bytes(size);
        ck_assert(compress(*deflater, noise, noise.size()).empty());
    }
    const std::string plain = json(300);
    const std::size_t size = compress(*deflater, plain).size();
    ck_assert(compress(*deflater, plain, size).empty());
    ck_assert_uint_eq(compress(*deflater, plain, size + 1).size(), size);
    ZlibInflate client;
    ck_assert(client.message(compress(*deflater, plain)) == plain);
}
END_TEST

START_TEST(a_message_after_a_reset_refers_to_none_before_it) {
    const auto deflater = FastDeflater::make(kMaxWindowBits);
    if (deflater == nullptr) return;
    const std::string first = compress(*deflater, json(5'000));
    for (int i = 0; i < 20; ++i) ck_assert(compress(*deflater, json(5'000)) == first);
}
END_TEST

START_TEST(it_is_about_as_small_as_zlibs_level_1) {
    const auto deflater = FastDeflater::make(kMaxWindowBits);
    if (deflater == nullptr) return;
    Deflater zlib({kMaxWindowBits, 1, 8});
    for (const std::size_t size : {1'000U, 16'000U, 256'000U}) {
        ByteBuffer out;
        zlib.reset();
        ck_assert(zlib.deflate(bytes(json(size)), true, out));
        ck_assert_uint_lt(compress(*deflater, json(size)).size(), out.size() + out.size() / 8);
    }
}
END_TEST

START_TEST(a_fast_compressor_without_memory_is_not_made) {
    if (FastDeflater::make(kMaxWindowBits) == nullptr) return;
    const std::size_t failures = fail_each_allocation(
        [] { static_cast<void>(FastDeflater::make(kMaxWindowBits)); }, [](bool) {});
    ck_assert_uint_ge(failures, 1);
}
END_TEST

WEBSOCKET_TEST_SUITE(fast_deflater) {
    tcase_add_test(tests, what_it_makes_zlib_inflates_in_a_window_of_the_size_agreed_on);
    tcase_add_test(tests, parts_make_one_message_and_are_refused_each_for_itself);
    tcase_add_test(tests,
                   what_would_not_become_smaller_is_refused_here_too_and_the_limit_is_exclusive);
    tcase_add_test(tests, a_message_after_a_reset_refers_to_none_before_it);
    tcase_add_test(tests, it_is_about_as_small_as_zlibs_level_1);
    tcase_add_test(tests, a_fast_compressor_without_memory_is_not_made);
}
