// SPDX-License-Identifier: Apache-2.0
#include "httpd/plain/plugin_answer.hpp"

#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>

#include <memory>
#include <string>
#include <utility>

#include "base/ascii.hpp"
#include "httpd/config/config.hpp"
#include "httpd/config/endpoint_settings.hpp"
#include "httpd/handshake/plain_request.hpp"
#include "httpd/handshake/refusal.hpp"
#include "httpd/handshake/request_snapshot.hpp"
#include "httpd/plain/event_stream_answer.hpp"
#include "httpd/plain/plain_exchange.hpp"
#include "httpd/process/child.hpp"
#include "httpd/request_state.hpp"
#include "httpd/response.hpp"
#include "httpd/siblings/arrival.hpp"
#include "plugin/v1/v1_http.hpp"

namespace websocket::httpd {

namespace {

bool wants_requests(const Config& config) noexcept {
    const ws_plugin* plugin = config.plugin != nullptr ? config.plugin->v1() : nullptr;
    return plugin != nullptr && plugin->on_http != nullptr;
}

/// A plugin that takes part in the process: neither stopped nor on its way there.
class InstanceInUse {
public:
    explicit InstanceInUse(plugin::V1Instance& instance) noexcept
        : instance_(instance.try_enter() ? &instance : nullptr) {}
    InstanceInUse(const InstanceInUse&) = delete;
    InstanceInUse& operator=(const InstanceInUse&) = delete;
    ~InstanceInUse() {
        if (instance_ != nullptr) {
            instance_->leave();
        }
    }
    [[nodiscard]] explicit operator bool() const noexcept { return instance_ != nullptr; }

private:
    plugin::V1Instance* instance_;
};

/// The exchange is known to the request as long as this object lives.
class ExchangeScope {
public:
    ExchangeScope(request_rec* r, PlainExchange& exchange) : state_(state_of(r)) {
        state_.exchange = &exchange;
    }
    ExchangeScope(const ExchangeScope&) = delete;
    ExchangeScope& operator=(const ExchangeScope&) = delete;
    ~ExchangeScope() { state_.exchange = nullptr; }

private:
    RequestState& state_;
};

constexpr bool has_no_content(int status) noexcept {
    return status == HTTP_NO_CONTENT || status == HTTP_RESET_CONTENT || status == HTTP_NOT_MODIFIED;
}

/// httpd writes the Allow of its own pages by what it knows itself.
void learn_allowed_methods(request_rec* r) {
    const char* allow = apr_table_get(r->headers_out, "Allow");
    if (allow == nullptr) {
        return;
    }
    ap_allow_methods(r, REPLACE_ALLOW, nullptr);
    const char* rest = allow;
    while (char* method = ap_get_token(r->pool, &rest, 0)) {
        if (*method != '\0') {
            ap_allow_methods(r, MERGE_ALLOW, method, nullptr);
            if (ap_method_number_of(method) == M_INVALID) {
                // httpd shows the list of such names only with this.
                r->allowed_methods->method_mask |= AP_METHOD_BIT << M_INVALID;
            }
        }
        if (*rest == '\0') {
            break;
        }
        ++rest;
    }
    apr_table_unset(r->headers_out, "Allow");
}

int send_page_of_httpd(request_rec* r, int status) {
    if (status == HTTP_METHOD_NOT_ALLOWED || status == HTTP_NOT_IMPLEMENTED) {
        learn_allowed_methods(r);
    }
    keep_headers_with_page(r);
    return status;
}

/// A Content-Type among the headers is what set_header() was called with; httpd has its own place for it.
void adopt_content_type(request_rec* r, const std::string& type) {
    const char* set = apr_table_get(r->headers_out, "Content-Type");
    const char* wanted = !type.empty() ? type.c_str() : set;
    if (wanted != nullptr) {
        ap_set_content_type(r, apr_pstrdup(r->pool, wanted));
    }
    apr_table_unset(r->headers_out, "Content-Type");
}

/// What the client has may be as good (RFC 9110 section 13). After other methods it is too late to ask.
bool has_validator(const request_rec* r) {
    const bool has = apr_table_get(r->headers_out, "ETag") != nullptr ||
                     apr_table_get(r->headers_out, "Last-Modified") != nullptr;
    return has && r->method_number == M_GET && r->prev == nullptr && r->main == nullptr;
}

int send_answer(request_rec* r, int status, const PlainExchange& exchange) {
    Arrival::give_back(r->connection);  // it is no connection
    if (status == HTTP_UPGRADE_REQUIRED) {
        name_upgrade(r->headers_out);
    }
    if (status >= HTTP_MULTIPLE_CHOICES && !exchange.content && !has_no_content(status)) {
        return send_page_of_httpd(r, status);
    }
    if (status != HTTP_OK) {
        set_status(r, status);  // else it may be the page of an error, which keeps that one
    } else if (has_validator(r)) {
        if (const int condition = ap_meets_conditions(r); condition != OK) {
            return condition;  // 304, or 412
        }
    }
    const PlainExchange::Content nothing;
    const PlainExchange::Content& content = exchange.content ? *exchange.content : nothing;
    if (has_no_content(status)) {
        return OK;
    }
    adopt_content_type(r, content.type);
    ap_set_content_length(r, static_cast<apr_off_t>(content.bytes.size()));
    write_all(r, reinterpret_cast<const char*>(content.bytes.data()), content.bytes.size());
    return OK;
}

int ask(request_rec* r, Child& child, plugin::V1Instance& instance, const Endpoint& endpoint) {
    PlainExchange exchange(r, endpoint.handshake);
    std::unique_ptr<RequestSnapshot> request = RequestSnapshot::take(r);
    std::uint32_t status = 0;
    {
        const ExchangeScope scope(r, exchange);
        status = plugin::answer_http(instance, *request);
    }
    if (const int answered = exchange.body.finish(); answered != OK) {
        return answered;
    }
    if (status == 0) {
        apr_table_clear(r->headers_out);
        return answer_plain_request(r);
    }
    if (exchange.event_stream && status == HTTP_OK) {
        return open_event_stream(r, child, endpoint, instance, std::move(request),
                                 *exchange.event_stream);
    }
    return send_answer(r, static_cast<int>(status), exchange);
}

int refuse_request(request_rec* r, engine::Refusal why) {
    if (why == engine::Refusal::stopping && wants_event_stream(r)) {
        return ask_listener_to_come_again(r);
    }
    return why == engine::Refusal::stopping
               ? ask_to_come_again(r)
               : unavailable(r, "out of memory, descriptors or threads");
}

int answer_with_child(request_rec* r, Child& child) {
    plugin::Host& host = child.host();
    auto why = engine::Refusal::stopping;
    if (!host.engine.begin(why)) {
        return refuse_request(r, why);
    }
    if (!host.pool.ready() || !child.watch().start()) {
        return unavailable(r, "no thread for the plugin, or to watch over it");
    }
    const Endpoint& endpoint = endpoint_of(r);
    Instances& instances = child.instances();
    plugin::V1Instance& instance = instances.of(endpoint.service);
    if (!instance.start()) {
        return host.engine.stopping() ? ask_to_come_again(r) : HTTP_INTERNAL_SERVER_ERROR;
    }
    instances.tell_of_drain(instance);
    const InstanceInUse use(instance);
    return use ? ask(r, child, instance, endpoint) : refuse_request(r, engine::Refusal::stopping);
}

}  // namespace

int answer_without_handshake(request_rec* r) {
    if (!wants_requests(config_of(r))) {
        return answer_plain_request(r);
    }
    Child* child = Child::instance();
    if (child == nullptr) {
        return unavailable(r, "this child has not enough memory");
    }
    if (!child->settle()) {
        return refuse_fork(r);
    }
    return answer_with_child(r, *child);
}

}  // namespace websocket::httpd
