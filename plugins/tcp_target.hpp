// SPDX-License-Identifier: Apache-2.0
// Part of websocket_tcp.cpp: where a byte stream leads to, as administrators write it.
#pragma once

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tcp {

/// A host and a port, or the path of a unix socket.
struct Target {
    std::string host;        ///< a name, or an address without brackets; empty for a unix socket
    std::uint16_t port = 0;  ///< 0 for a unix socket
    std::string path;

    [[nodiscard]] bool is_unix() const noexcept { return !path.empty(); }
    /// Whether there is nothing to be looked up.
    [[nodiscard]] bool is_numeric() const {
        in6_addr address{};
        return ::inet_pton(AF_INET, host.c_str(), &address) == 1 ||
               ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
    }
    /// As an administrator would write it, for lines of logs.
    [[nodiscard]] std::string text() const {
        if (is_unix()) return "unix:" + path;
        const bool bracketed = host.find(':') != std::string::npos;
        return (bracketed ? "[" + host + "]" : host) + ":" + std::to_string(port);
    }
};

namespace detail {

inline constexpr std::string_view kForms =
    "HOST:PORT, [IPV6]:PORT and unix:/PATH are allowed, such as 127.0.0.1:5900";

[[noreturn]] inline void wrong(std::string_view text, std::string_view why) {
    throw std::invalid_argument("\"" + std::string(text) + "\" " + std::string(why) + "; " +
                                std::string(kForms));
}

inline Target unix_target(std::string_view text, std::string_view path) {
    if (path.empty() || path.front() != '/') wrong(text, "has no absolute path");
    if (path.size() >= sizeof sockaddr_un::sun_path) {
        wrong(text, "has a path of more than " + std::to_string(sizeof sockaddr_un::sun_path - 1) +
                        " bytes");
    }
    return {{}, 0, std::string(path)};
}

inline std::uint16_t port_of(std::string_view text, std::string_view digits) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || port == 0) {
        wrong(text, "has no port from 1 to 65535");
    }
    return port;
}

inline void check_name(std::string_view text, const std::string& host) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '-' || c == '_';
    };
    if (host.empty()) wrong(text, "has no host");
    if (host.size() > 253 || !std::ranges::all_of(host, allowed)) {
        wrong(text, "has no name of a host");
    }
    // What the resolver would make an address of in its own way, such as 127.1 or 010.0.0.1.
    in_addr address{};
    if (host.find_first_not_of("0123456789.") == std::string::npos &&
        ::inet_pton(AF_INET, host.c_str(), &address) != 1) {
        wrong(text, "has no IPv4 address of four numbers");
    }
}

}  // namespace detail

/// Throws std::invalid_argument with a sentence that says what is wrong and what is allowed.
[[nodiscard]] inline Target parse_target(std::string_view text) {
    constexpr std::string_view kUnix = "unix:";
    if (text.starts_with(kUnix)) return detail::unix_target(text, text.substr(kUnix.size()));

    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) detail::wrong(text, "has no port");
    std::string host(text.substr(0, colon));
    const std::uint16_t port = detail::port_of(text, text.substr(colon + 1));
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
        in6_addr address{};
        if (::inet_pton(AF_INET6, host.c_str(), &address) != 1) {
            detail::wrong(text, "has no IPv6 address in its brackets");
        }
        return {host, port, {}};
    }
    if (host.find(':') != std::string::npos) {
        detail::wrong(text, "has an IPv6 address without brackets, or too many colons");
    }
    detail::check_name(text, host);
    return {host, port, {}};
}

}  // namespace tcp
