// SPDX-License-Identifier: Apache-2.0
#include "httpd/takeover/filter_stream.hpp"

#include <ap_mmn.h>
#include <apr_portable.h>
#include <http_core.h>
#include <util_filter.h>

namespace websocket::httpd {

using net::IoStatus;

namespace {

bool find_descriptor(conn_rec* c, apr_pollfd_t& into) noexcept {
#if AP_MODULE_MAGIC_AT_LEAST(20120211, 129)
    return ap_get_pollfd_from_conn(c, &into, nullptr) == APR_SUCCESS;
#else
    into.desc_type = APR_POLL_SOCKET;
    into.desc.s = ap_get_conn_socket(c);
    return c->master == nullptr;
#endif
}

}  // namespace

bool FilterStream::possible(const request_rec* r) noexcept {
    apr_pollfd_t wait_for{};
    return find_descriptor(r->connection, wait_for);
}

FilterStream::FilterStream(request_rec* r, Use use) noexcept
    : request_(r), connection_(r->connection),
      input_(apr_brigade_create(r->pool, r->connection->bucket_alloc)),
      output_(apr_brigade_create(r->pool, r->connection->bucket_alloc)), use_(use),
      ignores_input_(use == Use::body && r->connection->master != nullptr),
      // mod_http2 shows a handshake as a request whose body has ended.
      end_expected_(r->connection->master != nullptr) {
    static_cast<void>(find_descriptor(connection_, wait_for_));
}

ClientStream::Input FilterStream::input() noexcept {
    if (ignores_input_) {
        return {net::IoStatus::would_block, {}};
    }
    for (;;) {
        while (!APR_BRIGADE_EMPTY(input_)) {
            apr_bucket* first = APR_BRIGADE_FIRST(input_);
            const char* data = nullptr;
            apr_size_t size = 0;
            if (APR_BUCKET_IS_EOS(first) && !end_expected_) {
                return {net::IoStatus::closed, {}};
            }
            if (APR_BUCKET_IS_METADATA(first)) {
                end_expected_ = end_expected_ && !APR_BUCKET_IS_EOS(first);
            } else if (apr_bucket_read(first, &data, &size, APR_BLOCK_READ) != APR_SUCCESS) {
                return {net::IoStatus::failed, {}};
            }
            if (used_ < size) {
                return {net::IoStatus::done,
                        {reinterpret_cast<const std::uint8_t*>(data) + used_, size - used_}};
            }
            used_ = 0;
            apr_bucket_delete(first);
        }
        if (const net::IoStatus status = fetch(); status != net::IoStatus::done) {
            return {status, {}};
        }
    }
}

net::IoStatus FilterStream::fetch() noexcept {
    const apr_status_t status =
        ap_get_brigade(connection_->input_filters, input_, AP_MODE_READBYTES, APR_NONBLOCK_READ,
                       static_cast<apr_off_t>(Relay::kPortion));
    if (APR_STATUS_IS_EAGAIN(status)) {
        return net::IoStatus::would_block;
    }
    if (APR_STATUS_IS_EOF(status)) {
        return net::IoStatus::closed;
    }
    if (status != APR_SUCCESS) {
        return net::IoStatus::failed;
    }
    return APR_BRIGADE_EMPTY(input_) ? net::IoStatus::would_block : net::IoStatus::done;
}

bool FilterStream::output(std::span<const std::uint8_t> bytes) noexcept {
    APR_BRIGADE_INSERT_TAIL(output_,
                            apr_bucket_transient_create(reinterpret_cast<const char*>(bytes.data()),
                                                        bytes.size(), connection_->bucket_alloc));
    if (use_ == Use::tunnel) {
        request_->bytes_sent += static_cast<apr_off_t>(bytes.size());
    }
    return pass_output();
}

void FilterStream::end_output() noexcept {
    APR_BRIGADE_INSERT_TAIL(output_, apr_bucket_eos_create(connection_->bucket_alloc));
    static_cast<void>(pass_output());
}

bool FilterStream::pass_output() noexcept {
    APR_BRIGADE_INSERT_TAIL(output_, apr_bucket_flush_create(connection_->bucket_alloc));
    ap_filter_t* first = use_ == Use::body ? request_->output_filters : connection_->output_filters;
    const apr_status_t status = ap_pass_brigade(first, output_);
    apr_brigade_cleanup(output_);
    return status == APR_SUCCESS && connection_->aborted == 0;
}

int FilterStream::descriptor() const noexcept {
    if (ignores_input_) {
        return -1;  // it would be ready for ever
    }
    int fd = -1;  // also that of a socket which the MPM has closed meanwhile, to end at once
    if (wait_for_.desc_type == APR_POLL_SOCKET) {
        apr_os_sock_get(&fd, wait_for_.desc.s);
    } else if (wait_for_.desc_type == APR_POLL_FILE) {
        apr_os_file_get(&fd, wait_for_.desc.f);
    }
    return fd;
}

bool FilterStream::aborted() const noexcept {
    return connection_->aborted != 0 ||
           (!ignores_input_ && wait_for_.desc_type == APR_POLL_SOCKET && descriptor() < 0);
}

}  // namespace websocket::httpd
