// SPDX-License-Identifier: Apache-2.0
#include "httpd/handshake/request_snapshot.hpp"

#include <apr_lib.h>
#include <apr_optional.h>
#include <apr_strings.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <string_view>
#include <vector>

#include "httpd/config/config.hpp"
#include "httpd/handshake/header_names.hpp"
#include "httpd/handshake/origin.hpp"
#include "httpd/handshake/request_copy.hpp"
#include "httpd/handshake/response_headers.hpp"
#include "httpd/plain/plain_exchange.hpp"
#include "httpd/request_state.hpp"
#include "protocol/handshake.hpp"
#include "protocol/response_header.hpp"
#include "websocket/extensions.h"

// As mod_ssl declares it; its header is not installed everywhere.
APR_DECLARE_OPTIONAL_FN(char*, ssl_var_lookup,
                        (apr_pool_t*, server_rec*, conn_rec*, request_rec*, char*));

namespace websocket::httpd {

namespace {

constexpr const char* kBodyKey = "websocket-refusal-body";

const char* next(const char* text) { return text + std::strlen(text) + 1; }

bool same(const char* a, const char* b) {
    return a != nullptr && b != nullptr && std::strcmp(a, b) == 0;
}

using Strings = std::vector<std::string_view>;

std::uint16_t collect(const apr_table_t* table, Strings& into) {
    const apr_array_header_t* rows = apr_table_elts(table);
    const std::span entries(reinterpret_cast<const apr_table_entry_t*>(rows->elts),
                            static_cast<std::size_t>(rows->nelts));
    std::uint16_t count = 0;
    for (const apr_table_entry_t& entry : entries) {
        if (entry.key != nullptr && entry.val != nullptr && count < UINT16_MAX) {
            into.push_back(packed_name(entry.key));
            into.emplace_back(entry.val);
            ++count;
        }
    }
    return count;
}

std::uint32_t packed_size(const Strings& strings) {
    std::size_t size = 0;
    for (const std::string_view text : strings) {
        size += text.size() + 1;
    }
    if (size > UINT32_MAX) {
        throw std::bad_alloc();
    }
    return static_cast<std::uint32_t>(size);
}

void pack(const Strings& strings, char* at) {
    for (const std::string_view text : strings) {
        at = std::copy(text.begin(), text.end(), at);
        *at++ = '\0';
    }
}

bool is_in_document_root(const request_rec* r) {
    const std::string_view root = document_root(r->server);
    const std::string_view name = r->filename != nullptr ? r->filename : "";
    return name.starts_with(root) && r->uri != nullptr && name.substr(root.size()) == r->uri;
}

/// Null when the request is for the section itself.
const char* below_of(const request_rec* r) {
    const Config& config = config_of(r);
    const char* below = config.plugin != nullptr ? path_below(r, config.plugin_base) : "";
    return *below != '\0' ? below : nullptr;
}

/// What mod_ssl knows, also without SSLOptions +StdEnvVars; null when there is none.
const char* tls_variable(request_rec* r, const char* name) {
    static const auto lookup = APR_RETRIEVE_OPTIONAL_FN(ssl_var_lookup);
    if (lookup == nullptr || std::string_view(name).substr(0, 4) != "SSL_") {
        return nullptr;
    }
    const char* value =
        lookup(r->pool, r->server, r->connection, r, const_cast<char*>(name));  // it only reads it
    return value != nullptr && *value != '\0' ? value : nullptr;
}

}  // namespace

struct RequestSnapshot::Contents {
    Strings strings;
    std::uint16_t present = 0;
    std::uint32_t headers_at = 0;
    std::uint16_t headers = 0;
    std::uint16_t environment = 0;
    std::uint32_t subprotocols_at = 0;
    std::uint16_t subprotocols = 0;

    explicit Contents(request_rec* r) {
        add_fields(r);
        headers_at = packed_size(strings);
        headers = collect(r->headers_in, strings);
        environment = collect(r->subprocess_env, strings);
        subprotocols_at = packed_size(strings);
        add_subprotocols(r);
    }

    void add_fields(request_rec* r) {
        const conn_rec* c = r->connection;
        const std::array<const char*, kFields> fields{
            r->unparsed_uri, same(r->uri, r->unparsed_uri) ? nullptr : r->uri,
            r->args,         is_in_document_root(r) ? nullptr : r->filename,
            r->path_info,    r->hostname,
            r->user,         r->ap_auth_type,
            c->client_ip,    same(r->useragent_ip, c->client_ip) ? nullptr : r->useragent_ip,
            c->local_ip,     below_of(r),
        };
        for (std::size_t i = 0; i < fields.size(); ++i) {
            if (fields.at(i) != nullptr) {
                present = static_cast<std::uint16_t>(present | (1U << i));
                strings.emplace_back(fields.at(i));
            }
        }
    }

