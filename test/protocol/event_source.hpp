// SPDX-License-Identifier: Apache-2.0
// What a browser makes of an event stream, by the letter of the specification (HTML, section 9.2.6), and of a
// chunked body (RFC 9112 section 7.1).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "unit.hpp"

namespace websocket::test {

struct StreamEvent {
    std::string type = "message";
    std::string data;
    std::string last_id;

    bool operator==(const StreamEvent&) const = default;
};

/// The whole stream so far; what has no empty line behind it is no event yet.
class EventSource {
public:
    std::vector<StreamEvent> events;
    std::vector<std::string> comments;
    std::string retry;

    explicit EventSource(std::string_view stream) {
        while (true) {
            const std::size_t end = stream.find_first_of("\r\n");
            if (end == std::string_view::npos) break;
            line(stream.substr(0, end));
            const bool crlf = stream.substr(end).starts_with("\r\n");
            stream.remove_prefix(end + (crlf ? 2 : 1));
        }
        unfinished = stream;
    }
    std::string unfinished;

private:
    void line(std::string_view text) {
        if (text.empty()) {
            dispatch();
        } else if (text.front() == ':') {
            comments.emplace_back(text.substr(1));
        } else {
            const std::size_t colon = text.find(':');
            std::string_view value =
                colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
            if (value.starts_with(' ')) value.remove_prefix(1);
            field(text.substr(0, colon), value);
        }
    }
    void field(std::string_view name, std::string_view value) {
        if (name == "event") type_ = value;
        if (name == "data") data_.append(value) += '\n';
        if (name == "id" && value.find('\0') == std::string_view::npos) id_ = value;
        if (name == "retry") retry = value;
    }
    void dispatch() {
        if (!data_.empty()) {
            data_.pop_back();
            events.push_back({type_.empty() ? "message" : type_, data_, id_});
        }
        type_.clear();
        data_.clear();
    }

    std::string type_;
    std::string data_;
    std::string id_;
};

/// Takes the chunks out of a body; fails the test where it is none. Says whether the last one has come.
[[nodiscard]] inline std::pair<std::string, bool> dechunked(std::string_view body) {
    std::string text;
    while (!body.empty()) {
        const std::size_t end = body.find("\r\n");
        if (end == std::string_view::npos) break;
        const std::string head(body.substr(0, end));
        ck_assert_msg(head.find_first_not_of("0123456789abcdef") == std::string::npos &&
                          !head.empty(),
                      "no size of a chunk: \"%.40s\"", head.c_str());
        const auto size = static_cast<std::size_t>(std::strtoull(head.c_str(), nullptr, 16));
        if (body.size() < end + 2 + size + 2) break;
        text += body.substr(end + 2, size);
        ck_assert(body.substr(end + 2 + size, 2) == "\r\n");
        body.remove_prefix(end + 2 + size + 2);
        if (size == 0) {
            ck_assert_msg(body.empty(), "something behind the last chunk");
            return {text, true};
        }
    }
    return {text, false};
}

/// What an event's data is that was sent as this text.
[[nodiscard]] inline std::string with_line_feeds(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\r') {
            result += '\n';
            if (text.substr(i).starts_with("\r\n")) ++i;
        } else {
            result += text[i];
        }
    }
    return result;
}

}  // namespace websocket::test
