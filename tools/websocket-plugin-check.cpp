// SPDX-License-Identifier: Apache-2.0
// websocket-plugin-check [-t SECONDS] PLUGIN.so INIT [NAME=VALUE ...]: runs a plugin of version 1 in
// memory, with good and hostile traffic, and says what breaks the contract of websocket/plugin.h. A
// trial may take 10 s, or SECONDS. Exit code 0 when nothing does, 1 when something does, 2 for a wrong
// command line.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>
#include <websocket/testing.hpp>

#include "event_stream_trials.hpp"
#include "plugin/common/loader.hpp"
#include "trial.hpp"
#include "watched_plugin.hpp"

namespace {

using websocket::plugin::Plugin;
using websocket::testing::Client;
using websocket::testing::Handshake;
using websocket::testing::Host;
using websocket::testing::Pairs;
using websocket::testing::Request;
using websocket::tools::complain;
using websocket::tools::judge;
using websocket::tools::passes;
using websocket::tools::Trial;

/// A client that the plugin accepts, or null: it may have its reasons.
std::shared_ptr<Client> accepted(Host& host) {
    Handshake handshake;
    handshake.target = "/check?name=check&room=check&topic=check";
    handshake.user = "check";
    handshake.headers = {{"Host", "localhost"}, {"Origin", "http://localhost"}};
    const auto client = host.connect(handshake);
    if (!client->open()) {
        complain("(the plugin refuses the client with " + std::to_string(client->answer().status) +
                 "; not checked further)");
        return nullptr;
    }
    return client;
}

void talk(Client& client, const std::string& payload) {
    for (const std::uint32_t type : {WS_TEXT, WS_BINARY}) {
        if (client.open()) client.message(type, payload);
    }
}

/// All methods, paths and bodies that are odd in some way.
void ask(Host& host) {
    if (host.plugin().on_http == nullptr) return;
    std::string rubbish;
    for (int i = 0; i < 1024; ++i) rubbish += static_cast<char>(i * 37);
    Request large;
    large.method = "POST";
    large.body.assign(large.max_body + 1, 'x');
    static_cast<void>(host.answer(large));
    for (const char* method :
         {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "x"}) {
        for (const char* target :
             {"/", "/check", "/check/", "/check//.%2F../x", "/check/a/b/websocket",
              "/check?name=%zz&&&=&%", "/check/\xff"}) {
            Request request;
            request.method = method;
            request.target = target;
            request.section = "/check";
            static_cast<void>(host.answer(request));
            request.user = "check";
            request.headers = {{"Host", "localhost"},
                               {"Origin", "http://elsewhere.example"},
                               {"Content-Type", "application/json"}};
            request.trusted_origin = false;
            for (const std::string& body : {std::string(), std::string("{\"a\":["), rubbish}) {
                request.body = body;
                static_cast<void>(host.answer(request));
            }
        }
    }
}

std::vector<Trial> trials(const ws_plugin& watched, const Pairs& options) {
    const WebSocketPlugin& plugin = watched.base;
    const auto with_client = [&plugin, options](const std::function<void(Host&, Client&)>& work) {
        return [&plugin, options, work] {
            Host host(plugin, options);
            if (const auto client = accepted(host)) work(host, *client);
            judge(host);
        };
    };
    return {
        {"starts and stops, twice",
         [&plugin, options] {
             for (int i = 0; i < 2; ++i) {
                 Host host(plugin, options);
                 host.advance(std::chrono::seconds(5));
                 judge(host);
             }
         }},
        {"checks its options without writing behind the message",
         [&known = watched] {
             if (known.check == nullptr) return;
             const ws_option unknown{"no-such-option", 14, "x", 1};
             std::array<char, 32> error;
             error.fill('#');
             const bool refused = known.check(&unknown, 1, error.data(), 16) != 0;
             if (std::count(error.begin() + 16, error.end(), '#') != 16) {
                 complain("check writes behind the end of its buffer");
                 std::_Exit(1);
             }
             if (refused &&
                 std::find(error.begin(), error.begin() + 16, '\0') == error.begin() + 16) {
                 complain("check leaves its message without a NUL");
                 std::_Exit(1);
             }
             if (!refused) complain("(check accepts any option: typing errors stay unnoticed)");
         }},
        {"messages: empty, short, large, many, binary rubbish",
         with_client([](Host& host, Client& c) {
             talk(c, "");
             talk(c, "hello");
             talk(c, std::string(1, '\0'));
             talk(c, std::string(1 << 20, 'x'));
             std::string rubbish;
             for (int i = 0; i < 1024; ++i) rubbish += static_cast<char>(i * 37);
             if (c.open()) c.binary(rubbish);
             for (int i = 0; i < 1000 && c.open(); ++i) c.text("{\"n\":" + std::to_string(i) + "}");
             host.advance(std::chrono::seconds(5));
             host.poll();
         })},
        {"pongs that nobody asked for", with_client([](Host&, Client& c) {
             c.pong("");
             c.pong(std::string(125, 'x'));
         })},
        {"a client that does not read, then does", with_client([](Host& host, Client& c) {
             c.stop_reading(100);
             for (int i = 0; i < 100 && c.open(); ++i) c.text("to a full client");
             host.advance(std::chrono::seconds(5));
             c.read();
             talk(c, "again");
         })},
        {"ends: by a Close, by none, in the middle of timers",
         with_client([](Host& host, Client& c) {
             c.close(4000, "reason");
             if (const auto other = accepted(host)) other->vanish();
             const auto third = accepted(host);
             host.advance(std::chrono::seconds(5));
             if (third != nullptr) third->close(1005);
             host.advance(std::chrono::minutes(5));
         })},
        {"many clients", with_client([](Host& host, Client& c) {
             std::vector<std::shared_ptr<Client>> clients;
             for (int i = 0; i < 200; ++i) clients.push_back(accepted(host));
             talk(c, "to all?");
             for (std::size_t i = 0; i < clients.size(); i += 2) {
                 if (clients[i] != nullptr) clients[i]->vanish();
             }
             talk(c, "to the rest?");
         })},
        {"handshakes that lack everything",
         [&plugin, options] {
             Host host(plugin, options);
             for (const char* target :
                  {"", "/", "/?", "/?name", "/?name=%zz&&&=&%", "/?name=%00"}) {
                 static_cast<void>(host.connect(target));
             }
             judge(host);
         }},
        {"requests that are no handshakes",
         [&plugin, options] {
             Host host(plugin, options);
             ask(host);
             judge(host);
         }},
        {"topics that remember, members elsewhere, gaps",
         [&plugin, options] {
             Host host(plugin, options, {.histories = {{"*", 2}}});
             for (int i = 0; i < 3; ++i) {
                 const auto client = accepted(host);
                 if (client == nullptr) break;
                 for (int n = 0; n < 5; ++n) talk(*client, "remember " + std::to_string(n));
                 for (std::uint32_t why = WS_GAP_RECONNECTED; why <= WS_GAP_BUSY + 1; ++why) {
                     host.gap(why);
                     host.gap(why, "check");
                 }
                 host.enter("check", "somebody", "elsewhere");
                 host.leave("check", "somebody");
                 host.forget("check");
                 host.advance(std::chrono::seconds(5));
             }
             judge(host);
         }},
        {"a drain", with_client([](Host& host, Client&) {
             host.drain(std::chrono::seconds(30));
             host.advance(std::chrono::seconds(30));
         })},
    };
}

}  // namespace