    void add_subprotocols(request_rec* r) {
        if (const char* offered = apr_table_get(r->headers_in, "Sec-WebSocket-Protocol")) {
            if (const auto tokens = protocol::parse_token_list(offered)) {
                const std::size_t count = std::min<std::size_t>(tokens->size(), UINT16_MAX);
                subprotocols = static_cast<std::uint16_t>(count);
                strings.insert(strings.end(), tokens->begin(),
                               tokens->begin() + static_cast<std::ptrdiff_t>(count));
            }
        }
    }
};

std::unique_ptr<RequestSnapshot> RequestSnapshot::take(request_rec* r) {
    const Contents contents(r);
    return std::unique_ptr<RequestSnapshot>(new (Extra{packed_size(contents.strings)})
                                                RequestSnapshot(r, contents));
}

RequestSnapshot::RequestSnapshot(request_rec* r, const Contents& contents)
    : server_(r->server), real_(r), headers_at_(contents.headers_at),
      subprotocols_at_(contents.subprotocols_at), present_(contents.present),
      headers_(contents.headers), environment_(contents.environment),
      subprotocols_(contents.subprotocols), proto_num_(static_cast<std::uint16_t>(r->proto_num)),
      client_port_(r->connection->client_addr->port), useragent_port_(r->useragent_addr->port),
      local_port_(r->connection->local_addr->port) {
    pack(contents.strings, reinterpret_cast<char*>(this + 1));
}

RequestSnapshot::~RequestSnapshot() {
    if (native_ != nullptr) {
        apr_pool_destroy(native_->pool);
    }
}

std::size_t RequestSnapshot::size() const noexcept {
    const int count = std::popcount(present_) + 2 * headers_ + 2 * environment_ + subprotocols_;
    const char* at = strings();
    for (int i = 0; i < count; ++i) {
        at = next(at);
    }
    return sizeof *this + static_cast<std::size_t>(at - strings());
}

const char* RequestSnapshot::field(Field which) const noexcept {
    const char* at = strings();
    for (unsigned i = 0; i < which; ++i) {
        if ((present_ & (1U << i)) != 0) {
            at = next(at);
        }
    }
    return (present_ & (1U << which)) != 0 ? at : nullptr;
}

const char* RequestSnapshot::header(const char* name) const noexcept {
    const char* at = strings() + headers_at_;
    for (unsigned i = 0; i < headers_; ++i) {
        const char* value = next(at);
        if (ap_cstr_casecmp(full_name(at), name) == 0) {
            return value;
        }
        at = next(value);
    }
    return nullptr;
}

bool RequestSnapshot::set_response_header(std::string_view name, std::string_view value) {
    if (real_ == nullptr || !set_plugin_header(real_, name, value)) {
        return false;
    }
    show_in_native(name);
    return true;
}

bool RequestSnapshot::choose_subprotocol(std::string_view name) {
    if (real_ == nullptr || !set_subprotocol(real_, *this, name)) {
        return false;
    }
    show_in_native("Sec-WebSocket-Protocol");
    return true;
}

void RequestSnapshot::show_in_native(std::string_view name) {
    if (native_ != nullptr) {
        const char* key = apr_pstrmemdup(native_->pool, name.data(), name.size());
        apr_table_set(native_->headers_out, key, apr_table_get(real_->headers_out, key));
    }
}

bool RequestSnapshot::add_response_header(std::string_view name, std::string_view value) {
    if (real_ == nullptr || !set_plugin_header(real_, name, value, true)) {
        return false;
    }
    if (native_ != nullptr) {
        apr_table_add(native_->headers_out, std::string(name).c_str(), std::string(value).c_str());
    }
    return true;
}

PlainExchange* RequestSnapshot::exchange() const noexcept {
    const RequestState* state = real_ != nullptr ? find_state(real_) : nullptr;
    return state != nullptr ? state->exchange : nullptr;
}

std::uint32_t RequestSnapshot::read_body(std::size_t most, std::span<const std::uint8_t>& body) {
    body = {};
    PlainExchange* plain = exchange();
    if (plain == nullptr) {
        return 0;  // a handshake
    }
    const std::uint32_t status = plain->body.read(most);
    if (status == 0) {
        body = plain->body.bytes();
    }
    return status;
}

bool RequestSnapshot::trusts_origin() const {
    const PlainExchange* plain = exchange();
    return plain == nullptr || comes_from_trusted_page(real_, plain->options);
}

bool RequestSnapshot::set_response_body(std::string_view type, std::span<const std::uint8_t> body) {
    if (real_ == nullptr || !protocol::is_field_value(type)) {
        return false;
    }
    if (PlainExchange* plain = exchange()) {
        plain->content = {std::string(type), {body.begin(), body.end()}};
        return true;
    }
    auto* kept = static_cast<Body*>(apr_palloc(real_->pool, sizeof(Body)));
    *kept = {apr_pstrmemdup(real_->pool, type.data(), type.size()),
             static_cast<const char*>(apr_pmemdup(real_->pool, body.data(), body.size())),
             body.size()};
    apr_pool_userdata_setn(kept, kBodyKey, nullptr, real_->pool);
    return true;
}

const RequestSnapshot::Body* RequestSnapshot::refusal_body(request_rec* r) {
    void* body = nullptr;
    apr_pool_userdata_get(&body, kBodyKey, r->pool);
    return static_cast<const Body*>(body);
}

const char* RequestSnapshot::text(std::uint32_t what) const noexcept {
    const auto either = [this](Field first, Field second) {
        const char* found = field(first);
        return found != nullptr ? found : field(second);
    };
    switch (what) {
        case WS_REQUEST_METHOD: return real_ != nullptr ? real_->method : "GET";
        case WS_REQUEST_TARGET: return field(unparsed_uri);
        case WS_REQUEST_PATH: return either(uri, unparsed_uri);
        case WS_REQUEST_QUERY: return field(args);
        case WS_REQUEST_HOST: return field(hostname);
        case WS_REQUEST_USER: return field(user);
        case WS_REQUEST_AUTH: return field(auth_type);
        case WS_REQUEST_CLIENT: return either(useragent_ip, client_ip);
        case WS_REQUEST_PEER: return field(client_ip);
        case WS_REQUEST_SERVER: return field(local_ip);
        case WS_REQUEST_BELOW: return field(below) != nullptr ? field(below) : "";
        default: return nullptr;
    }
}

std::uint16_t RequestSnapshot::port(std::uint32_t which) const noexcept {
    switch (which) {
        case WS_PORT_PEER: return client_port_;
        case WS_PORT_SERVER: return local_port_;
        default: return 0;
    }
}

const char* RequestSnapshot::environment(const char* name) const noexcept {
    const char* at = strings() + headers_at_;
    for (unsigned i = 0; i < 2U * headers_; ++i) {
        at = next(at);
    }
    for (unsigned i = 0; i < environment_; ++i) {
        const char* value = next(at);
        if (std::strcmp(full_name(at), name) == 0) {
            return value;
        }
        at = next(value);
    }
    return real_ != nullptr ? tls_variable(real_, name) : nullptr;
}

void RequestSnapshot::visit_headers(VisitHeader visit, void* data) const {
    const char* at = strings() + headers_at_;
    for (unsigned i = 0; i < headers_; ++i) {
        const char* value = next(at);
        if (!visit(data, full_name(at), value)) {
            return;
        }
        at = next(value);
    }
}

const char* RequestSnapshot::subprotocol(std::size_t index) const noexcept {
    if (index >= subprotocols_) {
        return nullptr;
    }
    const char* at = strings() + subprotocols_at_;
    for (; index > 0; --index) {
        at = next(at);
    }
    return at;
}

// Of many offers, each is looked at once.
bool RequestSnapshot::offers_subprotocol(std::string_view name) const noexcept {
    const char* at = strings() + subprotocols_at_;
    for (std::size_t i = 0; i < subprotocols_; ++i, at = next(at)) {
        if (name == at) {
            return true;
        }
    }
    return false;
}

request_rec* RequestSnapshot::native() {
    if (native_ == nullptr) {
        native_ = copy_request(*this, real_);
    }
    return native_;
}

void RequestSnapshot::detach() {
    if (native_ != nullptr) {
        adopt_plugin_headers(real_, *this, native_->headers_out);
    }
    real_ = nullptr;
}

const char* RequestSnapshot::copy_pairs(const char* at, unsigned count, apr_table_t* table) {
    for (; count > 0; --count) {
        const char* value = next(at);
        apr_table_addn(table, full_name(at), value);  // it lives as long as the table's pool
        at = next(value);
    }
    return at;
}

void RequestSnapshot::copy_tables_to(apr_table_t* headers, apr_table_t* environment) const {
    copy_pairs(copy_pairs(strings() + headers_at_, headers_, headers), environment_, environment);
}

}  // namespace websocket::httpd
