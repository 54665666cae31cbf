// SPDX-License-Identifier: Apache-2.0
// How the messages of one connection are compressed and inflated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/deflate_context.hpp"
#include "engine/shared_deflate.hpp"
#include "engine/tick.hpp"
#include "protocol/deflate_settings.hpp"
#include "protocol/inflater.hpp"

namespace websocket::engine {

/// Messages that refer to earlier ones need a context of their own, which takes memory with the first of
/// them; all others use what the loop shares. [loop]
class DeflateStream {
public:
    /// What a call works with.
    struct Means {
        protocol::DeflateSettings settings;  ///< what was agreed on
        SharedDeflate& shared;
        Tick now;
    };

    /// For one message of the client. Throws std::bad_alloc.
    [[nodiscard]] std::unique_ptr<protocol::Inflater> take_inflater(const Means& means);
    void give_back(std::unique_ptr<protocol::Inflater> inflater, const Means& means) noexcept;

    /// The part of a message as it goes on the wire, in a buffer of the loop; empty when that would have
    /// `limit` bytes or more, or memory is missing.
    [[nodiscard]] std::span<const std::uint8_t> deflate(std::span<const std::uint8_t> part,
                                                        bool last, std::size_t limit,
                                                        const Means& means) noexcept;
    /// What was compressed last does not leave.
    void forget_last() noexcept;
    /// As DeflateContext::rest().
    void rest(Tick now, Tick idle) noexcept;

private:
    [[nodiscard]] DeflateContext& context();

    std::unique_ptr<DeflateContext> context_;
};

}  // namespace websocket::engine
