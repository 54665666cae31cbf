// SPDX-License-Identifier: Apache-2.0
#include "engine/heap_trim.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "unit.hpp"

using websocket::engine::HeapTrim;
using websocket::engine::keep_freed_memory;
using websocket::engine::to_ticks;
using websocket::net::Tick;

// The sanitizers have allocators of their own.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
namespace {

constexpr std::size_t kBlock = 1U << 20;
constexpr std::size_t kBlocks = 48;

/// As large messages do it: all at the same time, then none.
void use_blocks() {
    std::vector<std::unique_ptr<char[]>> blocks;
    for (std::size_t i = 0; i < kBlocks; ++i) {
        blocks.emplace_back(new char[kBlock]);
        std::memset(blocks.back().get(), 'x', kBlock);
    }
}

std::size_t resident_bytes() {
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    std::size_t all = 0;
    std::size_t resident = 0;
    ck_assert_int_eq(std::fscanf(file, "%zu %zu", &all, &resident), 2);
    std::fclose(file);
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

long page_faults() {
    rusage usage{};
    ck_assert_int_eq(::getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_minflt;
}

}  // namespace

START_TEST(freed_memory_serves_the_next_messages_without_page_faults) {
    keep_freed_memory();
    use_blocks();
    const long before = page_faults();
    use_blocks();
    const long all = kBlocks * kBlock / static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    ck_assert_int_lt(page_faults() - before, all / 20);
}
END_TEST

START_TEST(memory_goes_back_when_no_large_block_has_been_used_for_a_while) {
    constexpr std::size_t kMax = kBlocks * kBlock;
    keep_freed_memory();
    const std::size_t before = resident_bytes();
    use_blocks();
    HeapTrim trim;
    const Tick idle = to_ticks(HeapTrim::kIdle);
    trim.note(HeapTrim::kLargeBlock);
    trim.trim(1000);
    trim.trim(1000 + idle - 1);
    ck_assert_uint_gt(resident_bytes(), before + kMax / 2);
    trim.trim(1000 + idle);
    ck_assert_uint_lt(resident_bytes(), before + kMax / 4);
}
END_TEST

START_TEST(memory_goes_back_now_and_then_while_large_blocks_are_used) {
    constexpr std::size_t kMax = kBlocks * kBlock;
    keep_freed_memory();
    const std::size_t before = resident_bytes();
    use_blocks();
    HeapTrim trim;
    const Tick end = to_ticks(HeapTrim::kInterval);
    for (Tick now = 0; now < end; now += 10) {
        trim.note(HeapTrim::kLargeBlock);
        trim.trim(now);
    }
    ck_assert_uint_gt(resident_bytes(), before + kMax / 2);
    trim.note(HeapTrim::kLargeBlock);
    trim.trim(end);
    ck_assert_uint_lt(resident_bytes(), before + kMax / 4);
}
END_TEST

START_TEST(small_blocks_do_not_count) {
    constexpr std::size_t kMax = kBlocks * kBlock;
    keep_freed_memory();
    const std::size_t before = resident_bytes();
    use_blocks();
    HeapTrim trim;
    trim.note(HeapTrim::kLargeBlock - 1);
    trim.trim(0);
    trim.trim(to_ticks(HeapTrim::kInterval));
    ck_assert_uint_gt(resident_bytes(), before + kMax / 2);
}
END_TEST
#endif

START_TEST(memory_in_use_stays_as_it_is) {
    keep_freed_memory();
    const std::vector<char> block(HeapTrim::kLargeBlock, 'x');
    HeapTrim trim;
    trim.note(block.size());
    trim.trim(0);
    trim.trim(to_ticks(HeapTrim::kInterval));
    ck_assert(block == std::vector<char>(HeapTrim::kLargeBlock, 'x'));
}
END_TEST

START_TEST(loops_may_trim_at_the_same_time) {
    // Not keep_freed_memory(): whatever sets up an allocator is to happen in the threads.
    constexpr unsigned kThreads = 2;
    std::atomic<unsigned> ready{0};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; ++i) {
        threads.emplace_back([&ready] {
            HeapTrim trim;
            trim.note(HeapTrim::kLargeBlock);
            trim.trim(0);
            for (++ready; ready < kThreads;) std::this_thread::yield();
            trim.trim(to_ticks(HeapTrim::kInterval));
        });
    }
    for (std::thread& thread : threads) thread.join();
}
END_TEST

WEBSOCKET_TEST_SUITE(heap_trim) {
    tcase_add_test(tests, memory_in_use_stays_as_it_is);
    tcase_add_test(tests, loops_may_trim_at_the_same_time);
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    tcase_add_test(tests, freed_memory_serves_the_next_messages_without_page_faults);
    tcase_add_test(tests, memory_goes_back_when_no_large_block_has_been_used_for_a_while);
    tcase_add_test(tests, memory_goes_back_now_and_then_while_large_blocks_are_used);
    tcase_add_test(tests, small_blocks_do_not_count);
#endif
}
