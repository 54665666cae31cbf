// SPDX-License-Identifier: Apache-2.0
// Trials of websocket-plugin-check for plugins that answer requests with event streams; others pass.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>
#include <websocket/testing.hpp>

#include "trial.hpp"

namespace websocket::tools {

inline testing::Request stream_request() {
    return {.target = "/check?name=check&room=check&topic=check",
            .headers = {{"Host", "localhost"}, {"Accept", "text/event-stream"}},
            .user = "check"};
}

/// A client that gets an event stream, or null: the plugin has none, or its reasons.
inline std::shared_ptr<testing::Client> accepted_stream(testing::Host& host) {
    const auto stream = host.listen(stream_request());
    if (stream->open()) return stream;
    if (stream->stream()) {
        complain("(the plugin refuses the event stream with " +
                 std::to_string(stream->answer().status) + "; not checked further)");
    }
    return nullptr;
}

/// What a client that speaks makes the plugin send to those that listen.
inline void speak(testing::Host& host, int times) {
    testing::Handshake handshake;
    handshake.target = "/check?name=check&room=check&topic=check";
    handshake.user = "check";
    const auto speaker = host.connect(handshake);
    for (int i = 0; i < times && speaker->open(); ++i) {
        speaker->text("to all who\r\nlisten: " + std::to_string(i));
        if (speaker->open()) speaker->binary(std::string("\0\xFF", 2));
    }
    host.advance(std::chrono::seconds(5));
    if (speaker->open()) speaker->vanish();
}

inline std::vector<Trial> event_stream_trials(const ws_plugin& watched,
                                              const testing::Pairs& options) {
    using testing::Client;
    using testing::Host;
    const WebSocketPlugin& plugin = watched.base;
    const auto with_stream = [&plugin, options](const std::function<void(Host&, Client&)>& work) {
        return [&plugin, options, work] {
            Host host(plugin, options);
            if (const auto stream = accepted_stream(host)) work(host, *stream);
            judge(host);
        };
    };
    return {
        {"an event stream: events, and the client leaves", with_stream([](Host& host, Client& c) {
             speak(host, 10);
             if (c.open()) c.vanish();
             speak(host, 1);
             host.advance(std::chrono::minutes(5));
         })},
        {"an event stream whose client does not read, then does",
         with_stream([](Host& host, Client& c) {
             c.stop_reading(100);
             speak(host, 100);
             host.advance(std::chrono::minutes(1));
             if (c.open()) c.read();
             speak(host, 1);
         })},
        {"event streams that come back", with_stream([](Host& host, Client&) {
             for (const char* id : {"", "1", "-1", "99999999999999999999", "a b", "\xFF", "%00"}) {
                 testing::Request request = stream_request();
                 request.headers.emplace_back("Last-Event-ID", id);
                 if (const auto back = host.listen(request); back->open()) back->vanish();
             }
         })},
        {"requests for event streams that are odd, or lack everything",
         [&plugin, options] {
             Host host(plugin, options);
             for (const char* method : {"GET", "HEAD", "POST", "OPTIONS", "x"}) {
                 for (const char* target : {"", "/", "/?", "/?name", "/?name=%zz&&&=&%&topic=%ff",
                                            "/?topic=", "/\xff"}) {
                     static_cast<void>(host.listen({.method = method,
                                                    .target = target,
                                                    .headers = {{"Accept", "text/event-stream"}}}));
                 }
             }
             judge(host);
         }},
        {"many event streams, and a drain", with_stream([](Host& host, Client&) {
             std::vector<std::shared_ptr<Client>> streams;
             for (int i = 0; i < 100; ++i) streams.push_back(host.listen(stream_request()));
             for (std::size_t i = 0; i < streams.size(); i += 2) {
                 if (streams[i]->open()) streams[i]->vanish();
             }
             speak(host, 1);
             host.drain(std::chrono::seconds(30));
             host.advance(std::chrono::seconds(30));
         })},
    };
}

}  // namespace websocket::tools
