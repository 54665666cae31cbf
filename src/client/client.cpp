// SPDX-License-Identifier: Apache-2.0
// The functions of websocket/jsonrpc_client.hpp.
#include <exception>
#include <new>
#include <utility>

#include "client/event_thread.hpp"
#include "client/rpc_client.hpp"
#include "websocket/jsonrpc_client.hpp"

namespace websocket::jsonrpc {

ClientThread ClientThread::start() {
    ClientThread thread;
    thread.thread_ = std::make_shared<client::EventThread>();
    return thread;
}

Client::Client(Configuration configuration)
    : client_(std::make_shared<client::RpcClient>(std::move(configuration))) {}

Client::~Client() { client_->dismantle(); }

void Client::connect() { client_->connect(); }

std::future<Value> Client::send(std::string_view method, const Value& params,
                                const SendOptions& options) {
    auto promise = std::make_shared<std::promise<Value>>();
    std::future<Value> future = promise->get_future();
    try {
        client_->request(method, params, options, {.promise = promise});
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const std::exception&) {
        promise->set_exception(std::current_exception());
    }
    return future;
}

void Client::send(std::string_view method, const Value& params, Callback callback,
                  const SendOptions& options) {
    client_->request(method, params, options, {.callback = std::move(callback)});
}

void Client::notify(std::string_view method, const Value& params) {
    client_->notify(method, params);
}

void Client::register_method(std::string name, Method method) {
    client_->register_method(std::move(name), std::move(method));
}

bool Client::unregister_method(std::string_view name) { return client_->unregister_method(name); }

std::future<CloseInfo> Client::close(std::uint16_t code, std::string_view reason) {
    return client_->close(code, reason);
}

void Client::reconnect() { client_->reconnect(); }

void Client::force_close(std::optional<std::chrono::milliseconds> retry_in) {
    client_->force_close(retry_in);
}

ClientState Client::state() const { return client_->traffic().state(); }

std::optional<std::string> Client::session_id() const { return client_->traffic().session(); }

std::size_t Client::pending_requests() const { return client_->traffic().pending(); }

std::size_t Client::queued_messages() const { return client_->traffic().queued(); }

}  // namespace websocket::jsonrpc
