// SPDX-License-Identifier: Apache-2.0
#include "bridge/redis_link.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "bridge/redis_errors.hpp"

namespace websocket::bridge {

using std::chrono::milliseconds;

namespace {

/// Until another sentinel is asked to tell of the next change.
constexpr milliseconds kSentinelPause{2000};

constexpr const char* kSwitchChannel = "+switch-master";

bool is_text(const Reply& reply, std::string_view text) {
    return reply.type == Reply::Type::string && reply.text == text;
}

}  // namespace

RedisLink::RedisLink(net::Reactor& reactor, BrokerLinkOptions options, Owner& owner, base::Log& log)
    : reactor_(reactor), options_(std::move(options)), owner_(owner),
      reconnection_(reactor, options_, log, [this] { connect(); }),
      patience_(reactor, [this] { drop("it does not answer"); }),
      sentinel_pause_(reactor, [this] { find_broker(); }) {}

// --- finding and connecting ----------------------------------------------------------------------

void RedisLink::connect() {
    sentinels_asked_ = 0;
    patience_.start(options_.patience);
    if (!options_.url.master.empty()) {
        phase_ = Phase::finding;
        find_broker();
    } else if (!options_.url.socket_path.empty()) {
        connect_to({options_.url.socket_path, {}, 0});
    } else {
        connect_to({{}, options_.url.hosts.front().name, options_.url.hosts.front().port});
    }
}

void RedisLink::connect_to(const Endpoint& endpoint) {
    phase_ = Phase::greeting;
    endpoint_ = endpoint;
    publisher_ready_ = false;
    first_subscribed_ = 0;
    expected_.clear();
    publisher_ = make_connection(options_.longest_message);
    subscriber_ = make_connection(options_.longest_message);
    publisher_->connect(endpoint_);
    if (phase_ == Phase::greeting) {
        subscriber_->connect(endpoint_);
    }
}

std::unique_ptr<RedisConnection> RedisLink::make_connection(std::size_t longest_reply) {
    RedisConnection::Owner& owner = *this;
    return std::make_unique<RedisConnection>(reactor_, options_.tls, owner, longest_reply);
}

void RedisLink::find_broker() {
    const auto& sentinels = options_.url.hosts;
    const auto& host = sentinels[next_sentinel_++ % sentinels.size()];
    ++sentinels_asked_;
    constexpr std::size_t kLongestAnswer = 64U << 10;
    sentinel_ = make_connection(kLongestAnswer);
    sentinel_->connect({{}, host.name, host.port});
}

void RedisLink::greet(RedisConnection& connection) {
    const hub::BrokerUrl& url = options_.url;
    const bool publishes = &connection == publisher_.get();
    if (!url.password.empty() || !url.user.empty()) {
        if (url.user.empty()) {
            connection.send({"AUTH", url.password});
        } else {
            connection.send({"AUTH", url.user, url.password});
        }
        if (publishes) {
            expected_.push_back(Expected::greeting);
        }
    }
    if (publishes) {
        ask_role();
    } else {
        for (const std::string& channel : options_.first_channels) {
            connection.send({"SUBSCRIBE", channel});
        }
    }
}

void RedisLink::on_connected(RedisConnection& connection) {
    if (&connection == sentinel_.get()) {
        if (!options_.url.sentinel_password.empty()) {
            connection.send({"AUTH", options_.url.sentinel_password});
        }
        connection.send({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", options_.url.master});
        connection.send({"SUBSCRIBE", kSwitchChannel});
    } else {
        greet(connection);
    }
}

void RedisLink::go_up_if_ready() {
    if (phase_ != Phase::greeting || !publisher_ready_ ||
        first_subscribed_ < options_.first_channels.size()) {
        return;
    }
    phase_ = Phase::up;
    patience_.stop();
    reconnection_.note_up(endpoint_.describe());
    owner_.on_up();
}

void RedisLink::drop(const std::string& why) {
    if (phase_ == Phase::pausing) {
        return;
    }
    const bool was_up = phase_ == Phase::up;
    phase_ = Phase::pausing;
    // They may be calling this: they are destroyed when the next ones are made.
    for (RedisConnection* one : {publisher_.get(), subscriber_.get(), sentinel_.get()}) {
        if (one != nullptr) {
            one->close();
        }
    }
    patience_.stop();
    sentinel_pause_.stop();
    reconnection_.pause(was_up, why);
    const std::size_t unconfirmed = std::exchange(unconfirmed_, 0);
    if (was_up) {
        owner_.on_down({.unconfirmed = unconfirmed});
    }
}

void RedisLink::on_end(RedisConnection& connection, const std::string& why) {
    if (&connection == sentinel_.get()) {
        on_sentinel_end(why);
    } else {
        drop(why);
    }
}

// --- sentinels -----------------------------------------------------------------------------------

void RedisLink::on_sentinel_end(const std::string& why) {
    if (phase_ != Phase::finding) {
        sentinel_pause_.start(kSentinelPause);  // it only would have told of changes
    } else if (sentinels_asked_ < options_.url.hosts.size()) {
        sentinel_pause_.start(milliseconds(0));
    } else {
        drop("no sentinel says where it is, the last one: " + why);
    }
}

void RedisLink::on_sentinel_reply(const Reply& reply) {
    if (reply.is_error()) {
        sentinel_->close();
        on_sentinel_end(reply.text.starts_with("NOAUTH")
                            ? "it wants a password: WebSocketBrokerSentinelPasswordFile (NOAUTH)"
                            : explain_error(reply.text));
    } else if (reply.type == Reply::Type::array && reply.elements.size() == 2) {
        take_master(reply);
    } else if (reply.type == Reply::Type::nil ||
               (reply.type == Reply::Type::array && reply.elements.empty())) {
        sentinel_->close();
        on_sentinel_end("it watches no \"" + options_.url.master + '"');
    } else if (reply.elements.size() == 3 && is_text(reply.elements[0], "message") &&
               reply.elements[2].text.starts_with(options_.url.master + ' ')) {
        drop("the sentinels have chosen another server");
    }
}

void RedisLink::take_master(const Reply& reply) {
    Endpoint endpoint{{}, reply.elements[0].text, 0};
    const std::string& port = reply.elements[1].text;
    const auto [stop, error] =
        std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
    if (error != std::errc() || stop != port.data() + port.size() || endpoint.host.empty()) {
        sentinel_->close();
        on_sentinel_end("it gives no address");
    } else if (phase_ == Phase::finding) {
        connect_to(endpoint);
    } else if (endpoint.host != endpoint_.host || endpoint.port != endpoint_.port) {
        drop("the sentinels have chosen another server");
    }
}

// --- replies -------------------------------------------------------------------------------------

void RedisLink::on_reply(RedisConnection& connection, Reply&& reply) {
    if (&connection == sentinel_.get()) {
        on_sentinel_reply(reply);
    } else if (&connection == publisher_.get()) {
        on_published_reply(std::move(reply));
    } else {
        on_subscriber_reply(reply);
    }
}

void RedisLink::note_error(const Reply& reply) {
    if (phase_ != Phase::up || ends_connection(reply.text)) {
        drop(explain_error(reply.text));
    } else {
        reconnection_.say_why(explain_error(reply.text));
    }
}

void RedisLink::on_published_reply(Reply&& reply) {
    if (expected_.empty()) {
        drop(reply.is_error() ? explain_error(reply.text) : "it answers what nobody has asked");
        return;
    }
    const Expected expected = expected_.front();
    expected_.pop_front();
    if (expected == Expected::role) {
        on_role(reply);
        return;
    }
    if (expected == Expected::answer) {
        owner_.on_answer(std::move(reply));
        return;
    }
    if (expected == Expected::publication) {
        --unconfirmed_;
        owner_.on_published(!reply.is_error());
    }
    if (reply.is_error()) {
        note_error(reply);
    }
}

/// Of a replica, nobody but its own subscribers would hear. Whoever may not ask has to know what he does.
void RedisLink::on_role(const Reply& reply) {
    if (reply.is_error() && ends_connection(reply.text)) {
        drop(explain_error(reply.text));
        return;
    }
    if (reply.type == Reply::Type::array && !reply.elements.empty() &&
        is_text(reply.elements[0], "slave")) {
        drop(explain_error("READONLY it has the role of a replica"));
        return;
    }
    publisher_ready_ = true;
    go_up_if_ready();
}

void RedisLink::on_subscriber_reply(const Reply& reply) {
    if (reply.is_error()) {
        note_error(reply);
        return;
    }
    if (reply.elements.size() != 3) {
        return;  // the answer to AUTH
    }
    if (is_text(reply.elements[0], "message")) {
        owner_.on_message(reply.elements[1].text, reply.elements[2].text);
    } else if (is_text(reply.elements[0], "subscribe") && phase_ == Phase::greeting) {
        ++first_subscribed_;
        go_up_if_ready();
    }
}

void RedisLink::on_room(RedisConnection& connection) {
    if (phase_ == Phase::up && &connection == publisher_.get()) {
        owner_.on_room();
    }
}

// --- commands ------------------------------------------------------------------------------------

void RedisLink::publish(std::string_view channel, std::string_view payload) {
    publisher_->send({"PUBLISH", channel, payload});
    expected_.push_back(Expected::publication);
    ++unconfirmed_;
}

void RedisLink::ask(std::initializer_list<std::string_view> words) {
    publisher_->send(words);
    expected_.push_back(Expected::answer);
}

void RedisLink::ask_role() {
    publisher_->send({"ROLE"});
    expected_.push_back(Expected::role);
}

void RedisLink::subscribe(std::string_view channel) { subscriber_->send({"SUBSCRIBE", channel}); }
void RedisLink::unsubscribe(std::string_view channel) {
    subscriber_->send({"UNSUBSCRIBE", channel});
}

void RedisLink::flush() {
    if (phase_ == Phase::up) {
        publisher_->flush();
    }
    if (phase_ == Phase::up) {
        subscriber_->flush();
    }
}

bool RedisLink::has_room() const noexcept {
    return phase_ == Phase::up && publisher_->waiting() < RedisConnection::kEnough;
}

bool RedisLink::is_idle() const noexcept {
    return phase_ != Phase::up || (publisher_->waiting() == 0 && unconfirmed_ == 0);
}

}  // namespace websocket::bridge
