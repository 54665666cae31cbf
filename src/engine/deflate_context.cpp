// SPDX-License-Identifier: Apache-2.0
#include "engine/deflate_context.hpp"

#include <new>
#include <utility>

namespace websocket::engine {

using protocol::Deflater;
using protocol::Inflater;

bool DeflateContext::deflate(std::span<const std::uint8_t> part, bool last, base::ByteBuffer& out,
                             std::size_t limit, const protocol::DeflateSettings& settings,
                             Tick now) {
    last_use_ = now;
    if (deflater_ == nullptr) {
        deflater_ = std::make_unique<Deflater>(shape_of(settings));
    }
    bool useful = false;
    try {
        useful = deflater_->deflate(part, last, out, limit);
    } catch (const std::bad_alloc&) {
        deflater_->reset();
        throw;
    }
    if (!useful) {
        deflater_->reset();
    }
    return useful;
}

void DeflateContext::forget_last() noexcept {
    if (deflater_ != nullptr) {
        deflater_->reset();
    }
}

std::unique_ptr<Inflater> DeflateContext::take_inflater(const protocol::DeflateSettings& settings,
                                                        Tick now) {
    last_use_ = now;
    if (inflater_ != nullptr) {
        return std::move(inflater_);
    }
    auto inflater = std::make_unique<Inflater>(settings.client_bits);
    inflater->set_history(history_.bytes());
    history_.reset();
    return inflater;
}

void DeflateContext::give_back(std::unique_ptr<Inflater> inflater) noexcept {
    inflater_ = std::move(inflater);
}

void DeflateContext::rest(Tick now, Tick idle) noexcept {
    if (net::before(now, last_use_ + idle)) {
        return;
    }
    deflater_.reset();
    if (inflater_ != nullptr) {
        try {
            history_ = inflater_->history();
            inflater_.reset();
        } catch (const std::bad_alloc&) {
            // Then it stays as it is.
        }
    }
}

}  // namespace websocket::engine
