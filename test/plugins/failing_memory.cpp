// SPDX-License-Identifier: Apache-2.0
//
// Not a plugin: a library to preload into httpd. While the file named by WEBSOCKET_FAIL_MEMORY
// exists, every allocation of C++ code fails, and every growth of a buffer to 32 KiB or more. httpd
// itself, which is C and ends a child without memory, goes on.

#include <dlfcn.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <new>

#define PRELOADED __attribute__((visibility("default")))

namespace {

constexpr std::size_t kLargeBuffer = std::size_t{32} << 10;

bool failing() {
    static const char* const path = std::getenv("WEBSOCKET_FAIL_MEMORY");
    return path != nullptr && ::access(path, F_OK) == 0;
}

}  // namespace

PRELOADED void* operator new(std::size_t size) {
    void* memory = failing() ? nullptr : std::malloc(size);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

PRELOADED void* operator new[](std::size_t size) { return operator new(size); }
PRELOADED void operator delete(void* memory) noexcept { std::free(memory); }
PRELOADED void operator delete[](void* memory) noexcept { std::free(memory); }
PRELOADED void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }
PRELOADED void operator delete[](void* memory, std::size_t /*size*/) noexcept { std::free(memory); }

extern "C" PRELOADED void* realloc(void* memory, std::size_t size) noexcept {
    using Realloc = void* (*)(void*, std::size_t);
    static const auto next = reinterpret_cast<Realloc>(::dlsym(RTLD_NEXT, "realloc"));
    return size >= kLargeBuffer && failing() ? nullptr : next(memory, size);
}
