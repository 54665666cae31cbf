// SPDX-License-Identifier: Apache-2.0
#include "protocol/fast_deflater.hpp"

#include "protocol/masking_avx2.hpp"

#if __has_include(<isa-l/igzip_lib.h>)

#include <dlfcn.h>
#include <isa-l/igzip_lib.h>

#include <array>
#include <type_traits>
#include <utility>

#include "protocol/flush_all.hpp"

namespace websocket::protocol {

namespace detail {

/// What is called of the library; it stays loaded.
struct IsaL {
    decltype(&::isal_deflate_init) init = nullptr;
    decltype(&::isal_deflate_reset) reset = nullptr;
    decltype(&::isal_deflate) deflate = nullptr;

    [[nodiscard]] bool complete() const noexcept {
        return init != nullptr && reset != nullptr && deflate != nullptr;
    }
};

}  // namespace detail

namespace {

using Library = detail::IsaL;

/// Null members where it is missing.
Library open_library() noexcept {
    Library found;
    void* const library = has_avx2() ? ::dlopen("libisal.so.2", RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (library != nullptr) {
        const auto find = [library](const char* name, auto& function) {
            function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
                ::dlsym(library, name));
        };
        find("isal_deflate_init", found.init);
        find("isal_deflate_reset", found.reset);
        find("isal_deflate", found.deflate);
    }
    return found;
}

const Library& library() noexcept {
    static const Library loaded = open_library();
    return loaded;
}

/// The state at the end of isal_zstream may be larger in another version of the library.
constexpr std::size_t kStateRoom = 64U << 10;
/// What a message may become at most beyond its own size: stored blocks, flushes.
constexpr std::size_t kRoom = 512;

}  // namespace

struct FastDeflater::Stream {
    explicit Stream(const Library& loaded) noexcept : functions(loaded) {}

    const Library functions;
    isal_zstream stream{};
    std::array<std::uint8_t, kStateRoom> beyond{};
    std::array<std::uint8_t, ISAL_DEF_LVL1_DEFAULT> tables{};
};

std::unique_ptr<FastDeflater> FastDeflater::make(unsigned window_bits) {
    if (!library().complete()) {
        return nullptr;
    }
    auto stream = std::make_unique<Stream>(library());
    isal_zstream& isal = stream->stream;
    stream->functions.init(&isal);
    isal.level = 1;
    isal.level_buf = stream->tables.data();
    isal.level_buf_size = static_cast<std::uint32_t>(stream->tables.size());
    isal.hist_bits = static_cast<std::uint16_t>(window_bits);
    isal.flush = SYNC_FLUSH;
    return std::unique_ptr<FastDeflater>(new FastDeflater(std::move(stream)));
}

FastDeflater::FastDeflater(std::unique_ptr<Stream> stream) noexcept : stream_(std::move(stream)) {}
FastDeflater::~FastDeflater() = default;

bool FastDeflater::deflate(std::span<const std::uint8_t> part, bool last, base::ByteBuffer& out,
                           std::size_t limit) {
    Stream& own = *stream_;
    return flush_all(own.stream, part, last, out, limit, part.size(), kRoom,
                     [&own] { own.functions.deflate(&own.stream); });
}

void FastDeflater::reset() noexcept { stream_->functions.reset(&stream_->stream); }

}  // namespace websocket::protocol

#else

namespace websocket::protocol {

struct FastDeflater::Stream {};

std::unique_ptr<FastDeflater> FastDeflater::make(unsigned /*window_bits*/) { return nullptr; }
FastDeflater::~FastDeflater() = default;
bool FastDeflater::deflate(std::span<const std::uint8_t> /*part*/, bool /*last*/,
                           base::ByteBuffer& /*out*/, std::size_t /*limit*/) {
    return false;
}
void FastDeflater::reset() noexcept {}

}  // namespace websocket::protocol

#endif
