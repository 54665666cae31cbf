// SPDX-License-Identifier: Apache-2.0
#include "client/checked_configuration.hpp"

#include <chrono>
#include <string>

#include "client/uri.hpp"
#include "websocket/utf8.hpp"

namespace websocket::client {

using jsonrpc::ConfigurationError;

namespace {

using std::chrono::milliseconds;

void require(bool holds, const std::string& what) {
    if (!holds) {
        throw ConfigurationError(what);
    }
}

void check_time(std::string_view name, milliseconds time, milliseconds least = milliseconds{1}) {
    constexpr milliseconds kMost{std::chrono::hours{24 * 24}};
    require(time >= least && time <= kMost,
            std::string(name) + " must be from " + std::to_string(least.count()) + " to " +
                std::to_string(kMost.count()) + " ms, not " + std::to_string(time.count()));
}

void check_factor(std::string_view name, double number, double least, double most) {
    require(number >= least && number <= most,
            std::string(name) + " must be from " + std::to_string(least) + " to " +
                std::to_string(most) + ", not " + std::to_string(number));
}

void check_reconnection(const jsonrpc::ReconnectionOptions& options) {
    check_time("ws.reconnection.min_delay", options.min_delay, milliseconds{0});
    check_time("ws.reconnection.max_delay", options.max_delay, options.min_delay);
    check_factor("ws.reconnection.factor", options.factor, 1, 100);
    check_factor("ws.reconnection.jitter", options.jitter, 0, 1);
    check_time("ws.reconnection.stable_after", options.stable_after, milliseconds{0});
}

void check_ws(const jsonrpc::WsConfiguration& ws) {
    static_cast<void>(parse_uri("ws.uri", ws.uri));
    check_reconnection(ws.reconnection);
    check_time("ws.connect_timeout", ws.connect_timeout);
    check_time("ws.close_timeout", ws.close_timeout);
    check_time("ws.idle_timeout", ws.idle_timeout, milliseconds{0});
    for (const std::uint16_t code : ws.final_close_codes) {
        require(code >= 1000 && code <= 4999,
                "ws.final_close_codes must be from 1000 to 4999, not " + std::to_string(code));
    }
    require(ws.max_buffered_bytes > 0, "ws.max_buffered_bytes must be at least 1");
    require(ws.max_message_size > 0, "ws.max_message_size must be at least 1");
    protocol::ClientOffer offer = offer_of(ws);
    offer.host = "host";
    const protocol::ClientHandshake tried(std::move(offer));
    require(tried.status() == protocol::ClientHandshake::Status::waiting,
            "ws.headers or ws.protocols: " + tried.error());
}

}  // namespace

void check(const jsonrpc::Configuration& configuration) {
    if (configuration.heartbeat) {
        check_time("heartbeat", *configuration.heartbeat);
    }
    require(configuration.max_pending_requests > 0, "max_pending_requests must be at least 1");
    check_ws(configuration.ws);
    check_time("rpc.request_timeout", configuration.rpc.request_timeout);
    if (configuration.rpc.heartbeat_request_timeout) {
        check_time("rpc.heartbeat_request_timeout", *configuration.rpc.heartbeat_request_timeout);
    }
    for (const auto& [name, method] : configuration.rpc.methods) {
        require(!name.empty(), "rpc.methods: a method must have a name");
    }
}

void check_timeout(milliseconds time) { check_time("timeout", time); }

void check_close(std::uint16_t code, std::string_view reason) {
    require(code == 0 || code == 1000 || (code >= 3000 && code <= 4999),
            "a close code must be 1000 or one from 3000 to 4999, or 0 for none, not " +
                std::to_string(code));
    require(code != 0 || reason.empty(), "a close reason needs a close code");
    require(reason.size() <= 123 && is_utf8(reason),
            "a close reason must be a text of at most 123 bytes in UTF-8");
}

protocol::ClientOffer offer_of(const jsonrpc::WsConfiguration& ws) {
    protocol::ClientOffer offer;
    offer.subprotocols = ws.protocols;
    for (const auto& [name, value] : ws.headers) {
        offer.fields.push_back({name, value});
    }
    return offer;
}

}  // namespace websocket::client
