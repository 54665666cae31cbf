// SPDX-License-Identifier: Apache-2.0
#include "protocol/origin.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/ascii.hpp"

namespace websocket::protocol {

namespace {

constexpr std::string_view kSchemeEnd = "://";
constexpr std::string_view kAnySubdomain = "*.";
constexpr unsigned kNoPort = 0;

constexpr bool is_letter(char c) { return base::to_lower(c) >= 'a' && base::to_lower(c) <= 'z'; }

bool is_scheme(std::string_view text) {
    const auto may_follow = [](char c) {
        return is_letter(c) || base::is_digit(c) ||
               std::string_view("+-.").find(c) != std::string_view::npos;
    };
    return !text.empty() && is_letter(text[0]) && std::ranges::all_of(text, may_follow);
}

unsigned default_port(std::string_view scheme) {
    return scheme == "http" ? 80 : scheme == "https" ? 443 : kNoPort;
}

bool is_web(std::string_view scheme) { return default_port(scheme) != kNoPort; }

/// Labels with dots between them, perhaps one at the end. Non-ASCII names are written in ASCII by
/// everybody who sends them.
bool is_name(std::string_view text) {
    const auto allowed = [](char c) {
        return is_letter(c) || base::is_digit(c) ||
               std::string_view("-._~%").find(c) != std::string_view::npos;
    };
    return !text.empty() && text[0] != '.' && text.find("..") == std::string_view::npos &&
           std::ranges::all_of(text, allowed);
}

/// Between brackets; one address has many spellings.
std::optional<std::string> canonical_ipv6(std::string_view text) {
    in6_addr address{};
    std::array<char, INET6_ADDRSTRLEN> spelled{};
    if (text.find('\0') != std::string_view::npos ||
        ::inet_pton(AF_INET6, std::string(text).c_str(), &address) != 1 ||
        ::inet_ntop(AF_INET6, &address, spelled.data(), spelled.size()) == nullptr) {
        return {};
    }
    return std::string("[") + spelled.data() + ']';
}

/// Digits, without leading zeroes.
std::optional<unsigned> parse_port(std::string_view text) {
    constexpr unsigned kMax = 65535;
    unsigned port = 0;
    const char* end = text.data() + text.size();
    const auto [stop, status] = std::from_chars(text.data(), end, port);
    const bool valid = status == std::errc{} && stop == end && text[0] != '0' && port <= kMax;
    return valid ? std::optional{port} : std::nullopt;
}

/// Where the host ends in "host", "host:port", "[address]" or "[address]:port".
std::size_t end_of_host(std::string_view authority) {
    const std::size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
    return bracket == std::string_view::npos
               ? bracket
               : std::min(authority.find(':', bracket), authority.size());
}

std::optional<std::string> canonical_host(std::string_view host) {
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        return canonical_ipv6(host.substr(1, host.size() - 2));
    }
    return is_name(host) ? std::optional{base::lower(host)} : std::nullopt;
}

/// ":8080", or nothing for the scheme's own.
std::optional<std::string> canonical_port(std::string_view scheme, std::string_view suffix) {
    if (suffix.empty()) {
        return std::string();
    }
    const auto port = parse_port(suffix.substr(1));
    if (!port) {
        return {};
    }
    return *port == default_port(scheme) ? std::string() : ':' + std::to_string(*port);
}

struct Parts {
    std::string scheme;
    std::string_view authority;
};

std::optional<Parts> split(std::string_view text) {
    const std::size_t end = text.find(kSchemeEnd);
    if (end == std::string_view::npos || !is_scheme(text.substr(0, end))) {
        return {};
    }
    std::string_view authority = text.substr(end + kSchemeEnd.size());
    if (authority.size() > 1 && authority.ends_with('/')) {
        authority.remove_suffix(1);
    }
    return Parts{base::lower(text.substr(0, end)), authority};
}

/// Why no page has an origin with these parts, which were not understood.
std::string_view why_never(const Parts& parts) {
    const std::string_view authority = parts.authority;
    if (std::ranges::any_of(authority,
                            [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) {
        return "browsers send such a name in ASCII, beginning with xn--";
    }
    if (authority.find_first_of("/?#\\") != std::string_view::npos) {
        return "an origin has no path";
    }
    if (authority.find('@') != std::string_view::npos) {
        return "an origin has no user name";
    }
    if (authority.find('*') != std::string_view::npos) {
        return "a * stands for whole labels at the beginning of a domain of at least two, as in "
               "https://*.example.com";
    }
    const std::size_t end = end_of_host(authority);
    const bool bad_port = end < authority.size() && !parse_port(authority.substr(end + 1));
    return bad_port ? "its port is no number from 1 to 65535" : "it has no valid host";
}

/// "https://*.example.com:8443" in canonical form. What every company may register a name in is no
/// domain to trust; of those, this knows the ones without a dot.
std::optional<std::string> canonical_pattern(const Parts& parts) {
    if (!is_web(parts.scheme) || !parts.authority.starts_with(kAnySubdomain)) {
        return {};
    }
    const auto domain = origin_of(parts.scheme, parts.authority.substr(kAnySubdomain.size()));
    const std::string_view name = parts.authority.substr(
        kAnySubdomain.size(), end_of_host(parts.authority) - kAnySubdomain.size());
    if (!domain || name.starts_with('[') || name.ends_with('.') ||
        name.find('.') == std::string_view::npos) {
        return {};
    }
    const std::size_t host = parts.scheme.size() + kSchemeEnd.size();
    return domain->substr(0, host) + std::string(kAnySubdomain) + domain->substr(host);
}

}  // namespace

std::optional<std::string> origin_of(std::string_view scheme, std::string_view authority) {
    const std::size_t end = end_of_host(authority);
    if (end == std::string_view::npos) {
        return {};
    }
    const std::string known = base::lower(scheme);
    const auto host = canonical_host(authority.substr(0, end));
    const auto port = canonical_port(known, authority.substr(end));
    return host && port ? std::optional{known + std::string(kSchemeEnd) + *host + *port}
                        : std::nullopt;
}

std::optional<std::string> canonical_origin(std::string_view text) {
    const auto parts = split(text);
    return parts ? origin_of(parts->scheme, parts->authority) : std::nullopt;
}

TrustedOrigin read_trusted_origin(std::string_view text) {
    if (text == "null") {
        return {std::string(text)};
    }
    const auto parts = split(text);
    if (!parts) {
        return {std::string(text), "it does not begin with a scheme, such as https://"};
    }
    if (parts->scheme == "ws" || parts->scheme == "wss") {
        return {std::string(text),
                "it is the page that has an origin: http or https, not ws or wss"};
    }
    if (auto origin = origin_of(parts->scheme, parts->authority)) {
        return {std::move(*origin)};
    }
    if (auto pattern = canonical_pattern(*parts)) {
        return {std::move(*pattern)};
    }
    // Some programs have origins such as "file://".
    return {std::string(text), is_web(parts->scheme) ? why_never(*parts) : std::string_view{}};
}

bool trusts(std::string_view trusted, std::string_view canonical) noexcept {
    const std::size_t scheme = trusted.find(kSchemeEnd);
    if (scheme == std::string_view::npos) {
        return false;
    }
    const std::size_t host = scheme + kSchemeEnd.size();
    if (!trusted.substr(host).starts_with(kAnySubdomain)) {
        return trusted == canonical;
    }
    const std::string_view domain = trusted.substr(host + 1);  // with its dot
    return canonical.size() > host + domain.size() && canonical.ends_with(domain) &&
           canonical.starts_with(trusted.substr(0, host));
}

}  // namespace websocket::protocol
