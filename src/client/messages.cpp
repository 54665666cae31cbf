// SPDX-License-Identifier: Apache-2.0
#include "client/messages.hpp"

#include <utility>

#include "websocket/jsonrpc/writer.hpp"
#include "websocket/utf8.hpp"

namespace websocket::client {

namespace {

std::string checked(std::string text, std::string_view what) {
    if (!is_utf8(text)) {
        throw jsonrpc::ConfigurationError(std::string(what) + " must be UTF-8");
    }
    return text;
}

NoMessage refuse(const std::string& why, std::string_view text, const Value* id = nullptr) {
    return {jsonrpc::ProtocolError(why, text),
            id != nullptr ? id->integer<std::int64_t>() : std::nullopt};
}

/// The error of an answer; nothing when it is none.
std::optional<jsonrpc::Error> error_of(const Value& error) {
    const Value* code = error.find("code");
    const Value* text = error.find("message");
    const auto number = code != nullptr ? code->integer<std::int32_t>() : std::nullopt;
    if (!number || text == nullptr || !text->is_text()) {
        return {};
    }
    const Value* data = error.find("data");
    const Value* type = error.find("type");
    return jsonrpc::Error(*number, text->text(), data != nullptr ? *data : Value(),
                          type != nullptr && type->is_text() ? type->text() : std::string());
}

}  // namespace

std::string request_text(std::string_view method, const Value& params,
                         std::optional<std::int64_t> id) {
    if (method.empty()) {
        throw jsonrpc::ConfigurationError("a method must have a name");
    }
    if (!params.is_null() && !params.is_array() && !params.is_object()) {
        throw jsonrpc::ConfigurationError(
            "params of \"" + std::string(method) +
            "\" must be an object or an array, or null for none, not " + params.kind());
    }
    std::string text = R"({"jsonrpc":"2.0","method":)";
    jsonrpc::append_text(text, method);
    if (!params.is_null()) {
        text += R"(,"params":)";
        jsonrpc::append_json(text, params);
    }
    if (id) {
        text += R"(,"id":)" + std::to_string(*id);
    }
    return checked(text += '}', "method and params");
}

std::string result_text(const Value& id, const Value& result) {
    std::string text = R"({"jsonrpc":"2.0","result":)";
    jsonrpc::append_json(text, result);
    text += R"(,"id":)";
    jsonrpc::append_json(text, id);
    return checked(text += '}', "a result");
}

std::string error_text(const Value& id, const jsonrpc::Error& error) {
    Value object = Value::object({{"code", error.code}, {"message", error.what()}});
    if (!error.data.is_null()) {
        object.set("data", error.data);
    }
    if (!error.type.empty()) {
        object.set("type", error.type);
    }
    std::string text = R"({"jsonrpc":"2.0","error":)";
    jsonrpc::append_json(text, object);
    text += R"(,"id":)";
    jsonrpc::append_json(text, id);
    return checked(text += '}', "an error");
}

std::string well_formed(std::string_view text) {
    constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
    std::string result;
    while (!text.empty()) {
        const std::size_t size = websocket::detail::utf8_character(text);
        result += size > 0 ? text.substr(0, size) : kReplacement;
        text.remove_prefix(size > 0 ? size : 1);
    }
    return result;
}

std::variant<ServerCall, ServerAnswer, NoMessage> read_message(const jsonrpc::Reader& reader,
                                                               std::string_view text) {
    Value message;
    try {
        message = reader.read(text);
    } catch (const jsonrpc::ReadError& error) {
        return refuse(std::string("a message cannot be read: ") + error.what(), text);
    }
    if (!message.is_object()) {
        return refuse(std::string("a message must be an object, not ") + message.kind(), text);
    }
    Value* const id = message.find("id");
    Value* const method = message.find("method");
    const bool calls = method != nullptr && !method->is_null();
    const Value* const answered = calls ? nullptr : id;
    const Value* const version = message.find("jsonrpc");
    if (version == nullptr || *version != Value("2.0")) {
        return refuse(R"("jsonrpc" must be "2.0")", text, answered);
    }
    if (id != nullptr && !id->is_text() && !id->is_number() && !id->is_null()) {
        return refuse("\"id\" must be a number, a string or null", text);
    }
    if (calls) {
        if (!method->is_text()) {
            return refuse("\"method\" must be a string", text);
        }
        Value* const params = message.find("params");
        return ServerCall{id != nullptr ? std::optional(std::move(*id)) : std::nullopt,
                          method->text(), params != nullptr ? std::move(*params) : Value()};
    }
    if (id == nullptr) {
        return refuse(R"(a message has neither "method" nor "id")", text);
    }
    Value* const result = message.find("result");
    const Value* const error = message.find("error");
    const bool failed = error != nullptr && !error->is_null();
    if (failed == (result != nullptr)) {
        return refuse(R"(an answer must have one of "result" and "error")", text, answered);
    }
    if (!failed) {
        return ServerAnswer{*id, {}, std::move(*result)};
    }
    std::optional<jsonrpc::Error> told = error_of(*error);
    if (!told) {
        return refuse(R"("error" must be an object with an integer "code" and a text "message")",
                      text, answered);
    }
    return ServerAnswer{*id, std::move(told), {}};
}

}  // namespace websocket::client
