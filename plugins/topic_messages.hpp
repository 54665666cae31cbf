// SPDX-License-Identifier: Apache-2.0
// The JSON of websocket_topic.cpp: docs/publish.md has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <websocket/history.hpp>
#include <websocket/jsonrpc/reader.hpp>
#include <websocket/jsonrpc/writer.hpp>
#include <websocket/plugin.hpp>

#include "topic_pattern.hpp"

namespace topic {

using websocket::jsonrpc::append_json;
using websocket::jsonrpc::append_text;
using websocket::jsonrpc::Reader;
using websocket::jsonrpc::ReadError;
using websocket::jsonrpc::Value;

/// What went wrong, with a code that means what it does in HTTP.
class Complaint : public std::runtime_error {
public:
    Complaint(std::uint32_t code, const std::string& sentence)
        : std::runtime_error(sentence), code_(code) {}
    [[nodiscard]] std::uint32_t code() const noexcept { return code_; }

private:
    std::uint32_t code_;
};

// ---- base64 (RFC 4648 section 4) ---------------------------------------------------------------------

inline constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

inline void append_base64(std::string& out, websocket::Bytes bytes) {
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const auto byte = [&](std::size_t at) -> unsigned {
            return at < bytes.size() ? bytes[at] : 0U;
        };
        const unsigned bits = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
        out += kBase64[bits >> 18];
        out += kBase64[bits >> 12 & 63];
        out += i + 1 < bytes.size() ? kBase64[bits >> 6 & 63] : '=';
        out += i + 2 < bytes.size() ? kBase64[bits & 63] : '=';
    }
}

/// Nothing when it is none, also for bits behind the end that are not 0.
[[nodiscard]] inline std::optional<std::string> from_base64(std::string_view text) {
    if (text.size() % 4 != 0) return {};
    const std::size_t filled = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool filler = i >= text.size() - filled;
        const std::size_t digit = filler ? 0 : kBase64.find(text[i]);
        if (digit == std::string_view::npos) return {};
        bits = bits << 6 | static_cast<std::uint32_t>(digit);
        if (i % 4 != 3) continue;
        const std::size_t fill = i + 1 == text.size() ? filled : 0;
        if ((bits & ((1U << 8 * fill) - 1)) != 0) return {};
        for (std::size_t byte = 0; byte < 3 - fill; ++byte) {
            bytes += static_cast<char>(bits >> (16 - 8 * byte) & 0xFF);
        }
        bits = 0;
    }
    return bytes;
}

// ---- from the client -------------------------------------------------------------------------------

struct Request {
    enum class Kind : unsigned char { subscribe, unsubscribe, publish, ping };
    Kind kind = Kind::ping;
    std::string topic = {};  ///< empty for a ping
    websocket::Type type = websocket::Type::text;
    std::string payload = {};  ///< of a publication
    std::optional<websocket::Position> position =
        {};                         ///< of a subscription: what the client has got
    std::optional<bool> gaps = {};  ///< the same: whether it is told of gaps
};

/// Members of one that are not known are ignored, so that newer clients may say more.
class Requests {
public:
    explicit Requests(std::size_t longest_name) : longest_name_(longest_name) {}

    /// `id` is set as soon as it is known, for the answer. Throws Complaint.
    [[nodiscard]] Request read(std::string_view text, Value& id) const {
        const Value all = parsed(text);
        if (!all.is_object())
            throw Complaint(400, "the message is " + std::string(all.kind()) + ", not an object");
        if (const Value* given = all.find("id")) id = checked_id(*given);
        Request request;
        request.kind = kind_of(all);
        if (request.kind != Request::Kind::ping) request.topic = topic_of(all);
        if (request.kind == Request::Kind::publish) take_payload(all, request);
        if (request.kind == Request::Kind::subscribe) {
            request.position = position_of(all);
            request.gaps = gaps_of(all);
        }
        return request;
    }

private:
    using Kind = Request::Kind;
    static constexpr std::size_t kLongestId = 64;

