// SPDX-License-Identifier: Apache-2.0
// ws.request/1
#include <cstring>
#include <new>
#include <string>
#include <string_view>

#include "plugin/common/request.hpp"
#include "plugin/v1/v1_host.hpp"

namespace websocket::plugin {

namespace {

const Request& of(const ws_request* request) { return *reinterpret_cast<const Request*>(request); }
Request& of(ws_request* request) { return *reinterpret_cast<Request*>(request); }

const char* measured(const char* value, uint64_t* size) {
    if (size != nullptr) {
        *size = value != nullptr ? std::strlen(value) : 0;
    }
    return value;
}

/// Calls `work(name)` with a NUL behind the name; null without memory or with a NUL inside it.
template <class Work>
const char* with_name(const char* name, uint64_t n, Work work) {
    try {
        const std::string text(name != nullptr ? std::string_view(name, n) : std::string_view());
        const bool usable = !text.empty() && text.find('\0') == std::string::npos;
        return usable ? work(text.c_str()) : nullptr;
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

const char* text(const ws_request* request, uint32_t what, uint64_t* size) {
    return measured(request != nullptr ? of(request).text(what) : nullptr, size);
}

uint32_t port(const ws_request* request, uint32_t which) {
    return request != nullptr ? of(request).port(which) : 0;
}

const char* header(const ws_request* request, const char* name, uint64_t n, uint64_t* size) {
    return measured(
        request != nullptr
            ? with_name(name, n, [&](const char* key) { return of(request).header(key); })
            : nullptr,
        size);
}

const char* environment(const ws_request* request, const char* name, uint64_t n, uint64_t* size) {
    return measured(
        request != nullptr
            ? with_name(name, n, [&](const char* key) { return of(request).environment(key); })
            : nullptr,
        size);
}

using Visit = int32_t (*)(void*, const char*, uint64_t, const char*, uint64_t);

void headers(const ws_request* request, Visit visit, void* data) {
    if (request == nullptr || visit == nullptr) {
        return;
    }
    struct Visitor {
        Visit visit;
        void* data;
    } visitor{visit, data};
    of(request).visit_headers(
        [](void* both, const char* name, const char* value) {
            const auto& to = *static_cast<const Visitor*>(both);
            return to.visit(to.data, name, std::strlen(name), value, std::strlen(value)) == 0;
        },
        &visitor);
}

uint64_t subprotocol_count(const ws_request* request) {
    return request != nullptr ? of(request).subprotocol_count() : 0;
}

const char* subprotocol(const ws_request* request, uint64_t index, uint64_t* size) {
    return measured(request != nullptr ? of(request).subprotocol(static_cast<std::size_t>(index))
                                       : nullptr,
                    size);
}

ws_result choose_subprotocol(ws_request* request, const char* name, uint64_t n) {
    if (request == nullptr || !is_valid(name, n)) {
        return WS_BAD_ARG;
    }
    // Plugins try what they know, so that it was not offered is worth no line in the log.
    const std::string_view wanted(name, n);
    return of(request).offers_subprotocol(wanted) && of(request).choose_subprotocol(wanted)
               ? WS_OK
               : WS_BAD_ARG;
}

ws_result set_header(ws_request* request, const char* name, uint64_t name_size, const char* value,
                     uint64_t value_size) {
    if (request == nullptr || !is_valid(name, name_size) || !is_valid(value, value_size)) {
        return WS_BAD_ARG;
    }
    try {
        return of(request).set_response_header({name, name_size}, {value, value_size}) ? WS_OK
                                                                                       : WS_BAD_ARG;
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
}

ws_result set_body(ws_request* request, const char* type, uint64_t type_size, const void* bytes,
                   uint64_t n) {
    if (request == nullptr || !is_valid(type, type_size) || !is_valid(bytes, n)) {
        return WS_BAD_ARG;
    }
    try {
        return of(request).set_response_body({type, type_size}, span_of(bytes, n)) ? WS_OK
                                                                                   : WS_BAD_ARG;
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
}

}  // namespace

const void* request_extension() noexcept {
    static constexpr ws_request_1 kTable{
        sizeof(ws_request_1),
        0,
        text,
        port,
        header,
        environment,
        headers,
        subprotocol_count,
        subprotocol,
        choose_subprotocol,
        set_header,
        set_body,
    };
    return &kTable;
}

}  // namespace websocket::plugin
