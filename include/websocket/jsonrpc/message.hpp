// SPDX-License-Identifier: Apache-2.0
// Requests, notifications and responses, as they come and go. Part of websocket/jsonrpc.hpp.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "error.hpp"
#include "value.hpp"
#include "writer.hpp"

namespace websocket::jsonrpc {

/// What is on the wire.
enum class Dialect {
    standard,  ///< JSON-RPC 2.0
    kurento,   ///< as Kurento's server: the id of the session in params and results, no batches
};

/// A request, or a notification when it has no id.
struct Call {
    std::optional<Value> id;
    std::string method;
    Value params;            ///< null when there are none
    std::string session_id;  ///< Kurento: taken out of params; empty when there was none
};

/// A response of the client to a request of ours.
struct Reply {
    Value id;
    std::optional<Error> error;
    Value result;
};

/// Neither. The id is that of the message if it has a good one, else null.
struct Invalid {
    Value id;
    std::string why;
};

using Incoming = std::variant<Call, Reply, Invalid>;

namespace detail {

/// A number for an id as Kurento takes it; nothing when it takes none.
[[nodiscard]] inline std::optional<Value> integer_id(const Value& id) {
    if (const auto integer = id.integer<std::int64_t>()) return Value(*integer);
    if (id.is_number()) {
        const double number = std::trunc(id.number());
        constexpr double kExact = 9007199254740992.0;
        if (std::abs(number) <= kExact) return Value(static_cast<std::int64_t>(number));
    } else if (id.is_text()) {
        const std::string& text = id.text();
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error == std::errc() && end == text.data() + text.size()) return Value(number);
    }
    return {};
}

/// Takes what Kurento has added to the params of a request, or to a result.
inline std::string take_session_id(Value& from) {
    const Value* id = from.find("sessionId");
    if (id == nullptr) return {};
    std::string text = id->is_text() ? id->text() : std::string();
    from.remove("sessionId");
    return text;
}

[[nodiscard]] inline Reply reply_of(Value&& message, Value id) {
    Reply reply{std::move(id), {}, {}};
    if (Value* error = message.find("error")) {
        const Value* code = error->find("code");
        const Value* text = error->find("message");
        const Value* data = error->find("data");
        const auto number = code != nullptr ? code->integer<std::int32_t>() : std::nullopt;
        reply.error.emplace(number.value_or(kInternalError),
                            text != nullptr && text->is_text() ? text->text() : "unknown error",
                            data != nullptr ? *data : Value());
    } else if (Value* result = message.find("result")) {
        reply.result = std::move(*result);
    }
    return reply;
}

}  // namespace detail

/// What a member of a batch, or a message that is none, is.
[[nodiscard]] inline Incoming classify(Value message, Dialect dialect) {
    const bool kurento = dialect == Dialect::kurento;
    if (!message.is_object()) {
        return Invalid{{}, std::string("a request has to be an object, not ") + message.kind()};
    }
    std::optional<Value> id;
    if (const Value* given = message.find("id")) {
        id = kurento ? detail::integer_id(*given)
             : given->is_text() || given->is_number() || given->is_null() ? std::optional(*given)
                                                                          : std::nullopt;
        if (!id) {
            return Invalid{{},
                           std::string("member \"id\" has to be a string, a number or null, not ") +
                               given->kind()};
        }
    }
    const Value* version = message.find("jsonrpc");
    if (!kurento && (version == nullptr || *version != Value("2.0"))) {
        return Invalid{id.value_or(Value()), "member \"jsonrpc\" has to be \"2.0\""};
    }
    Value* method = message.find("method");
    if (method == nullptr || (kurento && method->is_null())) {
        const bool answers = message.find("result") != nullptr || message.find("error") != nullptr;
        if (!id || (!answers && !kurento)) {
            return Invalid{id.value_or(Value()), "member \"method\" is missing"};
        }
        return detail::reply_of(std::move(message), std::move(*id));
    }
    if (!method->is_text()) {
        return Invalid{id.value_or(Value()),
                       std::string("member \"method\" has to be a string, not ") + method->kind()};
    }
    Call call{std::move(id), method->text(), {}, {}};
    if (Value* params = message.find("params")) {
        if (!kurento && !params->is_array() && !params->is_object()) {
            return Invalid{call.id.value_or(Value()),
                           std::string("member \"params\" has to be an array or an object, not ") +
                               params->kind()};
        }
        call.params = std::move(*params);
        if (kurento) call.session_id = detail::take_session_id(call.params);
    }
    return call;
}

