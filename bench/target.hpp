// Where to connect: a URL, what the handshake asks for, and the local addresses to connect from.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ascii.hpp"
#include "options.hpp"
#include "protocol/client_handshake.hpp"

namespace websocket::bench {

// There are some 28,000 ports for a pair of addresses. Linux tries each odd one before the even ones and looks it up
// in its table of connections: a connect() takes 26 us of CPU until half of them are in use, and 1.8 ms after that.
inline constexpr std::size_t connections_per_source = 8000;

// Of a client that trusts every server.
inline std::shared_ptr<SSL_CTX> make_tls(const std::string& version) {
    std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    SSL_CTX_set_read_ahead(context.get(), 1);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    const int only = version == "1.2" ? TLS1_2_VERSION : version == "1.3" ? TLS1_3_VERSION : 0;
    if (only == 0 && version != "any") refuse_value("--tls", version.c_str(), "1.2, 1.3 or any");
    SSL_CTX_set_min_proto_version(context.get(), only);
    SSL_CTX_set_max_proto_version(context.get(), only);
    return context;
}

struct Target {
    std::string url;
    std::string source = "127.0.0.1";  // first local address, for a server on 127.0.0.0/8
    std::vector<std::string> headers;
    bool events = false;  // asks for an event stream instead of a WebSocket

    std::string tls_version = "any";  // of a wss:// URL

    sockaddr_in address{};
    protocol::ClientOffer offer;
    std::shared_ptr<SSL_CTX> tls;  // null for ws://

    // Fills `address` and the rest of `offer` from the fields above; ends the program if they are wrong.
    void resolve();

    // A socket whose connect() is under way, or -1 with errno. `index` chooses the local address.
    [[nodiscard]] int connect(std::size_t index) const;
};

inline void Target::resolve() {
    const std::string_view scheme = url.starts_with("wss://") ? "wss://" : "ws://";
    const auto refuse = [this] {
        refuse_value("--url", url.c_str(), "ws://IPV4-ADDRESS:PORT/PATH, or wss://");
    };
    if (!url.starts_with(scheme)) refuse();
    const std::size_t slash = url.find('/', scheme.size());
    const std::string authority = url.substr(scheme.size(), slash - scheme.size());
    const std::string path = slash == std::string::npos ? "/" : url.substr(slash);
    const std::size_t colon = authority.find(':');
    const std::string host = authority.substr(0, colon);

    char* end = nullptr;
    const char* usual = scheme == "wss://" ? "443" : "80";
    const char* digits = colon == std::string::npos ? usual : authority.c_str() + colon + 1;
    const unsigned long port = std::strtoul(digits, &end, 10);
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const char* numeric = host == "localhost" ? "127.0.0.1" : host.c_str();
    if (end == digits || *end != '\0' || port < 1 || port > 65535 ||
        inet_pton(AF_INET, numeric, &address.sin_addr) != 1)
        refuse();
    in_addr ignored{};
    if (inet_pton(AF_INET, source.c_str(), &ignored) != 1)
        refuse_value("--source", source.c_str(), "an IPv4 address");

    if (scheme == "wss://") tls = make_tls(tls_version);
    offer.target = path;
    offer.host = authority;
    for (const std::string& header : headers) {
        const std::size_t end_of_name = header.find(':');
        if (end_of_name == std::string::npos)
            refuse_value("--header", header.c_str(), "one \"Name: value\"");
        offer.fields.push_back(
            {header.substr(0, end_of_name),
             std::string(base::trim(std::string_view(header).substr(end_of_name + 1)))});
    }
    const protocol::ClientHandshake tried(offer);
    if (tried.status() == protocol::ClientHandshake::Status::failed)
        fail(usage_error, "%s", tried.error().c_str());
}

inline int Target::connect(std::size_t index) const {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // The cheapest congestion control there is, and one without pacing timers: loopback loses nothing.
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
    bool started = true;
    if ((ntohl(address.sin_addr.s_addr) >> 24) == 127) {
        sockaddr_in local{};
        local.sin_family = AF_INET;
        inet_pton(AF_INET, source.c_str(), &local.sin_addr);
        local.sin_addr.s_addr = htonl(ntohl(local.sin_addr.s_addr) +
                                      static_cast<std::uint32_t>(index / connections_per_source));
        // The port is chosen in connect(), where the other address is known and ports can be shared.
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        started = bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local) == 0;
    }
    if (started)
        started = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
                  errno == EINPROGRESS;
    if (started) return fd;
    const int cause = errno;
    close(fd);
    errno = cause;
    return -1;
}

inline std::vector<Option> target_options(Target& target) {
    return {
        text("--url", "ws://HOST:PORT/PATH", "the server (IPv4), or wss:// for TLS", target.url),
        text("--tls", "1.2|1.3|any", "the version of TLS (any)", target.tls_version),
        {"--header", "'NAME: VALUE'", "one more header of the handshake, repeatable",
         [&target](const char* given) { target.headers.emplace_back(given); }},
        text("--source", "ADDRESS", "first local address to connect from (127.0.0.1)",
             target.source),
    };
}

}  // namespace websocket::bench