    [[nodiscard]] Value parsed(std::string_view text) const {
        try {
            return reader_.read(text);
        } catch (const ReadError& error) {
            throw Complaint(text.size() > reader_.limits().size ? 413 : 400, error.what());
        }
    }
    static Value checked_id(const Value& id) {
        const bool fits = id.is_text() ? id.text().size() <= kLongestId : id.is_integer();
        if (!fits)
            throw Complaint(400, "\"id\" has to be an integer or a string of up to 64 bytes");
        return id;
    }
    static Kind kind_of(const Value& all) {
        const Value* type = all.find("type");
        if (type != nullptr && type->is_text()) {
            if (type->text() == "subscribe") return Kind::subscribe;
            if (type->text() == "unsubscribe") return Kind::unsubscribe;
            if (type->text() == "publish") return Kind::publish;
            if (type->text() == "ping") return Kind::ping;
        }
        throw Complaint(
            400, "\"type\" has to be \"subscribe\", \"unsubscribe\", \"publish\" or \"ping\"");
    }
    [[nodiscard]] std::string topic_of(const Value& all) const {
        const Value* topic = all.find("topic");
        if (topic == nullptr || !topic->is_text())
            throw Complaint(400, "\"topic\" has to be a string");
        if (const std::string why = objection_to_name(topic->text(), longest_name_); !why.empty()) {
            throw Complaint(400, "the name of the topic " + why);
        }
        return topic->text();
    }
    static std::optional<websocket::Position> position_of(const Value& all) {
        const Value* given = all.find("position");
        if (given == nullptr || given->is_null()) return {};
        const auto position =
            given->is_text() ? websocket::Position::parse(given->text()) : std::nullopt;
        if (!position) {
            throw Complaint(
                400, "\"position\" has to be a string that a message had, such as \"123-4\"");
        }
        return position;
    }
    static std::optional<bool> gaps_of(const Value& all) {
        const Value* given = all.find("gaps");
        if (given == nullptr || given->is_null()) return {};
        if (!given->is_bool()) throw Complaint(400, "\"gaps\" has to be true or false");
        return given->truth();
    }
    static void take_payload(const Value& all, Request& request) {
        const Value* data = all.find("data");
        const Value* base64 = all.find("base64");
        if ((data == nullptr) == (base64 == nullptr)) {
            throw Complaint(400, "a publication has either \"data\" or \"base64\"");
        }
        if (data != nullptr) {
            if (data->is_text()) {
                request.payload = data->text();
            } else {
                append_json(request.payload, *data);
            }
            return;
        }
        std::optional<std::string> bytes;
        if (base64->is_text()) bytes = from_base64(base64->text());
        if (!bytes) throw Complaint(400, "\"base64\" has to be a string in base64, with its \"=\"");
        request.type = websocket::Type::binary;
        request.payload = std::move(*bytes);
    }

    const std::size_t longest_name_;
    const Reader reader_{{.size = std::size_t{1} << 20, .depth = 32}};
};

// ---- to the client ---------------------------------------------------------------------------------

/// {"type":"subscribed","topic":"news","id":1}; what is empty or null is left out.
[[nodiscard]] inline std::string answer(std::string_view type, std::string_view topic,
                                        const Value& id) {
    std::string text = R"({"type":)";
    append_text(text, type);
    if (!topic.empty()) append_text(text += R"(,"topic":)", topic);
    if (!id.is_null()) append_json(text += R"(,"id":)", id);
    return text += '}';
}

[[nodiscard]] inline std::string error(std::uint32_t code, std::string_view sentence,
                                       std::string_view topic, const Value& id) {
    std::string text = answer("error", topic, id);
    text.pop_back();
    text.append(R"(,"code":)").append(std::to_string(code));
    append_text(text += R"(,"message":)", sentence);
    return text += '}';
}

/// Messages may be missing.
[[nodiscard]] inline std::string gap(std::string_view topic, std::string_view why) {
    std::string text = answer("gap", topic, {});
    text.pop_back();
    append_text(text += R"(,"why":)", why);
    return text += '}';
}

/// What has come of a subscription to a topic with history.
[[nodiscard]] inline std::string subscribed(std::string_view topic, const websocket::Position& now,
                                            std::optional<bool> recovered, const Value& id) {
    std::string text = answer("subscribed", topic, id);
    text.pop_back();
    append_text(text += R"(,"position":)", now.text());
    if (recovered) text += *recovered ? R"(,"recovered":true)" : R"(,"recovered":false)";
    return text += '}';
}

/// A publication in its envelope; with its position, if it has one.
[[nodiscard]] inline std::string envelope(std::string_view topic,
                                          const websocket::Published& message,
                                          const websocket::Position& position = {}) {
    std::string text = answer("message", topic, {});
    text.back() = ',';
    if (position.epoch != 0) append_text(text += R"("position":)", position.text());
    if (position.epoch != 0) text += ',';
    if (message.is_text()) {
        append_text(text += R"("data":)", message.text());
    } else {
        append_base64(text += R"("base64":")", message.bytes);
        text += '"';
    }
    return text += '}';
}

}  // namespace topic
