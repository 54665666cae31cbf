// SPDX-License-Identifier: Apache-2.0
// The body of a request that is no opening handshake.
#pragma once

#include <httpd.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace websocket::httpd {

/// Read when somebody wants it: until then, the client may wait for a 100 (Continue), and a body that is refused
/// is never read. [httpd worker]
class RequestBody {
public:
    /// `limit` in bytes, of WebSocketMaxRequestBody.
    RequestBody(request_rec* r, std::size_t limit) noexcept : r_(r), limit_(limit) {}
    RequestBody(const RequestBody&) = delete;
    RequestBody& operator=(const RequestBody&) = delete;

    /// Reads all of it, at most `most` bytes and the limit. 0, or the status to answer with; it is the same from
    /// then on. Throws std::bad_alloc, and then 500 is the status.
    [[nodiscard]] std::uint32_t read(std::size_t most);
    [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept { return bytes_; }

    /// Discards what was not read if that is little and can be had at once, else closes the connection behind
    /// the response. OK, or what the handler has to return instead of an answer: a filter has given one.
    [[nodiscard]] int finish();

private:
    enum class State : std::uint8_t { unread, read, failed };

    [[nodiscard]] std::uint32_t fail(std::uint32_t status) noexcept;
    [[nodiscard]] bool is_announced_above(std::size_t most) const;
    [[nodiscard]] std::uint32_t read_brigades(std::size_t most);
    void close_behind() const noexcept;

    request_rec* r_;
    const std::size_t limit_;
    State state_ = State::unread;
    std::uint32_t status_ = 0;
    bool answered_ = false;  // by a filter
    std::vector<std::uint8_t> bytes_;
};

}  // namespace websocket::httpd
