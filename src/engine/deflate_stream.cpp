// SPDX-License-Identifier: Apache-2.0
#include "engine/deflate_stream.hpp"

#include <new>
#include <utility>

namespace websocket::engine {

DeflateContext& DeflateStream::context() {
    if (context_ == nullptr) {
        context_ = std::make_unique<DeflateContext>();
    }
    return *context_;
}

std::unique_ptr<protocol::Inflater> DeflateStream::take_inflater(const Means& means) {
    return means.settings.client_takeover ? context().take_inflater(means.settings, means.now)
                                          : means.shared.take_inflater();
}

void DeflateStream::give_back(std::unique_ptr<protocol::Inflater> inflater,
                              const Means& means) noexcept {
    if (means.settings.client_takeover) {
        context_->give_back(std::move(inflater));
    } else {
        means.shared.give_back(std::move(inflater));
    }
}

std::span<const std::uint8_t> DeflateStream::deflate(std::span<const std::uint8_t> part, bool last,
                                                     std::size_t limit,
                                                     const Means& means) noexcept {
    base::ByteBuffer& out = means.shared.deflate_buffer();
    try {
        const bool useful =
            means.settings.server_takeover
                ? context().deflate(part, last, out, limit, means.settings, means.now)
                : means.shared.deflate(part, last, out, limit, means.settings);
        return useful ? out.bytes() : std::span<const std::uint8_t>{};
    } catch (const std::bad_alloc&) {
        return {};
    }
}

void DeflateStream::forget_last() noexcept {
    if (context_ != nullptr) {
        context_->forget_last();
    }
}

void DeflateStream::rest(Tick now, Tick idle) noexcept {
    if (context_ != nullptr) {
        context_->rest(now, idle);
    }
}

}  // namespace websocket::engine
