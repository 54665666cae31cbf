// SPDX-License-Identifier: Apache-2.0
#include "httpd/plain/request_body.hpp"

#include <apr_buckets.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <util_filter.h>

#include <algorithm>
#include <new>

namespace websocket::httpd {

namespace {

constexpr apr_off_t kPortion = 64 << 10;

/// A brigade that is gone at the end of the block.
class Brigade {
public:
    explicit Brigade(const request_rec* r)
        : brigade_(apr_brigade_create(r->pool, r->connection->bucket_alloc)) {}
    Brigade(const Brigade&) = delete;
    Brigade& operator=(const Brigade&) = delete;
    ~Brigade() { apr_brigade_destroy(brigade_); }
    [[nodiscard]] apr_bucket_brigade* get() const noexcept { return brigade_; }

private:
    apr_bucket_brigade* brigade_;
};

bool is_chunked(const request_rec* r) {
    return apr_table_get(r->headers_in, "Transfer-Encoding") != nullptr;
}

}  // namespace

std::uint32_t RequestBody::fail(std::uint32_t status) noexcept {
    state_ = State::failed;
    status_ = status;
    bytes_ = {};
    return status;
}

/// httpd has refused lengths that are none, and those beside Transfer-Encoding.
bool RequestBody::is_announced_above(std::size_t most) const {
    const char* text = apr_table_get(r_->headers_in, "Content-Length");
    if (text == nullptr || is_chunked(r_)) {
        return false;
    }
    apr_off_t length = 0;
    return ap_parse_strict_length(&length, text) == 0 || static_cast<std::uint64_t>(length) > most;
}

std::uint32_t RequestBody::read(std::size_t most) {
    most = std::min(most, limit_);
    if (state_ == State::failed) {
        return status_;
    }
    if (state_ == State::unread) {
        if (r_->main != nullptr) {
            state_ = State::read;  // the body is that of the page around
            return 0;
        }
        if (is_announced_above(most)) {
            return fail(HTTP_REQUEST_ENTITY_TOO_LARGE);
        }
        try {
            if (const std::uint32_t status = read_brigades(most); status != 0) {
                return fail(status);
            }
        } catch (const std::bad_alloc&) {
            static_cast<void>(fail(HTTP_INTERNAL_SERVER_ERROR));
            throw;
        }
        state_ = State::read;
    }
    return bytes_.size() <= most ? 0 : HTTP_REQUEST_ENTITY_TOO_LARGE;
}

std::uint32_t RequestBody::read_brigades(std::size_t most) {
    const Brigade brigade(r_);
    for (bool ended = false; !ended;) {
        const apr_status_t got = ap_get_brigade(r_->input_filters, brigade.get(), AP_MODE_READBYTES,
                                                APR_BLOCK_READ, kPortion);
        if (got != APR_SUCCESS) {
            const int status = ap_map_http_request_error(got, HTTP_BAD_REQUEST);
            answered_ = status == AP_FILTER_ERROR;
            return answered_ ? HTTP_BAD_REQUEST : static_cast<std::uint32_t>(status);
        }
        for (apr_bucket* bucket = APR_BRIGADE_FIRST(brigade.get());
             !ended && bucket != APR_BRIGADE_SENTINEL(brigade.get());
             bucket = APR_BUCKET_NEXT(bucket)) {
            ended = APR_BUCKET_IS_EOS(bucket);
            if (APR_BUCKET_IS_METADATA(bucket)) {
                continue;
            }
            const char* data = nullptr;
            apr_size_t size = 0;
            if (apr_bucket_read(bucket, &data, &size, APR_BLOCK_READ) != APR_SUCCESS) {
                return HTTP_BAD_REQUEST;
            }
            if (size > most - bytes_.size()) {
                return HTTP_REQUEST_ENTITY_TOO_LARGE;
            }
            bytes_.insert(bytes_.end(), data, data + size);
        }
        apr_brigade_cleanup(brigade.get());
    }
    return 0;
}

/// A stream of HTTP/2 ends by itself.
void RequestBody::close_behind() const noexcept {
    if (r_->connection->master == nullptr) {
        r_->connection->keepalive = AP_CONN_CLOSE;
    }
}

int RequestBody::finish() {
    if (answered_) {
        return AP_FILTER_ERROR;
    }
    if (state_ == State::read || r_->main != nullptr) {
        return OK;
    }
    const bool waits = r_->expecting_100 != 0;  // the client has sent nothing
    if (state_ == State::failed || waits || is_chunked(r_) || is_announced_above(limit_)) {
        close_behind();
        return OK;
    }
    return ap_discard_request_body(r_);
}

}  // namespace websocket::httpd
