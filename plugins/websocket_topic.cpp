// SPDX-License-Identifier: Apache-2.0
// Topics for clients, without a plugin of one's own: docs/publish.md tells how they are used.
//
//     WebSocketOption topic "news weather"  what all clients subscribe to; {user} is the name of the user
//     WebSocketOption topic-from path       clients name one besides: what is below the section, or
//                                           with "query" ?topic=NAME, which may be repeated
//     WebSocketOption allow "news/*"        which topics clients may name; "*" is all but "/", "**" all
//     WebSocketOption deny "news/secret/**" and which they may not all the same
//     WebSocketOption protocol json         messages in envelopes, and requests of clients; raw: as they are
//     WebSocketOption publish on            clients may publish
//     WebSocketOption echo off              with raw: to all but themselves
//     WebSocketOption topics 20             of one client, 1 to 1000
//     WebSocketOption name-length 128       bytes, 1 to 255
//
// Clients are WebSockets, and event streams, which cannot publish or ask for anything. With WebSocketHistory, messages have
// positions, and clients come back with the last one they have got: docs/history.md.
//
// With publish_init, publishing by HTTP:
//
//     WebSocketOption allow "news/*"        only to these topics
//     WebSocketOption deny "news/secret/**" and not to these
//     WebSocketOption open on               without a Require that says who may
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <websocket/event_stream.hpp>
#include <websocket/history.hpp>
#include <websocket/jsonrpc/reader.hpp>
#include <websocket/plugin.hpp>

#include "topic_gaps.hpp"
#include "topic_messages.hpp"
#include "topic_pattern.hpp"
#include "topic_publisher.hpp"
#include "topic_relays.hpp"
#include "topic_settings.hpp"

namespace {

using topic::Complaint;
using topic::NamedBy;
using topic::Settings;
using topic::Value;
using websocket::CloseCode;
using websocket::Refusal;
using websocket::Result;

class Topics {
public:
    static constexpr const char* name = "topic";
    static constexpr bool never_blocks = true;

    struct Client {
        std::string user;
        std::vector<std::string> topics;  ///< which it subscribes to
        bool is_stream = false;
        std::optional<websocket::Position> since = {};  ///< of the last event that a stream has got
        bool wants_gaps = false;  ///< of the topics that it names at the beginning
    };

    static void check(const websocket::Options& options) { static_cast<void>(Settings(options)); }
    Topics(const websocket::Server& server, const websocket::Options& options)
        : server_(server), settings_(options), requests_(settings_.longest_name), relays_(server),
          gaps_(server), streams_(server), history_(server) {
        static_cast<void>(server.topics());  // throws when there are none
    }

    websocket::HttpResponse on_http(const websocket::HttpRequest& request) const {
        if (!streams_.available() || !websocket::wants_event_stream(request)) {
            return websocket::HttpResponse::of_server();
        }
        websocket::HttpResponse response = streams_.accept(request);
        // A HEAD comes no further, and is refused what a GET would be.
        if (response.status == 200) {
            static_cast<void>(topics_of(request, user_of(request)));
            static_cast<void>(wants_gaps(request, true));
        }
        return response;
    }

    void on_upgrade(websocket::Upgrade& upgrade, Client& client) {
        client.user = user_of(upgrade);
        client.topics = topics_of(upgrade, client.user);
        client.is_stream = streams_.is_stream(upgrade);
        if (client.is_stream) {
            client.since = websocket::Position::parse(websocket::EventStreams::last_id(upgrade));
        }
        client.wants_gaps = wants_gaps(upgrade, client.is_stream);
        if (settings_.json && !client.is_stream) upgrade.choose_subprotocol("topic.v1");
    }

    void on_open(websocket::Connection connection, Client& client) {
        for (const std::string& wanted : std::exchange(client.topics, {})) {
            if ((client.wants_gaps && !gaps_.join(connection, wanted)) ||
                !taken(subscribe(connection, client, wanted, client.since, {}))) {
                gaps_.leave(connection, wanted);
                connection.close(CloseCode::try_again_later, "too many topics");
                return;
            }
        }
    }

    void on_message(websocket::Connection connection, websocket::Message message, Client& client) {
        if (settings_.json) {
            handle(connection, message, client);
        } else if (settings_.publish && !client.topics.empty()) {  // none: it is being closed
            server_.publish(client.topics.front(), message.type, message.bytes,
                            settings_.echo ? 0 : connection.id());
        }
    }

    void on_writable(websocket::Connection connection) { connection.resume(); }

