// SPDX-License-Identifier: Apache-2.0
// A client as the filters of its connection show it: plain HTTP/1 with a filter that must see the
// bytes, or a stream of HTTP/2.
#pragma once

#include <httpd.h>
#include <apr_poll.h>

#include "httpd/takeover/relay.hpp"

namespace websocket::httpd {

class FilterStream final : public ClientStream {
public:
    /// Whether one can wait for this request's connection; an httpd before 2.4.58 cannot for
    /// streams of HTTP/2.
    [[nodiscard]] static bool possible(const request_rec* r) noexcept;

    enum class Use : std::uint8_t {
        tunnel,  ///< after a 101: bytes both ways, with the connection alone
        body,    ///< after the head of a response, through the filters of the request
    };
    /// `r` outlives it.
    FilterStream(request_rec* r, Use use) noexcept;

    [[nodiscard]] Input input() noexcept override;
    void consume(std::size_t bytes) noexcept override { used_ += bytes; }
    [[nodiscard]] bool output(std::span<const std::uint8_t> bytes) noexcept override;
    void end_output() noexcept override;
    [[nodiscard]] int descriptor() const noexcept override;
    [[nodiscard]] bool output_is_polled() const noexcept override {
        return wait_for_.desc_type == APR_POLL_SOCKET;
    }
    [[nodiscard]] bool end_keeps_distance() const noexcept override {
        return connection_->master != nullptr;
    }
    [[nodiscard]] bool aborted() const noexcept override;

private:
    [[nodiscard]] net::IoStatus fetch() noexcept;
    [[nodiscard]] bool pass_output() noexcept;

    request_rec* request_;
    conn_rec* connection_;
    apr_bucket_brigade* input_;
    apr_bucket_brigade* output_;
    apr_pollfd_t wait_for_{};
    std::size_t used_ = 0;  ///< bytes of the first bucket of input_ that are consumed
    const Use use_;
    const bool ignores_input_;  ///< the request has ended, and an abort is all that can still come
    bool end_expected_;         ///< an EOS will come that ends the request and not the stream
};

}  // namespace websocket::httpd
