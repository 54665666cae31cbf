// SPDX-License-Identifier: Apache-2.0
// on_http and ws.http/1
#include "plugin/v1/v1_http.hpp"

#include <algorithm>
#include <new>
#include <span>

#include "plugin/v1/v1_host.hpp"

namespace websocket::plugin {

namespace {

constexpr std::uint32_t kInternalServerError = 500;

const Request& asked(const ws_request* request) {
    return *reinterpret_cast<const Request*>(request);
}
Request& asked(ws_request* request) { return *reinterpret_cast<Request*>(request); }

uint32_t read_body(ws_request* request, uint64_t most, const void** bytes, uint64_t* n) {
    if (request == nullptr || bytes == nullptr || n == nullptr) {
        return kInternalServerError;
    }
    *bytes = "";
    *n = 0;
    try {
        std::span<const std::uint8_t> body;
        const auto limit = static_cast<std::size_t>(std::min<uint64_t>(most, SIZE_MAX));
        const std::uint32_t status = asked(request).read_body(limit, body);
        if (status == 0 && !body.empty()) {
            *bytes = body.data();
            *n = body.size();
        }
        return status;
    } catch (const std::bad_alloc&) {
        return kInternalServerError;
    }
}

ws_result add_header(ws_request* request, const char* name, uint64_t name_size, const char* value,
                     uint64_t value_size) {
    if (request == nullptr || !is_valid(name, name_size) || !is_valid(value, value_size)) {
        return WS_BAD_ARG;
    }
    try {
        return asked(request).add_response_header({name, name_size}, {value, value_size})
                   ? WS_OK
                   : WS_BAD_ARG;
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
}

uint32_t trusts_origin(const ws_request* request) {
    try {
        return request != nullptr && asked(request).trusts_origin() ? 1 : 0;
    } catch (const std::bad_alloc&) {
        return 0;
    }
}

uint32_t is_open(const ws_request* request) {
    try {
        return request == nullptr || asked(request).is_open() ? 1 : 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

}  // namespace

std::uint32_t answer_http(V1Instance& instance, Request& request) noexcept {
    const ws_plugin& plugin = instance.plugin();
    std::uint32_t status = kInternalServerError;
    try {
        status = plugin.on_http(instance.self(), reinterpret_cast<ws_request*>(&request));
    } catch (...) {
        instance.report_exception("on_http", {});
        return kInternalServerError;
    }
    if (status != 0 && (status < 200 || status > 599)) {
        instance.host().log.print(base::LogLevel::error,
                                  "WS0416: plugin \"%s\" answered a request with %lu, which is no "
                                  "status from 200 to 599; the client gets 500",
                                  plugin.name, static_cast<unsigned long>(status));
        return kInternalServerError;
    }
    return status;
}

const void* http_extension() noexcept {
    static constexpr ws_http_1 kTable{
        sizeof(ws_http_1), 0, read_body, add_header, trusts_origin, is_open,
    };
    return &kTable;
}

}  // namespace websocket::plugin
