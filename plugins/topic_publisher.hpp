// SPDX-License-Identifier: Apache-2.0
// Publishing by HTTP: what publish_init of websocket_topic.cpp answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <websocket/jsonrpc/writer.hpp>
#include <websocket/plugin.hpp>

#include "topic_pattern.hpp"
#include "topic_settings.hpp"

namespace topic {

using websocket::BadRequest;
using websocket::HttpRequest;
using websocket::HttpResponse;
using websocket::Refusal;
using websocket::Type;

struct PublishSettings {
    Permissions permissions;
    bool open;

    /// Throws OptionError.
    explicit PublishSettings(const Options& options)
        : permissions(options), open(choice_of(options, "open", {"off", "on"}) == "on") {
        options.allow_only({"allow", "deny", "open"});
        if (permissions.names_user()) {
            throw OptionError("options allow and deny: there is no {user} for those who publish");
        }
    }
};

/// POST publishes the body to the topic that path or query name; GET tells how many subscribe to it.
class Publisher {
public:
    static constexpr const char* name = "publish";
    static constexpr bool never_blocks = true;

    static void check(const Options& options) { static_cast<void>(PublishSettings(options)); }
    Publisher(const websocket::Server& server, const Options& options)
        : server_(server), settings_(options), published_(server.counter("published")) {
        static_cast<void>(server.topics());  // throws when there are none
    }

    /// There is nothing to connect to.
    void on_upgrade(websocket::Upgrade& upgrade) const {
        upgrade.refuse(404, "This is where messages are published. Clients connect elsewhere.\n");
    }
    void on_message(websocket::Connection, websocket::Message) const {}

    /// Refuses by exceptions: first what the administrator wants, then what the request is.
    [[nodiscard]] HttpResponse on_http(const HttpRequest& request) const {
        refuse_strangers(request);
        const std::string topic = topic_of(request);
        if (request.method() == "GET" || request.method() == "HEAD") return report(topic);
        if (request.method() != "POST") {
            return {.status = 405,
                    .body =
                        "POST publishes, GET tells how many subscribe; there is nothing else.\n",
                    .headers = {{"Allow", "GET, HEAD, POST"}}};
        }
        refuse_other_sites(request);
        return publish(request, topic);
    }

private:
    void refuse_strangers(const HttpRequest& request) const {
        if (!settings_.open && request.is_open()) {
            throw Refusal(403, "Everybody could publish here: the section needs a Require that "
                               "says who may, such as "
                               "Require ip 127.0.0.1, or WebSocketOption open on.");
        }
    }

    /// A page of another site can have a browser send a POST from within the network, with the cookies and passwords
    /// that are kept for us. The browser says so in these headers; programs send neither. A form could send text/plain.
    static void refuse_other_sites(const HttpRequest& request) {
        const std::string_view site = request.header("Sec-Fetch-Site");
        if (!request.trusts_origin() || (!site.empty() && site != "same-origin" && site != "none" &&
                                         request.header("Origin").empty())) {
            throw Refusal(403,
                          "Pages of other sites may not publish here: see WebSocketOriginCheck.");
        }
    }

    [[nodiscard]] std::string topic_of(const HttpRequest& request) const {
        std::string_view below = request.below_text();
        if (below.starts_with('/')) below.remove_prefix(1);
        const std::optional<std::string> named = request.parameter_text("topic");
        if (below.empty() && !named) {
            throw Refusal(404, "Name a topic: as a part of the path, or with ?topic=NAME.");
        }
        if (!below.empty() && named) {
            throw BadRequest("Name one topic: the path has one, and the query as well.");
        }
        std::string topic = named ? *named : std::string(below);
        if (const std::string why = objection_to_name(topic, kLongestName); !why.empty()) {
            throw BadRequest("The name of the topic " + why + '.');
        }
        const Permissions& may = settings_.permissions;
        if (may.allow_any() ? !may.allows(topic) : may.denies(topic)) {
            throw Refusal(404, "There is no such topic here.");
        }
        return topic;
    }

    /// By the media type; its parameters may say that it is UTF-8, which it is anyway.
    [[nodiscard]] static Type type_of(const HttpRequest& request) {
        const std::string type = lower(request.header("Content-Type"));
        const std::size_t end = type.find_first_of("; \t");
        const std::string_view media = std::string_view(type).substr(0, end);
        if (media == "application/octet-stream") return Type::binary;
        const std::size_t charset = type.find("charset=");
        const bool utf8 = charset == std::string::npos || is_utf8_label(type.substr(charset + 8));
        if ((media == "text/plain" || media == "application/json") && utf8) return Type::text;
        throw Refusal(415, "Content-Type has to be text/plain or application/json, in UTF-8, or "
                           "application/octet-stream.");
    }
    static bool is_utf8_label(std::string_view label) {
        if (label.starts_with('"')) label.remove_prefix(1);
        label = label.substr(0, label.find_first_of("\"; \t"));
        return label == "utf-8" || label == "utf8" || label == "us-ascii";
    }
    static std::string lower(std::string_view text) {
        std::string result(text);
        for (char& c : result) {
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        }
        return result;
    }

    [[nodiscard]] HttpResponse report(const std::string& topic) const {
        return {.body = json(topic, server_.subscribers(topic), {}),
                .type = "application/json",
                .headers = {{"Cache-Control", "no-store"}}};
    }
    [[nodiscard]] HttpResponse publish(const HttpRequest& request, const std::string& topic) const {
        const bool announced = !request.header("Content-Length").empty() ||
                               !request.header("Transfer-Encoding").empty();
        if (!announced && request.body().empty()) {
            throw Refusal(
                411, "There is no message: Content-Length tells how long it is, which may be 0.");
        }
        const Type type = type_of(request);
        const websocket::Bytes bytes = request.body();
        if (type == Type::text) {
            static_cast<void>(websocket::checked_text(websocket::text_of(bytes), "The message"));
        }
        const std::uint64_t subscribers = server_.subscribers(topic);
        const websocket::Result result = server_.publish(topic, type, bytes);
        if (result == websocket::Result::too_big) throw Refusal(413, "The message is too large.");
        published_.add();
        return {.status = taken(result) ? 200U : 503U,
                .body = json(topic, subscribers, taken(result)),
                .type = "application/json"};
    }
    /// {"topic":"news","subscribers":3,"delivered":true}
    [[nodiscard]] static std::string json(const std::string& topic, std::uint64_t subscribers,
                                          std::optional<bool> delivered) {
        std::string text = R"({"topic":)";
        websocket::jsonrpc::append_text(text, topic);
        text.append(R"(,"subscribers":)").append(std::to_string(subscribers));
        if (delivered && !*delivered)
            text += R"(,"error":"the server is busy: not all will get it")";
        return text += "}\n";
    }

    const websocket::Server& server_;
    const PublishSettings settings_;
    const websocket::Metric published_;
};

}  // namespace topic
