// SPDX-License-Identifier: Apache-2.0
// Chat rooms. A client connects to .../chat?room=tea&name=alice and sends lines of text. It gets JSON:
//
//     {"type":"message","at":1700000000000000,"id":"…","from":"alice","text":"hello"}
//                                                          said in the room; the last ones at first
//     {"type":"here","names":["alice","bob"]}              who is there, when it comes in
//     {"type":"joined","name":"bob"}  {"type":"left","name":"bob"}
//     {"type":"busy"}                                      not all have got what you have said
//
// "at" is in microseconds since 1970. A message that is said while a client comes in may come twice, or
// before older ones: "id" and "at" tell. The name is that of the user whom httpd has authenticated, else
// what ?name= says.
//
//     WebSocketOption history 50        messages of a room that are kept, 0 to 1000
//     WebSocketOption heartbeat 5000    milliseconds between what children say of their rooms, 100 to
//                                       60000; the names of a child that was killed are gone after three
#include "chat_line.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <websocket/plugin.hpp>

namespace {

using chat::Line;
using chat::quoted;

/// Each child has the rooms that its clients are in. What is said goes to a topic of the room, which
/// clients subscribe to and children listen to, for the history. A second topic is for children only:
///
///     ask CHILD                     I have the room now: who is there, what was said?
///     state TO CHILD N NAMES LINES  the answer: N names and the history
///     names CHILD NAMES             those of my clients, all of them
///
/// with a line feed between the words.
class Chat {
public:
    static constexpr const char* name = "chat";
    static constexpr bool never_blocks = true;

    struct Client {
        std::string name;
        std::string room;
    };

    static void check(const websocket::Options& options) {
        options.allow_only({"history", "heartbeat"});
        static_cast<void>(history(options));
        static_cast<void>(heartbeat(options));
    }
    Chat(const websocket::Server& server, const websocket::Options& options)
        : server_(server), history_(history(options)), child_(random_name()),
          messages_(server.counter("messages")) {
        static_cast<void>(server.topics());  // throws when there are none
        timer_ = server.every(heartbeat(options), [this] { beat(); });
    }

    void on_upgrade(websocket::Upgrade& upgrade, Client& client) {
        client.name = upgrade.user();
        if (client.name.empty()) client.name = upgrade.parameter("name").value_or("");
        client.room = upgrade.parameter("room").value_or("lobby");
        if (!chat::is_name(client.name, 64) || !chat::is_name(client.room, 64)) {
            upgrade.refuse(400, "a name is needed: ?name=you&room=lobby\n");
        }
    }

    void on_open(websocket::Connection connection, Client& client) {
        if (!server_.post([this, connection, client] { enter(connection, client); })) {
            connection.close(1013, "try again later");
        }
    }

    void on_message(websocket::Connection connection, websocket::Message message, Client& client) {
        if (!message.is_text()) {
            connection.close(1003, "text only");
        } else if (message.bytes.size() > kLongest) {
            connection.close(1009, "too long");
        } else {
            messages_.add();
            const std::string id = child_ + '.' + std::to_string(next_line_.fetch_add(1));
            const std::string line = chat::line(id, client.name, message.text());
            if (!taken(server_.publish(said(client.room), line))) {
                connection.send("{\"type\":\"busy\"}");
            }
        }
    }

    void on_close(websocket::Connection connection, const websocket::Close& /*why*/,
                  Client& client) {
        server_.post([this, connection, client] { leave(connection, client); });
    }

private:
    using Milliseconds = std::chrono::milliseconds;
    using Names = std::set<std::string, std::less<>>;

    static constexpr std::size_t kLongest = 16384;
    /// Rooms without clients that a child remembers.
    static constexpr std::ptrdiff_t kMostEmpty = 100;
    static constexpr std::uint64_t kMostSilent = 3;  // heartbeats