/// The texts that go out. `id` is that of the request; `session` the id of its session, for Kurento.
class Texts {
public:
    explicit Texts(Dialect dialect) noexcept : kurento_(dialect == Dialect::kurento) {}

    /// What a method has returned. null: nothing.
    [[nodiscard]] std::string result(const Value& id, const Value& result,
                                     std::string_view session) const {
        if (!kurento_ || session.empty()) return plain(id, result);
        std::string text = begin(id);
        if (result.is_null()) {
            text += R"("jsonrpc":"2.0","result":{"sessionId":)";
            append_text(text, session);
            return text += "}}";
        }
        text += R"("result":{)";
        if (result.is_object()) {
            for (const Member& one : result.members()) {
                if (one.name == "sessionId") continue;
                append_text(text, one.name);
                text += ':';
                append_json(text, one.value);
                text += ',';
            }
        } else {
            text += R"("value":)";
            append_json(text, result);
            text += ',';
        }
        text += R"("sessionId":)";
        append_text(text, session);
        text += '}';
        return end(text);
    }
    /// A result in which nothing is changed.
    [[nodiscard]] static std::string plain(const Value& id, const Value& result) {
        std::string text = begin(id);
        text += R"("result":)";
        append_json(text, result);
        return end(text);
    }
    /// For a handler that has not answered.
    [[nodiscard]] std::string automatic(const Value& id) const {
        return plain(id, kurento_ ? Value("") : Value());
    }
    /// An error that a method has answered with.
    [[nodiscard]] std::string error(const Value& id, const Error& error,
                                    std::string_view session) const {
        if (!kurento_) return failure(id, error);
        std::string text = begin(id);
        begin_error(text, error);
        const Value* type = error.data.find("type");
        if (!error.type.empty() || (type != nullptr && type->is_text())) {
            text += R"(,"type":)";
            append_text(text, !error.type.empty() ? error.type : type->text());
        }
        if (!session.empty()) {
            text += R"(,"sessionId":)";
            append_text(text, session);
        }
        return text += R"(},"jsonrpc":"2.0","data":{}})";
    }
    /// An error that a method has thrown.
    [[nodiscard]] std::string thrown(const Value& id, const Error& error) const {
        if (!kurento_) return failure(id, error);
        return failure(id,
                       Error(error.code,
                             std::string(error.what()) + ". Code: " + std::to_string(error.code),
                             error.data, error.type));
    }
    /// An error of ours.
    [[nodiscard]] static std::string failure(const Value& id, const Error& error) {
        std::string text = begin(id);
        begin_error(text, error);
        text += '}';
        return end(text);
    }
    /// A request to the client, or a notification without id. Params that are null are left out.
    [[nodiscard]] std::string call(std::optional<std::int64_t> id, std::string_view method,
                                   const Value& params) const {
        std::string text = "{";
        if (id) {
            text += R"("id":)";
            detail::append_number(text, *id);
            text += ',';
        }
        text += R"("method":)";
        append_text(text, method);
        text += ',';
        if (!params.is_null()) {
            // Section 4.2: params are structured.
            const bool lone = !kurento_ && !params.is_array() && !params.is_object();
            text += lone ? R"("params":[)" : R"("params":)";
            append_json(text, params);
            text += lone ? "]," : ",";
        }
        return text += R"("jsonrpc":"2.0"})";
    }

private:
    [[nodiscard]] static std::string begin(const Value& id) {
        std::string text = R"({"id":)";
        append_json(text, id);
        text += ',';
        return text;
    }
    static void begin_error(std::string& text, const Error& error) {
        text += R"("error":{"code":)";
        detail::append_number(text, error.code);
        text += R"(,"message":)";
        append_text(text, error.what());
        if (!error.data.is_null()) {
            text += R"(,"data":)";
            append_json(text, error.data);
        }
    }
    [[nodiscard]] static std::string end(std::string& text) {
        text += R"(,"jsonrpc":"2.0"})";
        return std::move(text);
    }

    bool kurento_;
};

}  // namespace websocket::jsonrpc