    void on_close(websocket::Connection connection, const websocket::Close& /*why*/,
                  Client& client) {
        for (const std::string& one : client.topics) {
            if (settings_.json) relays_.leave(connection, one);
            gaps_.leave(connection, one);
        }
    }

private:
    // ---- which topics a client gets

    /// Empty where nobody asks for it.
    [[nodiscard]] std::string user_of(const websocket::Request& request) const {
        if (!settings_.wants_user()) return {};
        std::string user(request.user_text());
        if (user.empty()) throw Refusal(403, "topics of users need a user: nobody is logged in");
        if (user.find('/') != std::string::npos) {
            throw Refusal(403,
                          "the name of the user has a \"/\", so it cannot be a part of a topic's");
        }
        return user;
    }

    /// Those that the configuration and the request name, each once. Throws Refusal.
    [[nodiscard]] std::vector<std::string> topics_of(const websocket::Request& request,
                                                     const std::string& user) const {
        const bool stream = streams_.is_stream(request);
        std::vector<std::string> topics;
        for (const std::string& one : settings_.topics) add(topics, topic::with_user(one, user));
        for (std::string& one : named_by(request, stream)) {
            if (!may_use(one, user)) {
                throw Refusal(403, "this endpoint does not have the topic \"" + one + '"');
            }
            add(topics, std::move(one));
        }
        if (topics.size() > settings_.most_topics) {
            throw Refusal(400, std::to_string(topics.size()) +
                                   " topics are too many; allowed are " +
                                   std::to_string(settings_.most_topics));
        }
        if (!stream && !settings_.json && settings_.publish && topics.size() != 1) {
            throw Refusal(400, "name one topic, which is the one to publish to");
        }
        return topics;
    }
    static void add(std::vector<std::string>& topics, std::string one) {
        if (const std::string why = topic::objection_to_name(one, topic::kLongestName);
            !why.empty()) {
            throw websocket::BadRequest("the name of the topic " + why);
        }
        if (std::ranges::find(topics, one) == topics.end()) topics.push_back(std::move(one));
    }

    [[nodiscard]] std::vector<std::string> named_by(const websocket::Request& request,
                                                    bool stream) const {
        const bool asks = settings_.json && !stream;  // in messages; streams have only the query
        const bool nobody = settings_.named_by == NamedBy::nobody;
        const NamedBy how =
            nobody && settings_.json && stream ? NamedBy::query : settings_.named_by;
        std::vector<std::string> names;
        if (how == NamedBy::path) {
            std::string_view below = request.below_text();
            if (below.starts_with('/')) below.remove_prefix(1);
            names.emplace_back(below);
        } else if (how == NamedBy::query) {
            names = request.parameters_text("topic");
            if (names.empty() && !asks && settings_.topics.empty()) {
                throw websocket::BadRequest("name a topic: ?topic=NAME");
            }
        }
        for (const std::string& one : names) {
            if (const std::string why = topic::objection_to_name(one, settings_.longest_name);
                !why.empty()) {
                throw websocket::BadRequest("the name of the topic " + why);
            }
        }
        return names;
    }

    [[nodiscard]] bool wants_gaps(const websocket::Request& request, bool stream) const {
        const std::string wanted = request.parameter_text("gaps").value_or("off");
        if (wanted == "off") return false;
        if (wanted != "on") throw websocket::BadRequest("the parameter gaps takes on or off");
        if (!stream && !settings_.json) {
            throw websocket::BadRequest(
                "gaps are told to event streams, and to WebSockets with protocol json");
        }
        if (!gaps_.available()) throw Refusal(501, "this server does not tell of gaps");
        return true;
    }

    [[nodiscard]] bool may_use(const std::string& wanted, const std::string& user) const {
        const auto is = [&](const std::string& one) {
            return topic::with_user(one, user) == wanted;
        };
        return settings_.permissions.allows(wanted, user) ||
               std::ranges::any_of(settings_.topics, is);
    }

    /// With protocol json, it is answered.
    [[nodiscard]] Result subscribe(websocket::Connection connection, Client& client,
                                   const std::string& wanted,
                                   const std::optional<websocket::Position>& since,
                                   const Value& id) {
        client.topics.push_back(wanted);
        const Result result = settings_.json ? relays_.join(connection, wanted, since, id, say)
                              : history_.keeps(wanted)
                                  ? subscribe_again(connection, client, wanted, since)
                                  : connection.subscribe(wanted);
        if (!taken(result)) client.topics.pop_back();
        return result;
    }
    /// A stream of one topic that cannot go on where it was is told so.
    [[nodiscard]] Result subscribe_again(websocket::Connection connection, const Client& client,
                                         const std::string& wanted,
                                         const std::optional<websocket::Position>& since) const {
        const websocket::Recovery what = history_.subscribe(connection, wanted, since);
        if (taken(what.result) && since && !what.complete && client.topics.size() == 1) {
            static_cast<void>(streams_.send(connection, what.now.text(), {.name = "missed"}));
        }
        return what.result;
    }

