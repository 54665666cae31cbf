// SPDX-License-Identifier: Apache-2.0
#include "client/uri.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/ascii.hpp"
#include "websocket/jsonrpc/client_errors.hpp"

namespace websocket::client {

namespace {

class UriParser {
public:
    UriParser(std::string_view name, std::string_view text) : name_(name), text_(text) {}

    Uri parse() {
        Uri uri{};
        std::string_view rest = text_;
        const std::size_t colon = rest.find("://");
        const std::string scheme = base::lower(rest.substr(0, std::min(colon, rest.size())));
        uri.tls = scheme == "wss" || scheme == "https";
        if (colon == std::string_view::npos || (!uri.tls && scheme != "ws" && scheme != "http")) {
            refuse("must begin with ws:// or wss://");
        }
        rest.remove_prefix(colon + 3);
        if (!std::ranges::all_of(rest, [](char c) { return c > 0x20 && c < 0x7F; })) {
            refuse("must be ASCII without blanks: write %20 for a blank, and names of hosts in "
                   "their xn-- form");
        }
        if (rest.find('#') != std::string_view::npos) {
            refuse("must not have a fragment, #");
        }
        const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
        take_authority(rest.substr(0, end), uri);
        rest.remove_prefix(end);
        uri.target = rest.starts_with('/') ? std::string(rest) : '/' + std::string(rest);
        return uri;
    }

private:
    [[noreturn]] void refuse(std::string_view why) const {
        throw jsonrpc::ConfigurationError(std::string(name_) + ' ' + std::string(why) + ", not \"" +
                                          std::string(text_.substr(0, 200)) + '"');
    }

    void take_authority(std::string_view authority, Uri& uri) const {
        if (authority.find('@') != std::string_view::npos) {
            refuse("must not have a user: put it into ws.headers as Authorization");
        }
        std::size_t end = authority.find(':');
        if (authority.starts_with('[')) {
            end = authority.find(']');
            std::array<std::uint8_t, sizeof(in6_addr)> address{};
            uri.host = authority.substr(1, end == std::string_view::npos ? 0 : end - 1);
            if (::inet_pton(AF_INET6, uri.host.c_str(), address.data()) != 1) {
                refuse("must have an IPv6 address in its brackets");
            }
            ++end;
        } else {
            uri.host = authority.substr(0, end);
            const auto allowed = [](char c) {
                return base::is_digit(c) ||
                       (base::to_lower(c) >= 'a' && base::to_lower(c) <= 'z') || c == '.' ||
                       c == '-' || c == '_';
            };
            if (uri.host.empty() || !std::ranges::all_of(uri.host, allowed)) {
                refuse("must have the name or the address of a host");
            }
        }
        const std::uint16_t usual = uri.tls ? 443 : 80;
        uri.port = end < authority.size() ? take_port(authority.substr(end)) : usual;
        const bool v6 = uri.host.find(':') != std::string::npos;
        uri.authority = v6 ? '[' + uri.host + ']' : uri.host;
        if (uri.port != usual) {
            uri.authority += ':' + std::to_string(uri.port);
        }
    }

    /// With its colon.
    [[nodiscard]] std::uint16_t take_port(std::string_view text) const {
        std::uint16_t port = 0;
        const char* end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data() + 1, end, port);
        if (text.front() != ':' || error != std::errc() || stop != end || port == 0) {
            refuse("must have a port from 1 to 65535, or none");
        }
        return port;
    }

    std::string_view name_;
    std::string_view text_;
};

}  // namespace

Uri parse_uri(std::string_view name, std::string_view text) {
    return UriParser(name, text).parse();
}

}  // namespace websocket::client
