// SPDX-License-Identifier: Apache-2.0
// websocket-bridge: one process for each httpd, started by it, that carries topics between hosts.
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "bridge/bridge.hpp"
#include "bridge/broker_kinds.hpp"
#include "bridge/control.hpp"
#include "bridge/local_end.hpp"
#include "bridge/stderr_log.hpp"
#include "hub/broker_settings.hpp"
#include "hub/local_bus.hpp"
#include "net/reactor.hpp"

namespace websocket::bridge {

namespace {

constexpr std::chrono::milliseconds kReactorTick{10};
/// Until it is looked again whether an earlier bridge has ended.
constexpr std::chrono::milliseconds kTakeOver{20};
/// How long it goes on at the end for what has been published.
constexpr std::chrono::milliseconds kFarewell{500};

std::atomic<bool> stop_signal{false};  // the handler has no other place for these
std::atomic<const net::Reactor*> woken{nullptr};

void on_stop_signal(int /*signal*/) {
    stop_signal.store(true);
    if (const net::Reactor* reactor = woken.load()) {
        reactor->wake();
    }
}

void handle_signals() {
    struct sigaction action {};
    action.sa_handler = on_stop_signal;
    for (const int signal : {SIGTERM, SIGINT}) {
        ::sigaction(signal, &action, nullptr);
    }
    action.sa_handler = SIG_IGN;
    // What is meant for all processes of a terminal or of httpd: the parent decides.
    for (const int signal : {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH}) {
        ::sigaction(signal, &action, nullptr);
    }
}

/// Nothing when this is not how httpd starts the program.
std::optional<hub::BrokerSettings> read_settings() {
    struct stat status {};
    if (::fstat(hub::kBridgeSettingsFile, &status) != 0 || !S_ISREG(status.st_mode)) {
        return {};
    }
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    if (::pread(hub::kBridgeSettingsFile, text.data(), text.size(), 0) !=
        static_cast<ssize_t>(text.size())) {
        return {};
    }
    ::close(hub::kBridgeSettingsFile);
    return hub::BrokerSettings::of_text(text);
}

std::uint64_t random_host() {
    std::uint64_t host = 0;
    while (host == 0) {
        if (::getrandom(&host, sizeof host, 0) != sizeof host) {
            throw std::system_error(errno, std::generic_category(), "getrandom");
        }
    }
    return host;
}

/// All that the process has, and its turns.
class Program {
public:
    Program(const hub::BrokerSettings& settings, hub::BrokerUrl url, const hub::Registry& registry,
            const hub::PresenceStore& presence, const std::optional<hub::HistoryStore>& histories)
        : registry_(registry), log_(settings.level), reactor_(kReactorTick),
          control_(reactor_, hub::kBridgeControl), tls_(make_tls(settings, url)),
          local_end_(reactor_, settings.buffer),
          bus_(registry, {.buffer = settings.topic_buffer, .interests = &local_end_}, log_),
          drops_(log_, nullptr, {"", "WebSocketTopicBuffer", "", ""}),
          history_(make_history(settings, histories)),
          bridge_(reactor_, options(settings, std::move(url), presence), bus_,
                  registry.bridge_counts(), log_) {
        bus_.attach(local_end_, drops_);
        woken.store(&reactor_);
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    ~Program() { woken.store(nullptr); }

    int run() {
        while (!bus_.become_bridge()) {
            if (is_over()) {
                return EXIT_SUCCESS;
            }
            turn(kTakeOver);
        }
        if (history_) {
            bus_.begin_order();
        }
        bridge_.start();
        while (!is_over()) {
            turn(std::chrono::minutes(1));
            if (!local_end_.pass_on(bridge_)) {
                log_.print(base::LogLevel::error, "WS0606: memory ran out: the bridge begins anew");
                return EXIT_FAILURE;
            }
        }
        leave();
        return EXIT_SUCCESS;
    }

private:
    std::unique_ptr<net::TlsClientContext> make_tls(const hub::BrokerSettings& settings,
                                                    const hub::BrokerUrl& url) {
        if (!url.tls || url.kind == hub::BrokerUrl::Kind::nats) {  // libnats has its own
            return nullptr;
        }
        return std::make_unique<net::TlsClientContext>(net::TlsClientOptions{
            .verify = settings.verify, .ca_file = settings.ca_file, .http = false});
    }

    [[nodiscard]] std::unique_ptr<hub::History>
    make_history(const hub::BrokerSettings& settings,
                 const std::optional<hub::HistoryStore>& histories) {
        return histories ? std::make_unique<hub::History>(*histories, settings.histories, log_)
                         : nullptr;
    }

    [[nodiscard]] BridgeOptions options(const hub::BrokerSettings& settings, hub::BrokerUrl url,
                                        const hub::PresenceStore& presence) {
        BridgeOptions options;
        options.url = std::move(url);
        if (!settings.password.empty()) {
            options.url.password = settings.password;
        }
        options.url.sentinel_password = settings.sentinel_password;
        options.tls = tls_.get();
        options.trust = {.ca_file = settings.ca_file, .verify = settings.verify};
        options.prefix = settings.prefix;
        options.buffer = settings.buffer;
        options.hash_key = registry_.hash_key();
        options.host = random_host();
        options.presence = presence;
        options.history = history_.get();
        options.httpd = registry_.host();
        options.next_number = [this] { return registry_.next_number(); };
        options.has_all_until = &registry_.has_all_until();
        return options;
    }

    [[nodiscard]] bool is_over() const noexcept { return stop_signal.load() || control_.ended(); }

    void turn(std::chrono::milliseconds most) {
        reactor_.wait(most);
        try {
            reactor_.dispatch();
        } catch (const std::bad_alloc&) {
            log_.print(base::LogLevel::error, "WS0606: memory ran out: the bridge begins anew");
            std::_Exit(EXIT_FAILURE);
        }
        reactor_.fire_timers();
    }

    /// Others shall get what was published here before the end, if the broker takes it.
    void leave() {
        if (control_.ended()) {  // else a successor goes on with who is present
            bridge_.say_goodbye();
        }
        bus_.begin_stop();
        const auto limit = reactor_.elapsed() + kFarewell;
        while (reactor_.elapsed() < limit) {
            static_cast<void>(local_end_.pass_on(bridge_));
            if (bus_.stopped() && bridge_.is_idle()) {
                break;
            }
            turn(kReactorTick);
        }
    }

    hub::Registry registry_;
    StderrLog log_;
    net::Reactor reactor_;
    Control control_;
    std::unique_ptr<net::TlsClientContext> tls_;
    LocalEnd local_end_;
    hub::LocalBus bus_;
    hub::Drops drops_;
    std::unique_ptr<hub::History> history_;
    Bridge bridge_;
};

int main_with_settings() {
    auto settings = read_settings();
    if (!settings) {
        std::fputs("websocket-bridge is started by httpd: see WebSocketBroker in docs/hosts.md\n",
                   stderr);
        return EXIT_FAILURE;
    }
    StderrLog log(settings->level);
    try {
        const auto registry = hub::Registry::open(hub::kBridgeRegistryFile);
        const auto presence = hub::PresenceStore::open(hub::kBridgePresenceFile);
        hub::ParsedBrokerUrl parsed = hub::parse_broker_url(settings->url);
        if (!registry || !presence || !parsed.error.empty()) {
            log.print(base::LogLevel::error, "WS0607: websocket-bridge is not of the same version "
                                             "as mod_websocket: topics stay within this "
                                             "host");
            return EXIT_FAILURE;
        }
        ::close(hub::kBridgeRegistryFile);
        ::close(hub::kBridgePresenceFile);
        if (!knows_broker(parsed.url.kind)) {
            log.print(base::LogLevel::error,
                      "WS0632: websocket-bridge was built without %s, which WebSocketBroker needs: "
                      "topics stay within this host",
                      parsed.url.kind == hub::BrokerUrl::Kind::nats ? "libnats" : "hiredis");
            return EXIT_FAILURE;
        }
        std::optional<hub::HistoryStore> histories;
        if (!settings->histories.empty()) {
            if (parsed.url.kind == hub::BrokerUrl::Kind::redis) {  // no other keeps any
                histories = hub::HistoryStore::open(hub::kBridgeHistoryFile);
            }
            ::close(hub::kBridgeHistoryFile);
        }
        return Program(*settings, std::move(parsed.url), *registry, *presence, histories).run();
    } catch (const std::exception& error) {
        log.print(base::LogLevel::error, "WS0608: the bridge to other hosts ends: %s",
                  error.what());
        return EXIT_FAILURE;
    }
}

}  // namespace

}  // namespace websocket::bridge

int main(int argc, char** argv) {
    using BrokerKind = websocket::hub::BrokerUrl::Kind;
    if (argc > 1 && std::string_view(argv[1]) == "--version") {
        std::printf("websocket-bridge " WEBSOCKET_VERSION ", for%s%s\n",
                    websocket::bridge::knows_broker(BrokerKind::redis) ? " Redis" : "",
                    websocket::bridge::knows_broker(BrokerKind::nats) ? " NATS" : "");
        return EXIT_SUCCESS;
    }
    websocket::bridge::handle_signals();
    return websocket::bridge::main_with_settings();
}
