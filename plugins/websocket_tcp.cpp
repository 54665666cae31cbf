// SPDX-License-Identifier: Apache-2.0
// Joins WebSockets to servers that speak some other protocol over TCP or a unix socket, as websockify does.
//
//     WebSocketOption target 127.0.0.1:5900       or [::1]:5900, a.name:5900, unix:/run/a.sock
//     WebSocketOption targets /etc/apache2/vnc    instead: the parameter "token" chooses from this file or
//                                                 directory of lines "TOKEN: HOST:PORT"
//     WebSocketOption subprotocol binary          chosen if offered; several with commas between them
//     WebSocketOption connect-timeout 5s          10ms to 60m
//     WebSocketOption send-timeout 60s            for a target that takes nothing; 0: never
//     WebSocketOption buffer 64K                  bytes that may wait for a target, 1K to 16M
//     WebSocketOption max-waiting 16              handshakes that wait for a target, 1 to 1000
//
// The payloads of a client's messages, text or binary, are one stream of bytes to its target; what the target
// says are binary messages. docs/tcp.md tells the rest.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <websocket/plugin.hpp>

#include "tcp_bridge.hpp"
#include "tcp_connect.hpp"
#include "tcp_lingering.hpp"
#include "tcp_settings.hpp"
#include "tcp_tokens.hpp"
#include "tcp_waiting.hpp"

namespace {

/// Clients cause lines, and must not flood the log with them: ten may follow each other, then one a second
/// is written. [any thread]
class LineLimit {
public:
    /// How many lines were left out before this one; nothing when it is left out, too.
    [[nodiscard]] std::optional<std::uint64_t> admit() {
        const std::lock_guard lock(mutex_);
        const auto now = Clock::now();
        full_at_ = std::max(full_at_, now);
        if (full_at_ - now > kInterval * (kBurst - 1)) {
            ++left_out_;
            return {};
        }
        full_at_ += kInterval;
        return std::exchange(left_out_, 0);
    }

private:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds kInterval{1};
    static constexpr int kBurst = 10;

    std::mutex mutex_;  // guards the rest
    Clock::time_point full_at_{};
    std::uint64_t left_out_ = 0;
};

/// The process that has loaded this file: it reads the configuration, and forks the children.
const pid_t kConfigured = ::getpid();

class Tcp {
public:
    static constexpr const char* name = "tcp";
    static constexpr bool never_blocks = true;

    using Client = tcp::Bridge;

    static void check(const websocket::Options& options) {
        static_cast<void>(tcp::Places::shared());  // before children are forked
        const tcp::Settings settings = tcp::Settings::read(options);
        // Children ask again when they start. Then files of tokens may have changed, and what is wrong
        // with them is a matter of single clients.
        if (::getpid() == kConfigured) settings.check_files();
    }
    Tcp(const websocket::Server& server, const websocket::Options& options)
        : server_(server), settings_(tcp::Settings::read(options)), tokens_(settings_.targets),
          clients_(server.gauge("clients")), unreachable_(server.counter("unreachable")),
          lingering_(server) {
        static_cast<void>(server.io());  // these throw when there are none
        static_cast<void>(server.flow());
        static_cast<void>(server.timers());
    }

    void on_upgrade(websocket::Upgrade& upgrade, Client& client) {
        const std::optional<tcp::Target> target = target_of(upgrade);
        if (!target) return;
        try {
            tcp::Place place(tcp::Places::shared(), settings_.subject(), settings_.max_waiting);
            tcp::Attempt attempt(*target, settings_.connect_timeout, place);
            if (!client.attach(attempt.connect(), settings_)) {
                throw tcp::Unreachable::because(EMFILE);
            }
        } catch (const tcp::Unreachable& error) {
            unreachable_.add();
            warn("no connection to " + target->text() + ": " + error.what() + "; refused with " +
                 std::to_string(error.status()));
            if (error.status() == 503) upgrade.set_header("Retry-After", "1");
            return upgrade.refuse(error.status());
        }
        for (const std::string& subprotocol : settings_.subprotocols) {
            if (upgrade.choose_subprotocol(subprotocol)) break;
        }
        clients_.add(1);
    }
    void on_open(websocket::Connection connection, Client& client) { client.open(connection); }
    void on_fragment(websocket::Connection connection, websocket::Fragment part, Client& client) {
        client.on_client_bytes(connection, part.bytes);
    }
    void on_writable(websocket::Connection connection, Client& client) {
        client.on_client_has_room(connection);
    }
    void on_close(websocket::Connection, const websocket::Close&, Client& client) {
        clients_.add(-1);
        lingering_.take(client.leave());
    }

private:
    /// Nothing when the client is refused.
    [[nodiscard]] std::optional<tcp::Target> target_of(websocket::Upgrade& upgrade) {
        if (settings_.target) return settings_.target;
        const std::optional<std::string> token = upgrade.parameter_text("token");
        if (!token || token->empty()) throw websocket::BadRequest("parameter token is missing");
        try {
            std::optional<tcp::Target> target =
                tokens_.find(*token, [this](const std::string& line) { server_.warning(line); });
            if (!target) throw websocket::Refusal(404, "no such token");
            return target;
        } catch (const std::system_error& error) {
            warn(std::string("the file of tokens cannot be read: ") + error.what() +
                 "; refused with 503");
            upgrade.refuse(503);
            return {};
        }
    }
    void warn(std::string line) {
        const std::optional<std::uint64_t> left_out = lines_.admit();
        if (!left_out) return;
        if (*left_out > 0) line += " (" + std::to_string(*left_out) + " such lines were left out)";
        server_.warning(line);
    }

    const websocket::Server& server_;
    const tcp::Settings settings_;
    tcp::TokenFiles tokens_;
    const websocket::Metric clients_;
    const websocket::Metric unreachable_;
    LineLimit lines_;
    tcp::Lingering lingering_;
};

}  // namespace

WEBSOCKET_PLUGIN(tcp_init, Tcp)
