// SPDX-License-Identifier: Apache-2.0
// Sends what one client sends to all the others, in whatever child process they are.
//
//     WebSocketOption topic NAME       clients of all locations with the same name hear each other;
//                                      "broadcast" unless given
//     WebSocketOption echo on          who sends gets it as well
#include <string>

#include <websocket/plugin.hpp>

namespace {

class Broadcast {
public:
    static constexpr const char* name = "broadcast";
    static constexpr bool never_blocks = true;

    static void check(const websocket::Options& options) {
        options.allow_only({"topic", "echo"});
        const std::string topic = topic_of(options);
        if (topic.empty() || topic.size() > 255) {
            throw websocket::OptionError("topic takes 1 to 255 bytes");
        }
        static_cast<void>(echoes(options));
    }
    Broadcast(const websocket::Server& server, const websocket::Options& options)
        : server_(server), topic_(topic_of(options)), echoes_(echoes(options)) {}

    void on_open(websocket::Connection connection) {
        if (!taken(connection.subscribe(topic_))) connection.close(1013, "try again later");
    }
    void on_message(websocket::Connection connection, websocket::Message message) {
        server_.publish(topic_, message.type, message.bytes, echoes_ ? 0 : connection.id());
    }

private:
    static std::string topic_of(const websocket::Options& options) {
        return std::string(options.text("topic", "broadcast"));
    }
    static bool echoes(const websocket::Options& options) {
        const std::string_view text = options.text("echo", "off");
        if (text != "on" && text != "off") throw websocket::OptionError("echo takes on or off");
        return text == "on";
    }

    const websocket::Server& server_;
    const std::string topic_;
    const bool echoes_;
};

}  // namespace

WEBSOCKET_PLUGIN(broadcast_init, Broadcast)
