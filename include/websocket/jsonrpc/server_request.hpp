// SPDX-License-Identifier: Apache-2.0
// What the server asks a client, and the methods that answer. Part of websocket/jsonrpc_client.hpp.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "client_errors.hpp"
#include "value.hpp"

namespace websocket::jsonrpc {

/// A request or a notification of the server. Copies stand for the same one, may be kept, and may outlive the client.
/// When the last copy of a request goes and nobody has answered, the server gets -32603. [any thread]
class ServerRequest {
public:
    [[nodiscard]] const std::string& method() const noexcept { return call_->method; }
    /// null if there are none.
    [[nodiscard]] const Value& params() const noexcept { return call_->params; }
    /// Is not answered: success() and error() do nothing.
    [[nodiscard]] bool is_notification() const noexcept { return call_->notification; }

    /// Answers with a result. Throws AlreadyAnsweredError; ConfigurationError when a text in it is not UTF-8. An answer
    /// that cannot be sent any more is dropped.
    void success(const Value& result = {}) const { call_->answer(&result, nullptr); }
    /// Answers with an error. Throws as success().
    void error(const Error& why) const { call_->answer(nullptr, &why); }

    /// The client's side of it.
    struct Call {
        Call() = default;
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;
        virtual ~Call() = default;
        virtual void answer(const Value* result, const Error* error) = 0;

        std::string method;
        Value params;
        bool notification = false;
    };
    explicit ServerRequest(std::shared_ptr<Call> call) noexcept : call_(std::move(call)) {}

private:
    std::shared_ptr<Call> call_;
};

/// A function that the server may call: one that takes the params and returns what becomes a Value, or nothing, answers
/// with that at once; one that takes a ServerRequest answers by it, now or later. An Error that it throws is the
/// answer; of another exception the server gets -32603 and its text, and the client on_error. Bytes of the texts that are
/// not UTF-8 become U+FFFD.
class Method {
public:
    template <class Function>
    requires std::invocable<Function&, const Value&> &&
        (!std::same_as<std::remove_cvref_t<Function>, Method>)Method(Function function)
        : call_([answer = std::move(function)](const ServerRequest& request) mutable {
              if constexpr (std::is_void_v<std::invoke_result_t<Function&, const Value&>>) {
                  answer(request.params());
                  request.success();
              } else {
                  request.success(Value(answer(request.params())));
              }
          }) {}
    template <class Function>
    requires std::invocable<Function&, ServerRequest> &&
        (!std::invocable<Function&, const Value&>)Method(Function function)
        : call_([answer = std::move(function)](const ServerRequest& request) mutable {
              answer(request);
          }) {}

    void operator()(const ServerRequest& request) const { call_(request); }

private:
    std::function<void(const ServerRequest&)> call_;
};

}  // namespace websocket::jsonrpc
