// SPDX-License-Identifier: Apache-2.0
#include "hub/broker_url.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/ascii.hpp"

namespace websocket::hub {

namespace {

constexpr std::uint16_t kRedisPort = 6379;
constexpr std::uint16_t kSentinelPort = 26379;
constexpr std::uint16_t kNatsPort = 4222;
constexpr std::size_t kMostHosts = 16;
constexpr std::size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr unsigned kLargestDatabase = 65535;

constexpr const char* kAllowed =
    "redis://[user:password@]host[:port][/database], rediss://... for TLS, unix:/path or "
    "redis+unix:///path, or "
    "redis+sentinel://[user:password@]host[:port][,host[:port]...]/name; or "
    "nats://[user:password@|token@]host[:port][,host[:port]...], nats+tls://... for TLS";

/// Thrown and caught here.
struct Refused {
    std::string why;
};

bool is_hex(char c) noexcept {
    return base::is_digit(c) || (base::to_lower(c) >= 'a' && base::to_lower(c) <= 'f');
}

/// RFC 3986 section 2.1.
std::string decoded(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            result += text[i];
            continue;
        }
        unsigned value = 0;
        if (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) {
            throw Refused{"has a % that two hexadecimal digits do not follow: write %25 for it"};
        }
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
        if (value == 0) {
            throw Refused{"has a %00, which no name and no password may contain"};
        }
        result += static_cast<char>(value);
        i += 2;
    }
    return result;
}

class BrokerUrlParser {
public:
    explicit BrokerUrlParser(std::string_view text) : rest_(text) {}

    BrokerUrl parse() {
        if (!std::ranges::all_of(rest_, [](char c) { return c > 0x20 && c != 0x7F; })) {
            throw Refused{"must be ASCII without blanks: write %20 for a blank"};
        }
        const std::size_t colon = rest_.find(':');
        const std::string scheme = base::lower(rest_.substr(0, std::min(colon, rest_.size())));
        rest_.remove_prefix(std::min(colon + 1, rest_.size()));
        if (colon == std::string_view::npos) {
            throw Refused{std::string("must be ") + kAllowed};
        }
        if (scheme == "unix") {
            take_path();
        } else if (scheme == "redis+unix") {
            take_slashes();
            take_credentials();
            take_path();
        } else if (scheme == "redis" || scheme == "rediss") {
            url_.tls = scheme == "rediss";
            take_slashes();
            take_credentials();
            take_server();
        } else if (scheme == "redis+sentinel" || scheme == "rediss+sentinel") {
            url_.tls = scheme == "rediss+sentinel";
            take_slashes();
            take_credentials();
            take_sentinels();
        } else if (scheme == "nats" || scheme == "nats+tls" || scheme == "tls") {
            url_.kind = BrokerUrl::Kind::nats;
            url_.tls = scheme != "nats";
            take_slashes();
            take_credentials();
            take_cluster();
        } else {
            refuse_scheme(scheme);
        }
        return std::move(url_);
    }

private:
    [[noreturn]] static void refuse_scheme(const std::string& scheme) {
        if (scheme == "amqp" || scheme == "mqtt" || scheme == "kafka") {
            throw Refused{
                scheme +
                "://: this broker is not supported; it must be Redis, Valkey or NATS: " + kAllowed};
        }
        if (scheme == "redis+cluster" || scheme == "rediss+cluster") {
            throw Refused{"a Redis Cluster is not supported: it carries each message to all of its "
                          "nodes; use one "
                          "server, with replicas and sentinels if it shall not fail: "
                          "redis+sentinel://host,host/name"};
        }
        throw Refused{std::string("must be ") + kAllowed};
    }

    void take_slashes() {
        if (!rest_.starts_with("//")) {
            throw Refused{"must have // behind its first colon"};
        }
        rest_.remove_prefix(2);
    }

    void take_credentials() {
        const std::size_t end = std::min(rest_.find('/'), rest_.size());
        const std::size_t at = rest_.substr(0, end).rfind('@');
        if (at == std::string_view::npos) {
            return;
        }
        const std::string_view credentials = rest_.substr(0, at);
        const std::size_t colon = credentials.find(':');
        if (url_.kind == BrokerUrl::Kind::nats) {
            take_nats_credentials(credentials, colon);
        } else if (colon == std::string_view::npos) {
            throw Refused{"must have user:password or :password before its @"};
        } else {
            url_.user = decoded(credentials.substr(0, colon));
            url_.password = decoded(credentials.substr(colon + 1));
            if (url_.password.empty() && url_.user.empty()) {
                throw Refused{"must have user:password or :password before its @"};
            }
        }
        rest_.remove_prefix(at + 1);
    }

    /// What has no colon is a token.
    void take_nats_credentials(std::string_view credentials, std::size_t colon) {
        if (colon == std::string_view::npos) {
            url_.password = decoded(credentials);
        } else {
            url_.user = decoded(credentials.substr(0, colon));
            url_.password = decoded(credentials.substr(colon + 1));
        }
        if (colon == 0 || (url_.password.empty() && url_.user.empty())) {
            throw Refused{"must have user:password or a token before its @"};
        }
    }

