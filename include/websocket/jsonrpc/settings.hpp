// SPDX-License-Identifier: Apache-2.0
// What the administrator may say of a service. Part of websocket/jsonrpc.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "../values.hpp"
#include "message.hpp"
#include "reader.hpp"

namespace websocket::jsonrpc {

/// The WebSocketOption lines that every service has.
struct Settings {
    using Milliseconds = std::chrono::milliseconds;

    static constexpr std::array<std::string_view, 16> kNames{
        "compatibility", "label",           "threads",
        "in_flight",     "in_flight_size",  "size",
        "depth",         "batch",           "sessions",
        "max_sessions",  "sessions_size",   "reconnection_timeout",
        "takeover",      "request_timeout", "session_size",
        "watchdog"};

    /// `standard`, or `kurento`.
    Dialect dialect = Dialect::standard;
    /// Stands in brackets before each line of the log. Empty: nothing.
    std::string label;
    /// Threads of each process that methods run on; 0: on the event loops. Started when they are needed.
    unsigned threads = 4;
    /// Requests of one session that are not answered yet.
    std::size_t in_flight = 100;
    /// Bytes of memory of their params, and of answers of a connection that find no room in its send buffer. One request,
    /// and one answer, is always taken, whatever it has.
    std::size_t in_flight_size = std::size_t{4} << 20;
    /// Bytes of a message, and arrays and objects within each other.
    ReadLimits read;
    /// Requests of one batch.
    std::size_t batch = 100;
    /// Locations of a virtual host with the same word know each other's sessions. Default: the name of
    /// the service's class.
    std::string sessions;
    /// Sessions of a process. For one more, that one ends which has waited longest for its client.
    std::size_t max_sessions = 100000;
    /// How long a session waits for a client that has lost its connection.
    Milliseconds reconnection_timeout{10000};
    /// How long other processes are asked for a session that is not here; 0: not at all.
    Milliseconds takeover{1000};
    /// How long a request to a client waits for the answer, unless the service says something else.
    Milliseconds request_timeout{10000};
    /// Bytes of a session's attributes, written as JSON.
    std::size_t session_size = std::size_t{64} << 10;
    /// Bytes of memory of the attributes of all sessions of a process.
    std::size_t sessions_size = std::size_t{256} << 20;
    /// Close the connection of a client that has begun to ping and stopped.
    bool watchdog = false;

    Settings() = default;
    /// Throws OptionError.
    Settings(const Options& options, std::string_view service) {
        dialect = one_of(options, "compatibility", "standard", "kurento") ? Dialect::kurento
                                                                          : Dialect::standard;
        label = options.text("label");
        threads = options.number<unsigned>("threads", threads, 0, 64);
        in_flight = options.number<std::size_t>("in_flight", in_flight, 1, 1000000);
        in_flight_size = options.number<std::size_t>("in_flight_size", in_flight_size, 1024,
                                                     std::size_t{1} << 40);
        read.size = options.number<std::size_t>("size", read.size, 64, std::size_t{256} << 20);
        read.depth = options.number<std::size_t>("depth", read.depth, 2, 512);
        batch = options.number<std::size_t>("batch", batch, 1, 1000000);
        sessions = options.text("sessions", service);
        const auto fits = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '_' || c == ':';
        };
        if (sessions.empty() || sessions.size() > 64 || !std::ranges::all_of(sessions, fits)) {
            throw OptionError("option sessions: it has to be 1 to 64 letters, digits and _");
        }
        max_sessions = options.number<std::size_t>("max_sessions", max_sessions, 1, 10000000);
        reconnection_timeout = milliseconds(options, "reconnection_timeout", reconnection_timeout);
        takeover = milliseconds(options, "takeover", takeover);
        request_timeout = milliseconds(options, "request_timeout", request_timeout);
        session_size = options.number<std::size_t>("session_size", session_size, 0, 1 << 20);
        sessions_size =
            options.number<std::size_t>("sessions_size", sessions_size, 0, std::size_t{1} << 40);
        watchdog = one_of(options, "watchdog", "off", "on");
    }

private:
    static Milliseconds milliseconds(const Options& options, std::string_view name,
                                     Milliseconds fallback) {
        constexpr std::int64_t kDay = 86400000;
        return Milliseconds(options.number<std::int64_t>(name, fallback.count(), 0, kDay));
    }
    /// Whether it is the second word; the first one is what holds without the option.
    static bool one_of(const Options& options, std::string_view name, std::string_view no,
                       std::string_view yes) {
        const std::string_view word = options.text(name, no);
        if (word != no && word != yes) {
            throw OptionError("option " + std::string(name) + ": \"" + std::string(word) +
                              "\" is neither " + std::string(no) + " nor " + std::string(yes));
        }
        return word == yes;
    }
};

}  // namespace websocket::jsonrpc
