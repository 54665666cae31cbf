// SPDX-License-Identifier: Apache-2.0
#include "bridge/nats_connection.hpp"

#include <algorithm>
#include <climits>
#include <new>
#include <string_view>
#include <utility>

#include "bridge/nats_errors.hpp"

namespace websocket::bridge {

namespace {

/// Messages of one subject that may wait within the library until they are posted.
constexpr int kMostPending = 65'536;

/// What the callbacks about a connection are given. The last one destroys it.
struct Source {
    NatsEvents& events;
    std::uint64_t number;
};

struct DestroyOptions {
    void operator()(natsOptions* options) const noexcept { ::natsOptions_Destroy(options); }
};
using Options = std::unique_ptr<natsOptions, DestroyOptions>;

void check(natsStatus status) {
    if (status == NATS_NO_MEMORY) {
        throw std::bad_alloc();
    }
}

std::string last_words() {
    natsStatus status = NATS_OK;
    const char* words = ::nats_GetLastError(&status);
    return words != nullptr ? words : "";
}

/// The library puts user and password into JSON as they are.
std::string json_escaped(std::string_view text) {
    constexpr const char* kDigits = "0123456789abcdef";
    std::string escaped;
    for (const char c : text) {
        if (const auto byte = static_cast<std::uint8_t>(c); byte < 0x20) {
            escaped += "\\u00";
            escaped += kDigits[byte >> 4U];
            escaped += kDigits[byte & 0xFU];
            continue;
        }
        if (c == '"' || c == '\\') {
            escaped += '\\';
        }
        escaped += c;
    }
    return escaped;
}

std::string text_of(const hub::BrokerUrl::Host& host) {
    const bool v6 = host.name.find(':') != std::string::npos;
    return "nats://" + (v6 ? '[' + host.name + ']' : host.name) + ':' + std::to_string(host.port);
}

// --- callbacks: on threads of the library --------------------------------------------------------

void on_message(natsConnection* /*connection*/, natsSubscription* /*subscription*/,
                natsMsg* message, void* events) noexcept {
    static_cast<NatsEvents*>(events)->post(NatsMessage(message));
}

std::string last_error_of(natsConnection* connection) {
    const char* words = nullptr;
    static_cast<void>(::natsConnection_GetLastError(connection, &words));
    return words != nullptr ? words : "";
}

void on_error(natsConnection* connection, natsSubscription* /*subscription*/, natsStatus status,
              void* data) noexcept {
    auto& source = *static_cast<Source*>(data);
    if (status == NATS_SLOW_CONSUMER) {
        source.events.note_missed();
    } else if (status == NATS_NOT_PERMITTED) {
        try {
            source.events.post(NatsEvent{.type = NatsEvent::Type::denied,
                                         .connection = source.number,
                                         .text = last_error_of(connection)});
        } catch (const std::bad_alloc&) {
            // It only would have been told.
        }
    }
}

void on_closed(natsConnection* connection, void* data) noexcept {
    const std::unique_ptr<Source> source(static_cast<Source*>(data));
    NatsEvent event{.connection = source->number, .text = {}};
    try {
        const char* words = nullptr;
        const natsStatus status = ::natsConnection_GetLastError(connection, &words);
        event.text = explain_nats(status == NATS_OK ? NATS_CONNECTION_CLOSED : status,
                                  words != nullptr ? words : "");
    } catch (const std::bad_alloc&) {
        // It has ended for no reason, then.
    }
    source->events.post(std::move(event));
}

// -------------------------------------------------------------------------------------------------

natsStatus set_trust(natsOptions* made, const BrokerLinkOptions& options, const std::string& host) {
    natsStatus status = ::natsOptions_SetSecure(made, true);
    if (status == NATS_OK && !options.trust.ca_file.empty()) {
        status = ::natsOptions_LoadCATrustedCertificates(made, options.trust.ca_file.c_str());
    }
    if (status == NATS_OK && options.trust.verify) {
        status = ::natsOptions_SetExpectedHostname(made, host.c_str());
    }
    if (status == NATS_OK && !options.trust.verify) {
        status = ::natsOptions_SkipServerVerification(made, true);
    }
    return status;
}

natsStatus set_identity(natsOptions* made, const hub::BrokerUrl& url) {
    if (!url.user.empty()) {
        return ::natsOptions_SetUserInfo(made, json_escaped(url.user).c_str(),
                                         json_escaped(url.password).c_str());
    }
    return url.password.empty() ? NATS_OK
                                : ::natsOptions_SetToken(made, json_escaped(url.password).c_str());
}

/// The library does not connect again by itself: what was missed meanwhile has to be told.
natsStatus make_options(Options& made, const BrokerLinkOptions& options,
                        const hub::BrokerUrl::Host& host, Source* source) {
    natsOptions* raw = nullptr;
    natsStatus status = ::natsOptions_Create(&raw);
    made.reset(raw);
    const auto then = [&status](natsStatus next) { status = status == NATS_OK ? next : status; };
    if (status != NATS_OK) {
        return status;
    }
    then(::natsOptions_SetURL(raw, text_of(host).c_str()));
    then(::natsOptions_SetName(raw, "websocket-bridge"));
    then(::natsOptions_SetTimeout(raw, options.patience.count()));
    then(::natsOptions_SetWriteDeadline(raw, options.patience.count()));
    then(::natsOptions_SetAllowReconnect(raw, false));
    // One thread for all subscriptions, which also keeps the order among them.
    then(::natsOptions_UseGlobalMessageDelivery(raw, true));
    then(::natsOptions_SetErrorHandler(raw, on_error, source));
    then(::natsOptions_SetClosedCB(raw, on_closed, source));
    then(set_identity(raw, options.url));
    if (options.url.tls) {
        then(set_trust(raw, options, host.name));
    }
    return status;
}

}  // namespace

std::unique_ptr<NatsConnection> NatsConnection::connect(const BrokerLinkOptions& options,
                                                        const hub::BrokerUrl::Host& host,
                                                        NatsEvents& events, std::uint64_t number,
                                                        std::string& why) {
    auto source = std::make_unique<Source>(Source{events, number});
    Options made;
    natsConnection* raw = nullptr;
    natsStatus status = make_options(made, options, host, source.get());
    if (status == NATS_OK) {
        status = ::natsConnection_Connect(&raw, made.get());
    }
    if (status != NATS_OK) {
        check(status);
        why = explain_nats(status, last_words());
        return nullptr;
    }
    static_cast<void>(source.release());  // on_closed() is called once
    return std::unique_ptr<NatsConnection>(
        new NatsConnection(Connection(raw), events, options.most_waiting));
}

NatsConnection::~NatsConnection() = default;

natsStatus NatsConnection::publish(const std::string& subject, const std::string& payload) {
    const natsStatus status = ::natsConnection_Publish(
        connection_.get(), subject.c_str(), payload.data(), static_cast<int>(payload.size()));
    check(status);
    return status;
}

natsStatus NatsConnection::subscribe(const std::string& subject) {
    Subscription& known = subscriptions_[subject];
    if (known != nullptr) {
        return NATS_OK;
    }
    natsSubscription* raw = nullptr;
    natsStatus status =
        ::natsConnection_Subscribe(&raw, connection_.get(), subject.c_str(), on_message, &events_);
    if (status == NATS_OK) {
        known.reset(raw);
        const auto bytes = std::min<std::size_t>(most_waiting_, INT_MAX);
        status = ::natsSubscription_SetPendingLimits(raw, kMostPending, static_cast<int>(bytes));
    } else {
        subscriptions_.erase(subject);
    }
    check(status);
    return status;
}

void NatsConnection::unsubscribe(const std::string& subject) noexcept {
    const auto known = subscriptions_.find(subject);
    if (known != subscriptions_.end()) {
        static_cast<void>(::natsSubscription_Unsubscribe(known->second.get()));
        subscriptions_.erase(known);
    }
}

natsStatus NatsConnection::confirm(std::chrono::milliseconds most) noexcept {
    return ::natsConnection_FlushTimeout(connection_.get(), most.count());
}

std::size_t NatsConnection::max_payload() const noexcept {
    return static_cast<std::size_t>(
        std::max<std::int64_t>(0, ::natsConnection_GetMaxPayload(connection_.get())));
}

}  // namespace websocket::bridge
