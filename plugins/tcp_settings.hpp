// SPDX-License-Identifier: Apache-2.0
// Part of websocket_tcp.cpp: its options.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <websocket/plugin.hpp>

#include "tcp_target.hpp"
#include "tcp_tokens.hpp"

namespace tcp {

using std::chrono::milliseconds;

struct Settings {
    std::optional<Target> target;           ///< of all clients, or
    std::string targets;                    ///< the file or directory of tokens
    std::vector<std::string> subprotocols;  ///< the first that a client offers is chosen
    milliseconds connect_timeout{};         ///< for all addresses of a target together
    milliseconds send_timeout{};            ///< for a target that takes nothing; 0 for ever
    std::size_t buffer = 0;                 ///< bytes that may wait for a target
    unsigned max_waiting = 0;               ///< handshakes that wait for a target, in all processes

    /// Throws websocket::OptionError.
    [[nodiscard]] static Settings read(const websocket::Options& options);
    /// Throws it when the files of tokens cannot be read, or have a wrong line.
    void check_files() const;
    /// What clients come for: names the location among those that share the limit of waiting ones.
    [[nodiscard]] std::string subject() const { return target ? target->text() : targets; }
};

namespace detail {

/// A number and a unit, of which the first is what a number without one has.
struct Unit {
    std::string_view name;
    std::int64_t size;
};

[[noreturn]] inline void wrong_option(std::string_view name, std::string_view why) {
    throw websocket::OptionError("option " + std::string(name) + ": " + std::string(why));
}

inline std::int64_t measure(const websocket::Options& options, std::string_view name,
                            std::string_view fallback, std::initializer_list<Unit> units,
                            std::int64_t least, std::int64_t most, std::string_view allowed) {
    const std::string_view text = options.text(name, fallback);
    std::int64_t value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
    for (const Unit& one : units) {
        const bool fits = error == std::errc() && value >= 0 && value <= most / one.size;
        if (unit == one.name && fits && value * one.size >= least) return value * one.size;
    }
    wrong_option(name, "\"" + std::string(text) + "\" is not " + std::string(allowed));
}

inline milliseconds duration(const websocket::Options& options, std::string_view name,
                             std::string_view fallback, std::int64_t least,
                             std::string_view allowed) {
    return milliseconds(
        measure(options, name, fallback,
                {{"s", 1000}, {"ms", 1}, {"m", 60'000}, {"h", 3'600'000}, {"", 1000}}, least,
                3'600'000, allowed));
}

inline std::vector<std::string> subprotocols(const websocket::Options& options) {
    std::vector<std::string> names;
    const std::string_view text = options.text("subprotocol", "binary");
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        std::string_view name = text.substr(at, end - at);
        while (name.starts_with(' ')) name.remove_prefix(1);
        while (name.ends_with(' ')) name.remove_suffix(1);
        const bool token = !name.empty() && std::ranges::all_of(name, [](char c) {
            return c > ' ' && c < '\x7F' &&
                   std::string_view("()<>@,;:\\\"/[]?={}").find(c) == std::string_view::npos;
        });
        if (!token) {
            wrong_option("subprotocol", "\"" + std::string(text) +
                                            "\" is not a name such as binary, or several with "
                                            "commas between them");
        }
        names.emplace_back(name);
        at = end + 1;
    }
    return names;
}

}  // namespace detail

inline Settings Settings::read(const websocket::Options& options) {
    options.allow_only({"target", "targets", "subprotocol", "connect-timeout", "send-timeout",
                        "buffer", "max-waiting"});
    if (options.has("target") == options.has("targets")) {
        throw websocket::OptionError(
            options.has("target") ? "there are both options target and targets; one of them "
                                    "has to be removed"
                                  : "option target or targets is missing: target HOST:PORT "
                                    "or unix:/PATH for all clients, or targets FILE for one "
                                    "that the parameter token of the client's address names");
    }
    Settings settings;
    if (options.has("target")) {
        try {
            settings.target = parse_target(options.text("target"));
        } catch (const std::invalid_argument& error) {
            detail::wrong_option("target", error.what());
        }
    } else {
        settings.targets = options.text("targets");
        if (!settings.targets.starts_with('/')) {
            detail::wrong_option("targets",
                                 "\"" + settings.targets +
                                     "\" is not the absolute path of a file or directory");
        }
    }
    settings.subprotocols = detail::subprotocols(options);
    settings.connect_timeout = detail::duration(options, "connect-timeout", "5s", 10,
                                                "a time from 10ms to 60m, such as 5s");
    settings.send_timeout =
        detail::duration(options, "send-timeout", "60s", 0, "0 or a time up to 60m, such as 60s");
    settings.buffer = static_cast<std::size_t>(
        detail::measure(options, "buffer", "64K", {{"", 1}, {"K", 1 << 10}, {"M", 1 << 20}}, 1024,
                        16 << 20, "a size from 1K to 16M, such as 64K"));
    settings.max_waiting = options.number<unsigned>("max-waiting", 16, 1, 1000);
    return settings;
}

inline void Settings::check_files() const {
    if (target) return;
    try {
        TokenFiles(targets).check();
    } catch (const std::invalid_argument& error) {
        detail::wrong_option("targets", error.what());
    } catch (const std::system_error& error) {
        detail::wrong_option("targets", std::string(error.what()) +
                                            "; it has to be a file of lines \"TOKEN: TARGET\", or "
                                            "a directory of such files");
    }
}

}  // namespace tcp
