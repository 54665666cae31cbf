// SPDX-License-Identifier: Apache-2.0
// A plugin to begin with: copy this folder, rename things, and build it with one of the three files
// beside. Says hello and echoes; how often it says hello is an option.
#include <websocket/plugin.hpp>

namespace {

struct Greeter {
    static constexpr const char* name = "greeter";
    static constexpr const char* version = "0.1";
    static constexpr bool never_blocks = true;

    static void check(const websocket::Options& options) { options.allow_only({"greeting"}); }
    Greeter(const websocket::Server&, const websocket::Options& options)
        : greeting(options.text("greeting", "hello")) {}

    void on_open(websocket::Connection client) { client.send(greeting); }
    void on_message(websocket::Connection client, websocket::Message message) {
        client.send(message);
    }

    const std::string greeting;
};

}  // namespace

WEBSOCKET_PLUGIN(greeter_init, Greeter)
