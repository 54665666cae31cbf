// SPDX-License-Identifier: Apache-2.0
// Of all children, the one that leads "clock" publishes its process and a number to "clock", again and
// again. Clients get that, and may ask: "pid", "lead NAME" and "resign NAME".
#include <unistd.h>

#include <string>
#include <websocket/plugin.hpp>

namespace {

class Leader {
public:
    static constexpr const char* name = "leader";
    static constexpr bool never_blocks = true;

    explicit Leader(const websocket::Server& server) : server_(server) {
        timer_ = server.every(std::chrono::milliseconds(10), [this] { tick(); });
    }
    void on_open(websocket::Connection client) { client.subscribe("clock"); }
    void on_message(websocket::Connection client, websocket::Message message) {
        const std::string_view text = message.text();
        const std::string_view topic = text.substr(text.find(' ') + 1);
        if (text == "pid") {
            client.send("pid " + std::to_string(::getpid()));
        } else if (text.starts_with("lead ")) {
            client.send(server_.leads(topic) ? "leads" : "follows");
        } else {
            server_.resign(topic);
            client.send("resigned");
        }
    }

private:
    void tick() {
        if (!server_.leads("clock")) return;
        server_.publish("clock",
                        "tick " + std::to_string(::getpid()) + " " + std::to_string(++ticks_));
    }

    const websocket::Server& server_;
    int ticks_ = 0;
    websocket::Timer timer_;
};

}  // namespace

WEBSOCKET_PLUGIN(leader_init, Leader)
