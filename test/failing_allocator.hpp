// SPDX-License-Identifier: Apache-2.0
//
// Counts allocations and makes chosen ones fail. Replaces operator new and realloc of the whole
// program as soon as one test file includes it; without a FailingAllocator alive they behave as
// before, and memory still comes from (and returns to) the sanitizer or the C library.
//
//     const std::size_t failures = fail_each_allocation(
//         [&] { outbox.push(frame); },              // once for each allocation that it makes
//         [&](bool failed) { ck_assert(...); });    // after each run, with memory available
//     ck_assert_uint_gt(failures, 0);
//
// Check's own functions may allocate: assert while no FailingAllocator is alive.
#pragma once

#include <dlfcn.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

namespace websocket::test {

/// Of which threads the allocations count.
enum class Threads : std::uint8_t { this_one, all };

/// While it lives, allocation number `index` (from 0) fails with std::bad_alloc, a null pointer from
/// realloc or from new (std::nothrow); all others succeed. At most one lives at a time.
class FailingAllocator {
public:
    static constexpr std::size_t kNever = SIZE_MAX;  ///< only counts
    /// Above this every allocation fails, always: the sanitizers would end the program instead.
    static constexpr std::size_t kLargestPossible = std::size_t{1} << 39;

    explicit FailingAllocator(std::size_t index = kNever,
                              Threads threads = Threads::this_one) noexcept {
        count_ = 0;
        largest_ = 0;
        failing_ = index;
        armed_here_ = threads == Threads::this_one;
        armed_everywhere_ = threads == Threads::all;
    }
    ~FailingAllocator() { armed_here_ = armed_everywhere_ = false; }

    FailingAllocator(const FailingAllocator&) = delete;
    FailingAllocator& operator=(const FailingAllocator&) = delete;

    /// Allocations so far, the failed one included. [any thread]
    [[nodiscard]] static std::size_t count() noexcept { return count_; }
    /// Bytes that the largest of them asked for. [any thread]
    [[nodiscard]] static std::size_t largest() noexcept { return largest_; }
    /// Whether the chosen one was reached. [any thread]
    [[nodiscard]] static bool failed() noexcept { return failing_ < count_; }

    /// For the replaced functions: false when this allocation has to fail. [any thread]
    [[nodiscard]] static bool permits(std::size_t size) noexcept {
        if (size > kLargestPossible) return false;
        begun_ = true;
        if (nested_ || !(armed_here_ || armed_everywhere_)) return true;
        std::size_t largest = largest_;
        while (largest < size && !largest_.compare_exchange_weak(largest, size)) {
        }
        return count_.fetch_add(1) != failing_;
    }

    /// The same for realloc, which a sanitizer needs before a thread gets to what it is for.
    [[nodiscard]] static bool permits_realloc(std::size_t size) noexcept {
        return (!begun_ && !armed_here_) || permits(size);
    }

    /// One allocation function may call another, which is still one allocation.
    class Nested {
    public:
        Nested() noexcept : outer_(nested_) { nested_ = true; }
        ~Nested() { nested_ = outer_; }
        Nested(const Nested&) = delete;
        Nested& operator=(const Nested&) = delete;

    private:
        bool outer_;
    };

private:
    static constinit inline std::atomic<std::size_t> count_{0};
    static constinit inline std::atomic<std::size_t> largest_{0};
    static constinit inline std::atomic<std::size_t> failing_{kNever};
    static constinit inline std::atomic<bool> armed_everywhere_{false};
    static constinit inline thread_local bool armed_here_ = false;
    static constinit inline thread_local bool nested_ = false;
    static constinit inline thread_local bool begun_ = false;  // has called new
};

/// Runs `work` with its first allocation failing, then with its second, until a run needs no more;
/// `check(failed)` follows each run. Work may let std::bad_alloc out. Returns how many failed.
template <class Work, class Check>
std::size_t fail_each_allocation(Work work, Check check) {
    for (std::size_t index = 0;; ++index) {
        bool failed = false;
        {
            const FailingAllocator allocator(index);
            try {
                work();
            } catch (const std::bad_alloc&) {
            }
            failed = FailingAllocator::failed();
        }
        check(failed);
        if (!failed) return index;
    }
}

/// What this program would have called without the replacement.
template <class Function>
Function* next_definition(const char* symbol) noexcept {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, symbol));
}

}  // namespace websocket::test

// Weak and not inline: a replacement may not be inline, and many test files make one program.

[[gnu::weak]] void* operator new(std::size_t size) {
    using websocket::test::FailingAllocator;
    static auto* const next = websocket::test::next_definition<void*(std::size_t)>("_Znwm");
    if (!FailingAllocator::permits(size)) throw std::bad_alloc();
    const FailingAllocator::Nested nested;
    return next(size);
}

[[gnu::weak]] void* operator new[](std::size_t size) {
    using websocket::test::FailingAllocator;
    static auto* const next = websocket::test::next_definition<void*(std::size_t)>("_Znam");
    if (!FailingAllocator::permits(size)) throw std::bad_alloc();
    const FailingAllocator::Nested nested;
    return next(size);
}

[[gnu::weak]] void* operator new(std::size_t size, std::align_val_t alignment) {
    using websocket::test::FailingAllocator;
    static auto* const next =
        websocket::test::next_definition<void*(std::size_t, std::align_val_t)>(
            "_ZnwmSt11align_val_t");
    if (!FailingAllocator::permits(size)) throw std::bad_alloc();
    const FailingAllocator::Nested nested;
    return next(size, alignment);
}

[[gnu::weak]] void* operator new(std::size_t size, const std::nothrow_t& tag) noexcept {
    using websocket::test::FailingAllocator;
    static auto* const next =
        websocket::test::next_definition<void*(std::size_t, const std::nothrow_t&)>(
            "_ZnwmRKSt9nothrow_t");
    if (!FailingAllocator::permits(size)) return nullptr;
    const FailingAllocator::Nested nested;
    return next(size, tag);
}

// The C library calls realloc in threads that ThreadSanitizer does not know yet: there it stays.
#if !defined(__SANITIZE_THREAD__)
extern "C" [[gnu::weak, gnu::visibility("default")]] void* realloc(void* old,
                                                                   std::size_t size) noexcept {
    using websocket::test::FailingAllocator;
    static auto* const next =
        websocket::test::next_definition<void*(void*, std::size_t)>("realloc");
    if (!FailingAllocator::permits_realloc(size)) return nullptr;
    return next(old, size);
}
#endif