    struct Member {
        websocket::Connection connection;
        bool welcomed;
    };
    /// What another child has said.
    struct Elsewhere {
        Names names;
        std::uint64_t heard;  ///< heartbeats of this child before
    };
    struct Room {
        std::deque<Line> lines;
        std::map<ws_conn, Member> members;
        std::map<std::string, int> here;  ///< of this child: and how many clients each has
        std::map<std::string, Elsewhere> elsewhere;  ///< by the child
        std::map<std::string, int> names;            ///< in how many places
        std::uint64_t left = 0;                      ///< by its last client here: which one it was
        websocket::Listener lines_listener;
        websocket::Listener children_listener;
    };

    static std::size_t history(const websocket::Options& options) {
        return static_cast<std::size_t>(options.number("history", 50, 0, 1000));
    }
    static Milliseconds heartbeat(const websocket::Options& options) {
        return Milliseconds(options.number("heartbeat", 5000, 100, 60000));
    }
    static std::string random_name() {
        std::random_device random;
        return std::to_string(random()) + '-' + std::to_string(random());
    }
    static std::string said(const std::string& room) { return "chat:" + room; }
    static std::string children(const std::string& room) { return "chat-children:" + room; }

    // All below is run by the server where it runs timers: one after the other, and what one thread
    // sends to a client arrives in this order.

    void enter(websocket::Connection connection, const Client& client) {
        Room* room = find_or_begin(client.room);
        if (room == nullptr || !taken(connection.subscribe(said(client.room)))) {
            connection.close(1013, "try again later");
            return;
        }
        room->members.emplace(connection.id(), Member{connection, false});
        add(*room, client.name);
        if (++room->here[client.name] == 1) tell_names(client.room, *room);
        // What was said before the subscription has been heard when this runs.
        server_.post([this, connection, place = client.room] { welcome(connection, place); });
    }

    void leave(websocket::Connection connection, const Client& client) {
        const auto found = rooms_.find(client.room);
        if (found == rooms_.end() || found->second.members.erase(connection.id()) == 0) return;
        Room& room = found->second;
        if (--room.here[client.name] == 0) {
            room.here.erase(client.name);
            tell_names(client.room, room);
        }
        remove(room, client.name);
        if (room.members.empty()) {
            room.left = ++departures_;
            forget_oldest();
        }
    }

    Room* find_or_begin(const std::string& place) {
        const auto [found, begun] = rooms_.try_emplace(place);
        Room& room = found->second;
        if (begun) {
            room.lines_listener =
                server_.listen(said(place), [this, place](const websocket::Published& message) {
                    const auto known = rooms_.find(place);
                    if (known != rooms_.end()) remember(known->second, Line(message.text()));
                });
            room.children_listener =
                server_.listen(children(place), [this, place](const websocket::Published& message) {
                    const auto known = rooms_.find(place);
                    if (known != rooms_.end()) hear(place, known->second, message.text());
                });
            if (!room.lines_listener || !room.children_listener) {
                rooms_.erase(found);
                return nullptr;
            }
            server_.publish(children(place), "ask\n" + child_);
        }
        return &room;
    }

    void welcome(websocket::Connection connection, const std::string& place) {
        const auto room = rooms_.find(place);
        if (room == rooms_.end()) return;
        const auto member = room->second.members.find(connection.id());
        if (member == room->second.members.end()) return;  // gone already
        for (const Line& line : room->second.lines) connection.send(line.text);
        connection.send(who(room->second));
        member->second.welcomed = true;
    }

    static std::string who(const Room& room) {
        std::string all;
        for (const auto& [one, places] : room.names) all += (all.empty() ? "" : ",") + quoted(one);
        return "{\"type\":\"here\",\"names\":[" + all + "]}";
    }
    void tell(const Room& room, const std::string& text) const {
        const websocket::Prepared message = server_.prepare(text);
        for (const auto& [id, member] : room.members) {
            if (member.welcomed) member.connection.send(message);
        }
    }

