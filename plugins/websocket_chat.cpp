// SPDX-License-Identifier: Apache-2.0
// Chat rooms. A client connects to .../chat?room=tea&name=alice and sends lines of text. It gets JSON:
//
//     {"type":"message","from":"alice","text":"hello"}     said in the room; the last ones at first
//     {"type":"joined","name":"alice"}  {"type":"left","name":"alice"}
//     {"type":"here","names":["alice","bob"]}              once, after the history
//
// The name is that of the user whom httpd has authenticated, else what ?name= says. History and names
// are those of one child process; messages reach the room in all of them.
//
//     WebSocketOption history 50     messages of a room that are kept, 0 to 1000
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include <websocket/plugin.hpp>

namespace {

std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        const auto code = static_cast<unsigned char>(c);
        if (code < 0x20) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", code);
            result += escaped;
        } else {
            if (c == '"' || c == '\\') result += '\\';
            result += c;
        }
    }
    return result + '"';
}

/// 1 to `most` bytes and nothing that could confuse a terminal.
bool is_name(std::string_view name, std::size_t most) {
    return !name.empty() && name.size() <= most && std::ranges::none_of(name, [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    });
}

class Chat {
public:
    static constexpr const char* name = "chat";
    static constexpr bool never_blocks = true;

    struct Client {
        std::string name;
        std::string room;
        bool inside = false;
    };

    static void check(const websocket::Options& options) {
        options.allow_only({"history"});
        static_cast<void>(history(options));
    }
    Chat(const websocket::Server& server, const websocket::Options& options)
        : server_(server), history_(history(options)), messages_(server.counter("messages")) {
        static_cast<void>(server.topics());  // throws when there are none
    }

    void on_upgrade(websocket::Upgrade& upgrade, Client& client) {
        client.name = upgrade.user();
        if (client.name.empty()) client.name = upgrade.parameter("name").value_or("");
        client.room = upgrade.parameter("room").value_or("lobby");
        if (!is_name(client.name, 64) || !is_name(client.room, 64)) {
            upgrade.refuse(400, "a name is needed: ?name=you&room=lobby\n");
        }
    }

    void on_open(websocket::Connection connection, Client& client) {
        const std::lock_guard lock(mutex_);
        Room& room = rooms_[client.room];
        for (const std::string& line : room.lines) connection.send(line);
        client.inside = true;
        if (++room.names[client.name] == 1) {
            say(client, "{\"type\":\"joined\",\"name\":" + quoted(client.name) + "}");
        }
        std::string here;
        for (const auto& [who, times] : room.names) {
            here += (here.empty() ? "" : ",") + quoted(who);
        }
        connection.send("{\"type\":\"here\",\"names\":[" + here + "]}");
        connection.subscribe(topic(client));
    }

    void on_message(websocket::Connection connection, websocket::Message message, Client& client) {
        if (!message.is_text()) {
            connection.close(1003, "text only");
            return;
        }
        const std::string line = "{\"type\":\"message\",\"from\":" + quoted(client.name) +
                                 ",\"text\":" + quoted(message.text()) + "}";
        messages_.add();
        const std::lock_guard lock(mutex_);
        Room& room = rooms_[client.room];
        room.lines.push_back(line);
        if (room.lines.size() > history_) room.lines.pop_front();
        say(client, line);
    }

    void on_close(websocket::Connection /*gone*/, const websocket::Close& /*why*/, Client& client) {
        const std::lock_guard lock(mutex_);
        const auto room = rooms_.find(client.room);
        if (!client.inside || room == rooms_.end() || --room->second.names[client.name] > 0) return;
        room->second.names.erase(client.name);
        say(client, "{\"type\":\"left\",\"name\":" + quoted(client.name) + "}");
        if (room->second.names.empty()) rooms_.erase(room);  // nobody can make it keep rooms
    }

private:
    struct Room {
        std::deque<std::string> lines;
        std::map<std::string, int> names;  ///< and how many connections each has
    };

    static std::size_t history(const websocket::Options& options) {
        return static_cast<std::size_t>(options.number("history", 50, 0, 1000));
    }
    static std::string topic(const Client& client) { return "chat:" + client.room; }
    void say(const Client& client, std::string_view line) const {
        server_.publish(topic(client), line);
    }

    const websocket::Server& server_;
    const std::size_t history_;
    const websocket::Metric messages_;
    std::mutex mutex_;  // guards rooms_, and keeps history and what is published in one order
    std::map<std::string, Room> rooms_;
};

}  // namespace

WEBSOCKET_PLUGIN(chat_init, Chat)
