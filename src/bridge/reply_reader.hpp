// SPDX-License-Identifier: Apache-2.0
// Cuts replies out of the bytes that a Redis server sends (RESP2), with the reader of hiredis.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "bridge/reply.hpp"

struct redisReader;

namespace websocket::bridge {

/// Whatever comes, it takes no more memory than its limits. Not safe for threads.
class ReplyReader {
public:
    /// Elements of one reply, in all of its arrays.
    static constexpr std::size_t kMostElements = 4096;

    /// `most_bytes` is how long a reply may be. Throws std::bad_alloc.
    explicit ReplyReader(std::size_t most_bytes);
    ReplyReader(const ReplyReader&) = delete;
    ReplyReader& operator=(const ReplyReader&) = delete;
    ~ReplyReader();

    /// What has been received next; false when it cannot go on: see error().
    [[nodiscard]] bool feed(std::span<const std::uint8_t> bytes);
    /// The next whole reply; nothing when more is to be received, or when it cannot go on.
    [[nodiscard]] std::optional<Reply> next();
    /// Empty as long as all is well; then for people.
    [[nodiscard]] const std::string& error() const noexcept { return error_; }

private:
    struct Free {
        void operator()(redisReader* reader) const noexcept;
    };

    const std::size_t most_bytes_;
    std::size_t elements_ = 0;  ///< of the reply that is being read
    std::unique_ptr<redisReader, Free> reader_;
    std::string error_;
};

}  // namespace websocket::bridge