    // ---- protocol json

    void handle(websocket::Connection connection, websocket::Message message, Client& client) {
        if (!message.is_text()) {
            connection.close(CloseCode::unsupported_data, "text only");
            return;
        }
        Value id;
        std::string about;
        try {
            const topic::Request request = requests_.read(message.text(), id);
            about = request.topic;
            if (const std::string text = carry_out(connection, client, request, id);
                !text.empty()) {
                say(connection, text);
            }
        } catch (const Complaint& complaint) {
            say(connection, topic::error(complaint.code(), complaint.what(), about, id));
        }
    }

    /// The answer; empty for none. Throws Complaint.
    [[nodiscard]] std::string carry_out(websocket::Connection connection, Client& client,
                                        const topic::Request& request, const Value& id) {
        using Kind = topic::Request::Kind;
        switch (request.kind) {
            case Kind::ping: return topic::answer("pong", {}, id);
            case Kind::subscribe:
                return join(connection, client, request, id)
                           ? std::string()
                           : topic::answer("subscribed", request.topic, id);
            case Kind::unsubscribe:
                leave(connection, client, request.topic);
                return topic::answer("unsubscribed", request.topic, id);
            case Kind::publish:
                publish(client, request);
                return id.is_null() ? std::string() : topic::answer("published", request.topic, id);
        }
        return {};
    }
    /// False when it had joined already; else it is answered.
    bool join(websocket::Connection connection, Client& client, const topic::Request& request,
              const Value& id) {
        const std::string& wanted = request.topic;
        if (!may_use(wanted, client.user))
            throw Complaint(403, "this endpoint does not have the topic");
        if (std::ranges::find(client.topics, wanted) != client.topics.end()) {
            set_gaps(connection, request);
            return false;
        }
        if (client.topics.size() >= settings_.most_topics) {
            throw Complaint(429, "there are " + std::to_string(client.topics.size()) +
                                     " topics already, which is what is allowed");
        }
        set_gaps(connection, request);  // before: no gap behind the subscription is missed
        if (!taken(subscribe(connection, client, wanted, request.position, id))) {
            gaps_.leave(connection, wanted);
            throw Complaint(503, "the server has too many topics");
        }
        return true;
    }
    void set_gaps(websocket::Connection connection, const topic::Request& request) {
        if (!request.gaps) return;
        if (!*request.gaps) {
            gaps_.leave(connection, request.topic);
        } else if (!gaps_.available()) {
            throw Complaint(501, "this server does not tell of gaps");
        } else if (!gaps_.join(connection, request.topic)) {
            throw Complaint(503, "the server has too many topics");
        }
    }
    void leave(websocket::Connection connection, Client& client, const std::string& wanted) {
        gaps_.leave(connection, wanted);
        const auto found = std::ranges::find(client.topics, wanted);
        if (found == client.topics.end()) return;
        relays_.leave(connection, wanted);
        client.topics.erase(found);
    }
    void publish(const Client& client, const topic::Request& request) const {
        if (!settings_.publish) throw Complaint(403, "clients of this endpoint may not publish");
        if (!may_use(request.topic, client.user))
            throw Complaint(403, "this endpoint does not have the topic");
        const Result result =
            server_.publish(request.topic, request.type, websocket::bytes_of(request.payload));
        if (!taken(result)) throw Complaint(503, "the server is busy: not all will get it");
    }

    /// What is asked for is answered: who does not read his answers is not read from, until he does.
    static void say(websocket::Connection connection, const std::string& text) {
        const Result result = connection.send(text);
        if (result == Result::queued) {
            connection.pause();
        } else if (!taken(result)) {
            connection.close(CloseCode::policy_violation, "answers are not read");
        }
    }

    const websocket::Server& server_;
    const Settings settings_;
    const topic::Requests requests_;
    topic::Relays relays_;
    topic::GapTellers gaps_;
    const websocket::EventStreams streams_;
    const websocket::History history_;
};

}  // namespace

WEBSOCKET_PLUGIN(topic_init, Topics)
WEBSOCKET_PLUGIN(publish_init, topic::Publisher)