    void add(Room& room, const std::string& who, bool aloud = true) const {
        if (++room.names[who] == 1 && aloud) {
            tell(room, "{\"type\":\"joined\",\"name\":" + quoted(who) + "}");
        }
    }
    void remove(Room& room, const std::string& who) const {
        if (--room.names[who] > 0) return;
        room.names.erase(who);
        tell(room, "{\"type\":\"left\",\"name\":" + quoted(who) + "}");
    }

    /// False when it is known already, or too old.
    bool remember(Room& room, Line line) const {
        if (line.id.empty() || history_ == 0) return false;
        const auto place = std::upper_bound(room.lines.begin(), room.lines.end(), line);
        const bool known =
            std::ranges::any_of(room.lines, [&](const Line& one) { return one.id == line.id; });
        if (known || (place == room.lines.begin() && room.lines.size() >= history_)) return false;
        room.lines.insert(place, std::move(line));
        if (room.lines.size() > history_) room.lines.pop_front();
        return true;
    }

    std::string my_names(const Room& room) const {
        std::string text;
        for (const auto& [one, times] : room.here) text += '\n' + one;
        return text;
    }
    void tell_names(const std::string& place, const Room& room) const {
        server_.publish(children(place), "names\n" + child_ + my_names(room));
    }

    void hear(const std::string& place, Room& room, std::string_view text) {
        chat::Words words(text);
        const std::string_view what = words.next();
        std::string from(words.next());
        if (what == "ask" && from != child_) {
            answer(place, room, from);
        } else if (what == "state" && from == child_) {
            from = words.next();
            const auto count = static_cast<std::size_t>(chat::number(words.next()));
            take_names(room, from, words.take(count), false);
            while (!words.empty()) {
                const Line line(words.next());
                if (remember(room, line)) tell(room, line.text);
            }
            tell(room, who(room));
        } else if (what == "names" && from != child_) {
            take_names(room, from, words.take(SIZE_MAX), true);
        }
    }

    void answer(const std::string& place, const Room& room, const std::string& to) const {
        std::string text = "state\n" + to + '\n' + child_ + '\n' +
                           std::to_string(room.here.size()) + my_names(room);
        for (const Line& line : room.lines) text += '\n' + line.text;
        server_.publish(children(place), text);
    }

    void take_names(Room& room, const std::string& child, const Names& now, bool aloud) const {
        Elsewhere& there = room.elsewhere[child];
        there.heard = beats_;
        const Names before = std::exchange(there.names, now);
        for (const std::string& one : now) {
            if (!before.contains(one)) add(room, one, aloud);
        }
        for (const std::string& one : before) {
            if (!now.contains(one)) remove(room, one);
        }
        if (now.empty()) room.elsewhere.erase(child);
    }

    void beat() {
        ++beats_;
        for (auto& [place, room] : rooms_) {
            if (!room.members.empty()) tell_names(place, room);
            std::vector<std::string> silent;
            for (const auto& [child, there] : room.elsewhere) {
                if (beats_ - there.heard > kMostSilent) silent.push_back(child);
            }
            for (const std::string& child : silent) take_names(room, child, {}, true);
        }
    }

    void forget_oldest() {
        const auto empty = [](const auto& one) { return one.second.members.empty(); };
        if (std::ranges::count_if(rooms_, empty) <= kMostEmpty) return;
        auto oldest = rooms_.end();
        for (auto room = rooms_.begin(); room != rooms_.end(); ++room) {
            if (empty(*room) &&
                (oldest == rooms_.end() || room->second.left < oldest->second.left)) {
                oldest = room;
            }
        }
        rooms_.erase(oldest);
    }

    const websocket::Server& server_;
    const std::size_t history_;
    const std::string child_;
    const websocket::Metric messages_;
    std::atomic<std::uint64_t> next_line_{1};
    std::uint64_t beats_ = 0;
    std::uint64_t departures_ = 0;
    std::map<std::string, Room> rooms_;
    websocket::Timer timer_;
};

}  // namespace

WEBSOCKET_PLUGIN(chat_init, Chat)
