// SPDX-License-Identifier: Apache-2.0
#include "client/rpc_client.hpp"

#include <exception>
#include <new>
#include <stdexcept>
#include <utility>

#include "client/checked_configuration.hpp"
#include "client/uri.hpp"

namespace websocket::client {

namespace {

constexpr std::size_t kDepth = 128;  // arrays and objects within each other

jsonrpc::Configuration checked(jsonrpc::Configuration configuration) {
    check(configuration);
    return configuration;
}

/// Null where no connection will be one of TLS.
std::unique_ptr<net::TlsClientContext> tls_context(const jsonrpc::WsConfiguration& ws) {
    if (!ws.new_ws_uri_on_reconnection && !parse_uri("ws.uri", ws.uri).tls) {
        return nullptr;
    }
    try {
        return std::make_unique<net::TlsClientContext>(net::TlsClientOptions{
            ws.tls.verify, ws.tls.ca_file, ws.tls.certificate_file, ws.tls.key_file});
    } catch (const std::runtime_error& error) {
        throw jsonrpc::ConfigurationError(std::string("ws.tls: ") + error.what());
    }
}

}  // namespace

RpcClient::RpcClient(jsonrpc::Configuration configuration)
    : thread_(configuration.thread ? configuration.thread.get() : std::make_shared<EventThread>()),
      configuration_(checked(std::move(configuration))), tls_(tls_context(configuration_.ws)),
      reader_({configuration_.ws.max_message_size, kDepth}),
      traffic_({configuration_.max_pending_requests, configuration_.max_queued_messages,
                configuration_.ws.max_buffered_bytes}),
      methods_(configuration_.rpc.methods.begin(), configuration_.rpc.methods.end()),
      backoff_(configuration_.ws.reconnection) {
    // Of kurento-jsonrpc.
    methods_.emplace("pull", jsonrpc::Method([](const Value&) { return "push"; }));
    net::Reactor& reactor = thread_->reactor();
    resolver_.emplace(reactor);
    retry_timer_.emplace(reactor, [this] { guarded([this] { start_connection(); }); });
    stable_timer_.emplace(reactor, [this] { backoff_.reset(); });
    heartbeat_timer_.emplace(reactor, [this] { guarded([this] { beat(false); }); });
}

// --- [any thread] --------------------------------------------------------------------------------

void RpcClient::connect() {
    traffic_.check_open();
    run([this] {
        if (!std::exchange(started_, true) && !ended()) {
            start_connection();
        }
    });
}

void RpcClient::request(std::string_view method, const Value& params,
                        const jsonrpc::SendOptions& options, Completion completion) {
    auto pending = std::make_shared<Pending>();
    pending->timeout = options.timeout.value_or(configuration_.rpc.request_timeout);
    check_timeout(pending->timeout);
    pending->id = next_id_.fetch_add(1, std::memory_order_relaxed);
    pending->method = method;
    pending->text = request_text(method, params, pending->id);
    pending->retries = options.retries;
    pending->counted = true;
    pending->completion = std::move(completion);
    traffic_.accept(pending->text.size(), true);
    try {
        run([this, pending] { begin(pending); });
    } catch (const std::bad_alloc&) {
        traffic_.gone(pending->text.size());
        traffic_.answered();
        throw;
    }
}

void RpcClient::notify(std::string_view method, const Value& params) {
    const std::string text = request_text(method, params, {});
    traffic_.accept(text.size(), false);
    try {
        run([this, text] { post({text, {}, 0}); });
    } catch (const std::bad_alloc&) {
        traffic_.gone(text.size());
        throw;
    }
}

void RpcClient::register_method(std::string name, jsonrpc::Method method) {
    if (name.empty()) {
        throw jsonrpc::ConfigurationError("a method must have a name");
    }
    const std::lock_guard lock(methods_mutex_);
    methods_.insert_or_assign(std::move(name), std::move(method));
}

bool RpcClient::unregister_method(std::string_view name) {
    const std::lock_guard lock(methods_mutex_);
    const auto found = methods_.find(name);
    if (found == methods_.end()) {
        return false;
    }
    methods_.erase(found);
    return true;
}

std::future<jsonrpc::CloseInfo> RpcClient::close(std::uint16_t code, std::string_view reason) {
    check_close(code, reason);
    auto closer = std::make_shared<std::promise<jsonrpc::CloseInfo>>();
    std::future<jsonrpc::CloseInfo> future = closer->get_future();
    traffic_.close("the client has been closed");
    run([this, code, text = std::string(reason), closer] { begin_close(code, text, closer); });
    return future;
}

void RpcClient::reconnect() {
    traffic_.check_open();
    run([this] {
        if (!ended()) {
            started_ = true;
            reconnect_now();
        }
    });
}

void RpcClient::force_close(std::optional<std::chrono::milliseconds> retry_in) {
    traffic_.check_open();
    run([this, retry_in] {
        if (!ended() && started_) {
            drop_connection();
            lost({1006, "the connection was closed by force", false, false, {}}, retry_in);
        }
    });
}

void RpcClient::dismantle() {
    if (thread_->here()) {
        take_apart();
        return;
    }
    const auto done = std::make_shared<std::promise<void>>();
    std::future<void> apart = done->get_future();
    thread_->post([self = shared_from_this(), done] {
        self->take_apart();
        done->set_value();
    });
    apart.wait();
    if (!configuration_.thread) {
        // Here, as otherwise the last task that knows the client may outlive its destructor.
        thread_->end();
    }
}

// --- callbacks -----------------------------------------------------------------------------------

void RpcClient::later(std::function<void()> function, bool always) {
    callbacks_.add(std::move(function), always);
    if (!std::exchange(callbacks_posted_, true)) {
        thread_->post([self = shared_from_this()] { self->run_callbacks(); });
    }
}

void RpcClient::run_callbacks() {
    callbacks_posted_ = false;
    callbacks_.run([this](const std::exception_ptr& error) { threw(error); }, dead_);
}

/// Of a listener or a callback. Who has nobody to tell is not silent about it.
void RpcClient::threw(const std::exception_ptr& error) noexcept {
    const auto listener = configuration_.ws.on_error;
    if (!listener) {
        std::rethrow_exception(error);  // ends the program: this throws nothing
    }
    listener(error);
}

void RpcClient::report(const std::exception_ptr& error) { tell(configuration_.ws.on_error, error); }

}  // namespace websocket::client