    void take_path() {
        url_.socket_path = decoded(rest_);
        if (!url_.socket_path.starts_with('/')) {
            throw Refused{"must have the whole path of a socket, which begins with /"};
        }
        if (url_.socket_path.size() > kLongestPath) {
            throw Refused{"has a path that is longer than " + std::to_string(kLongestPath) +
                          " bytes, which no socket has"};
        }
    }

    [[nodiscard]] std::string_view take_until_slash() {
        const std::size_t end = std::min(rest_.find('/'), rest_.size());
        const std::string_view part = rest_.substr(0, end);
        rest_.remove_prefix(end);
        return part;
    }

    void take_server() {
        const std::string_view authority = take_until_slash();
        if (authority.find(',') != std::string_view::npos) {
            throw Refused{"must have one host; several, of sentinels, are for "
                          "redis+sentinel://host,host/name"};
        }
        url_.hosts.push_back(host_of(authority, kRedisPort));
        if (rest_.size() > 1) {
            const char* end = rest_.data() + rest_.size();
            const auto [stop, error] = std::from_chars(rest_.data() + 1, end, url_.database);
            if (error != std::errc() || stop != end || url_.database > kLargestDatabase) {
                throw Refused{"must have the number of a database behind its last /, or nothing"};
            }
        }
    }

    void take_hosts(std::uint16_t usual, const char* what) {
        std::string_view authority = take_until_slash();
        for (;;) {
            const std::size_t comma = std::min(authority.find(','), authority.size());
            url_.hosts.push_back(host_of(authority.substr(0, comma), usual));
            if (comma == authority.size()) {
                break;
            }
            authority.remove_prefix(comma + 1);
        }
        if (url_.hosts.size() > kMostHosts) {
            throw Refused{"must have at most " + std::to_string(kMostHosts) + what};
        }
    }

    void take_cluster() {
        take_hosts(kNatsPort, " servers");
        if (rest_.size() > 1) {
            throw Refused{"must have nothing behind the hosts of NATS, which has no databases"};
        }
    }

    void take_sentinels() {
        take_hosts(kSentinelPort, " sentinels");
        url_.master = decoded(rest_.substr(std::min<std::size_t>(1, rest_.size())));
        if (url_.master.empty() || url_.master.find('/') != std::string::npos) {
            throw Refused{
                "must have the name that the sentinels watch the server by behind its last /"};
        }
    }

    [[nodiscard]] static BrokerUrl::Host host_of(std::string_view text, std::uint16_t usual) {
        BrokerUrl::Host host{{}, usual};
        std::size_t end = std::min(text.find(':'), text.size());
        if (text.starts_with('[')) {
            end = text.find(']');
            std::array<std::uint8_t, sizeof(in6_addr)> address{};
            host.name = text.substr(1, end == std::string_view::npos ? 0 : end - 1);
            if (::inet_pton(AF_INET6, host.name.c_str(), address.data()) != 1) {
                throw Refused{"must have an IPv6 address in its brackets"};
            }
            ++end;
        } else {
            host.name = text.substr(0, end);
            const auto allowed = [](char c) {
                return base::is_digit(c) ||
                       (base::to_lower(c) >= 'a' && base::to_lower(c) <= 'z') || c == '.' ||
                       c == '-' || c == '_';
            };
            if (host.name.empty() || !std::ranges::all_of(host.name, allowed)) {
                throw Refused{"must have the name or the address of a host; in a user or a "
                              "password, write / as %2F and @ "
                              "as %40"};
            }
        }
        if (end < text.size()) {
            const char* last = text.data() + text.size();
            const auto [stop, error] = std::from_chars(text.data() + end + 1, last, host.port);
            if (text[end] != ':' || error != std::errc() || stop != last || host.port == 0) {
                throw Refused{"must have a port from 1 to 65535 behind \"" + host.name +
                              "\", or none"};
            }
        }
        return host;
    }

    std::string_view rest_;
    BrokerUrl url_;
};

}  // namespace

std::string BrokerUrl::describe() const {
    if (!socket_path.empty()) {
        return "unix:" + socket_path;
    }
    std::string text = kind == Kind::nats ? (tls ? "nats+tls" : "nats")
                       : master.empty()   ? (tls ? "rediss" : "redis")
                                          : (tls ? "rediss+sentinel" : "redis+sentinel");
    text += "://";
    for (const Host& host : hosts) {
        text += &host == hosts.data() ? "" : ",";
        text += host.name.find(':') != std::string::npos ? '[' + host.name + ']' : host.name;
        text += ':' + std::to_string(host.port);
    }
    return master.empty() ? text : text + '/' + master;
}

ParsedBrokerUrl parse_broker_url(std::string_view text) {
    try {
        return {BrokerUrlParser(text).parse(), {}};
    } catch (Refused& refused) {
        return {{}, std::move(refused.why)};
    }
}

}  // namespace websocket::hub
