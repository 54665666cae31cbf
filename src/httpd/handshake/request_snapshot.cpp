// SPDX-License-Identifier: Apache-2.0
#include "httpd/handshake/request_snapshot.hpp"

#include <apr_lib.h>
#include <apr_optional.h>
#include <apr_strings.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

#include "httpd/config/config.hpp"
#include "httpd/handshake/header_names.hpp"
#include "httpd/handshake/origin.hpp"
#include "httpd/handshake/plain_request.hpp"
#include "httpd/handshake/request_copy.hpp"
#include "httpd/handshake/response_headers.hpp"
#include "httpd/plain/plain_exchange.hpp"
#include "httpd/plain/stranger.hpp"
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

bool same(const char* a, const char* b) {
    return a != nullptr && b != nullptr && std::strcmp(a, b) == 0;
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

/// Where strings are read: in what is shared, but one that has kOwn in its place there is behind the object.
class RequestSnapshot::Strings {
public:
    /// Strings that begin with it are never shared, so it stands for nothing else.
    static constexpr char kOwn = 0x19;

    Strings(const char* shared, const char* own) noexcept : shared_(shared), own_(own) {}

    const char* next() noexcept {
        const bool is_own = *shared_ == kOwn;
        const char* text = is_own ? own_ : shared_;
        shared_ = behind(shared_);
        own_ = is_own ? behind(own_) : own_;
        return text;
    }
    Strings& skip(unsigned count) noexcept {
        for (; count > 0; --count) {
            static_cast<void>(next());
        }
        return *this;
    }

private:
    static const char* behind(const char* text) noexcept { return text + std::strlen(text) + 1; }

    const char* shared_;
    const char* own_;
};

struct RequestSnapshot::Contents {
    Shape shape{};
    std::string shared;  ///< the shape, and strings
    std::string own;     ///< strings

    explicit Contents(request_rec* r) : shared(sizeof(Shape), '\0') {
        shared.reserve(kUsual);
        own.reserve(kUsual);
        shape.server = r->server;
        shape.proto_num = static_cast<std::uint16_t>(r->proto_num);
        shape.local_port = r->connection->local_addr->port;
        add_fields(r);
        shape.headers =
            add_rows(r->headers_in, [](const char* name) { return is_alike_header(name); });
        shape.environment =
            add_rows(r->subprocess_env, [](const char* name) { return is_alike_variable(name); });
        add_subprotocols(r);
        if (size_ > UINT32_MAX) {
            throw std::bad_alloc();
        }
        shape.size = static_cast<std::uint32_t>(size_);
        std::memcpy(shared.data(), &shape, sizeof shape);
    }

private:
    static constexpr std::size_t kUsual = 512;
    /// Plugins look at one after the other, and each is looked for from the begin.
    static constexpr std::uint16_t kMaxSubprotocols = 128;

    void add(std::string_view text, bool alike) {
        size_ += text.size() + 1;
        if (alike && !text.starts_with(Strings::kOwn)) {
            shared.append(text).push_back('\0');
        } else {
            shared.append({Strings::kOwn, '\0'});
            own.append(text).push_back('\0');
        }
    }

    void add_fields(const request_rec* r) {
        const conn_rec* c = r->connection;
        const std::array<const char*, kFields> fields{
            r->unparsed_uri, same(r->uri, r->unparsed_uri) ? nullptr : r->uri,
            r->args,         is_in_document_root(r) ? nullptr : r->filename,
            r->path_info,    r->hostname,
            r->user,         r->ap_auth_type,
            c->client_ip,    same(r->useragent_ip, c->client_ip) ? nullptr : r->useragent_ip,
            c->local_ip,     below_of(r),
        };
        // What a query says is often a token.
        const unsigned of_the_client =
            (1U << user) | (1U << client_ip) | (1U << useragent_ip) |
            (r->args != nullptr ? (1U << unparsed_uri) | (1U << args) : 0U);
        for (std::size_t i = 0; i < fields.size(); ++i) {
            if (fields.at(i) != nullptr) {
                shape.present = static_cast<std::uint16_t>(shape.present | (1U << i));
                add(fields.at(i), (of_the_client & (1U << i)) == 0);
            }
        }
    }

    template <class IsAlike>
    std::uint16_t add_rows(const apr_table_t* table, IsAlike is_alike) {
        const apr_array_header_t* rows = apr_table_elts(table);
        const std::span entries(reinterpret_cast<const apr_table_entry_t*>(rows->elts),
                                static_cast<std::size_t>(rows->nelts));
        std::uint16_t count = 0;
        for (const apr_table_entry_t& entry : entries) {
            if (entry.key != nullptr && entry.val != nullptr && count < UINT16_MAX) {
                add(packed_name(entry.key), true);
                add(entry.val, is_alike(entry.key));
                ++count;
            }
        }
        return count;
    }

    void add_subprotocols(request_rec* r) {
        if (const char* offered = apr_table_get(r->headers_in, "Sec-WebSocket-Protocol")) {
            if (const auto tokens = protocol::parse_token_list(offered)) {
                for (const std::string_view token : *tokens) {
                    if (shape.subprotocols < kMaxSubprotocols) {
                        add(token, false);
                        ++shape.subprotocols;
                    }
                }
            }
        }
    }

    /// What WebSocketMaxRequestSize bounds: what a client can make the child hold that is like no other.
    std::size_t size_ = kAlone;
    static constexpr std::size_t kAlone = 56;
};

std::unique_ptr<RequestSnapshot> RequestSnapshot::take(request_rec* r) {
    const Contents contents(r);
    return std::unique_ptr<RequestSnapshot>(new (Extra{contents.own.size()})
                                                RequestSnapshot(r, contents));
}

RequestSnapshot::RequestSnapshot(request_rec* r, const Contents& contents)
    : shared_(contents.shared), real_(r), client_port_(r->connection->client_addr->port),
      useragent_port_(r->useragent_addr->port) {
    std::copy(contents.own.begin(), contents.own.end(), reinterpret_cast<char*>(this + 1));
}

RequestSnapshot::~RequestSnapshot() {
    if (native_ != nullptr) {
        apr_pool_destroy(native_->pool);
    }
}

RequestSnapshot::Strings RequestSnapshot::all() const noexcept {
    return {shared_.data() + sizeof(Shape), reinterpret_cast<const char*>(this + 1)};
}

RequestSnapshot::Strings RequestSnapshot::headers() const noexcept {
    return all().skip(static_cast<unsigned>(std::popcount(shape().present)));
}

RequestSnapshot::Strings RequestSnapshot::subprotocols() const noexcept {
    return headers().skip(2U * shape().headers + 2U * shape().environment);
}

const char* RequestSnapshot::field(Field which) const noexcept {
    const unsigned present = shape().present;
    const unsigned bit = 1U << which;
    const auto before = static_cast<unsigned>(std::popcount(present & (bit - 1)));
    return (present & bit) != 0 ? all().skip(before).next() : nullptr;
}

const char* RequestSnapshot::header(const char* name) const noexcept {
    Strings strings = headers();
    for (unsigned i = 0; i < shape().headers; ++i) {
        const char* found = full_name(strings.next());
        const char* value = strings.next();
        if (ap_cstr_casecmp(found, name) == 0) {
            return value;
        }
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

bool RequestSnapshot::is_open() const { return exchange() == nullptr || admits_strangers(real_); }

bool RequestSnapshot::accept_event_stream(std::chrono::milliseconds retry) {
    PlainExchange* plain = exchange();
    if (plain == nullptr || real_->method_number != M_GET || is_for_another(real_)) {
        return false;
    }
    plain->event_stream = retry;
    event_stream_ = true;
    return true;
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
        case WS_PORT_SERVER: return local_port();
        default: return 0;
    }
}

const char* RequestSnapshot::environment(const char* name) const noexcept {
    Strings strings = headers().skip(2U * shape().headers);
    for (unsigned i = 0; i < shape().environment; ++i) {
        const char* found = full_name(strings.next());
        const char* value = strings.next();
        if (std::strcmp(found, name) == 0) {
            return value;
        }
    }
    return real_ != nullptr ? tls_variable(real_, name) : nullptr;
}

void RequestSnapshot::visit_headers(VisitHeader visit, void* data) const {
    Strings strings = headers();
    for (unsigned i = 0; i < shape().headers; ++i) {
        const char* name = full_name(strings.next());
        if (!visit(data, name, strings.next())) {
            return;
        }
    }
}

const char* RequestSnapshot::subprotocol(std::size_t index) const noexcept {
    return index < shape().subprotocols ? subprotocols().skip(static_cast<unsigned>(index)).next()
                                        : nullptr;
}

// Of many offers, each is looked at once.
bool RequestSnapshot::offers_subprotocol(std::string_view name) const noexcept {
    Strings strings = subprotocols();
    for (unsigned i = 0; i < shape().subprotocols; ++i) {
        if (name == strings.next()) {
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

void RequestSnapshot::copy_pairs(Strings& strings, unsigned count, apr_table_t* table) {
    for (; count > 0; --count) {
        const char* name = full_name(strings.next());
        apr_table_addn(table, name, strings.next());  // both live as long as the table's pool
    }
}

void RequestSnapshot::copy_tables_to(apr_table_t* headers, apr_table_t* environment) const {
    Strings strings = this->headers();
    copy_pairs(strings, shape().headers, headers);
    copy_pairs(strings, shape().environment, environment);
}

}  // namespace websocket::httpd