int main(int argc, char** argv) {
    unsigned patience = 10;
    int first = 1;
    if (argc > 2 && std::string(argv[1]) == "-t") {
        patience = static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10));
        first = 3;
    }
    if (argc < first + 2 || patience == 0) {
        std::fprintf(stderr, "usage: websocket-plugin-check [-t SECONDS] PLUGIN.so INIT "
                             "[NAME=VALUE ...]\n");
        return 2;
    }
    Pairs options;
    for (int i = first + 2; i < argc; ++i) {
        const std::string text = argv[i];
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos) {
            std::fprintf(stderr, "websocket-plugin-check: \"%s\" is not NAME=VALUE\n", argv[i]);
            return 2;
        }
        options.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    }
    std::string path = argv[first];
    if (path.find('/') == std::string::npos) path.insert(0, "./");
    std::string error;
    const auto plugin = Plugin::load(path, argv[first], argv[first + 1], error);
    if (plugin == nullptr) {
        std::printf("%s\n", error.c_str());
        return 1;
    }
    if (plugin->v1() == nullptr) {
        std::printf("it loads; as a plugin of version 0 it cannot be checked further\n");
        return 0;
    }
    int failed = 0;
    const websocket::tools::WatchedPlugin watched(plugin->callbacks());
    std::vector<Trial> all = trials(watched.get(), options);
    std::ranges::move(websocket::tools::event_stream_trials(watched.get(), options),
                      std::back_inserter(all));
    for (const Trial& trial : all) failed += passes(trial, patience) ? 0 : 1;
    std::printf(failed == 0 ? "good\n" : "%d trials failed\n", failed);
    return failed == 0 ? 0 : 1;
}
