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
//     WebSocketOption members 1000      clients of a room in one child, 1 to 100000
//     WebSocketOption rooms chat        locations with the same word (a-z, 0-9 and _) share their rooms
//     WebSocketOption sockjs on         clients of SockJS, too: docs/sockjs.md
//
// Who is there, the server knows, in all children and on all hosts. What was said, it keeps for rooms that have a
// WebSocketHistory, "chat:tea" being the topic of the room "tea" with `rooms chat`: then it outlives children and restarts.
// Else each child keeps it as long as it has the room, and asks the others. A client that reads slowly gets the history as
// fast as it reads. Without a WebSocketHistory, that of a room takes 1 MiB at most, that of all rooms 16 MiB a child; the
// room that takes the most gives. A line may have 16 KiB, and 32 KiB when it is written as JSON.
#include "chat_history.hpp"
#include "chat_kept_lines.hpp"
#include "chat_line.hpp"
#include "chat_presence.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>

#include <websocket/presence.hpp>
#include <websocket/sockjs.hpp>

namespace {

using chat::History;
using chat::Line;
using chat::Presence;
using chat::quoted;

/// Each child has the rooms that its clients are in. What is said goes to a topic of the room, which
/// clients subscribe to and children listen to, for the history. Where the server does not keep that, or does not
/// know who is there, a second topic is for children only:
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
        options.allow_only({"history", "heartbeat", "members", "rooms"});
        static_cast<void>(limits(options));
        static_cast<void>(heartbeat(options));
        static_cast<void>(most_members(options));
        static_cast<void>(rooms(options));
    }
    Chat(const websocket::Server& server, const websocket::Options& options)
        : server_(server), prefix_(rooms(options)), most_members_(most_members(options)),
          child_(random_name()), messages_(server.counter("messages")),
          kept_(server, limits(options).lines), who_(server), histories_(limits(options)) {
        static_cast<void>(server.topics());  // throws when there are none
        timer_ = server.every(heartbeat(options), [this] { beat(); });
    }

    void on_upgrade(websocket::Upgrade& upgrade, Client& client) {
        client.name = upgrade.user_text();
        if (client.name.empty()) client.name = upgrade.parameter_text("name").value_or("");
        client.room = upgrade.parameter_text("room").value_or("lobby");
        if (!chat::is_name(client.name, kLongestName) ||
            !chat::is_name(client.room, kLongestName)) {
            upgrade.refuse(400, "a name is needed: ?name=you&room=lobby\n");
        }
    }

    void on_open(websocket::Connection connection, Client& client) {
        connection.pause();  // what it says at once is for a room that it is in: enter() goes on
        if (!server_.post([this, connection, client] { enter(connection, client); })) {
            turn_away(connection);
        }
    }

    void on_message(websocket::Connection connection, websocket::Message message, Client& client) {
        if (!message.is_text()) {
            connection.close(1003, "text only");
            return;
        }
        if (message.bytes.size() > kLongest) {
            connection.close(1009, "too long");
            return;
        }
        const std::string text = quoted(message.text());
        if (text.size() > 2 * kLongest + 2) {  // a control character becomes six
            connection.close(1009, "too many control characters");
            return;
        }
        messages_.add();
        const std::string id = child_ + '.' + std::to_string(next_line_.fetch_add(1));
        if (!taken(server_.publish(said(client.room), chat::line(id, client.name, text)))) {
            connection.send("{\"type\":\"busy\"}");
        }
    }

    void on_writable(websocket::Connection connection, Client& client) {
        server_.post([this, id = connection.id(), place = client.room] { go_on(id, place); });
    }

    void on_close(websocket::Connection connection, const websocket::Close& /*why*/,
                  Client& client) {
        server_.post([this, connection, client] { leave(connection, client); });
    }

private:
    using Milliseconds = std::chrono::milliseconds;

    static constexpr std::size_t kLongest = 16384;
    static constexpr std::size_t kLongestName = 64;
    static constexpr std::size_t kRoomBytes = std::size_t{1} << 20;
    static constexpr std::size_t kAllBytes = std::size_t{16} << 20;
    /// Rooms without clients that a child remembers.
    static constexpr std::size_t kMaxEmpty = 100;
    static constexpr std::uint64_t kMaxSilent = 3;  // heartbeats
    static constexpr int kAsks = 3;
    /// Those who come and go meanwhile are told of together.
    static constexpr Milliseconds kNamesDelay{50};

    /// What a client still has to be sent, as soon as it has read what it got: a list of names, and
    /// before it all lines behind the one of `at` and `id` that were said until `last`. While it is
    /// `slow`, nothing: on_writable() is to come.
    struct Member {
        websocket::Connection connection;
        bool slow = false;
        bool wants_names = true;
        bool wants_lines = true;
        std::int64_t at = INT64_MIN;
        std::string id = {};
        std::int64_t last = INT64_MAX;
        chat::KeptLines::Reader kept =
            {};  ///< instead of these three, where the server keeps lines
    };
    struct Room {
        explicit Room(chat::Histories& all) : history(all) {}

        History history;
        std::map<ws_conn, Member> members;
        Presence presence;
        bool knows_names = false;  ///< the server has told them
        int asks = 0;              ///< that are left until others tell what was said
        std::uint64_t left =
            0;  ///< by its last client here: which one it was; 0 when there are some
        websocket::Listener watch;
        websocket::Listener lines_listener;
        websocket::Listener children_listener;
    };

    static chat::Histories::Limits limits(const websocket::Options& options) {
        return {options.number<std::size_t>("history", 50, 0, 1000), kRoomBytes, kAllBytes};
    }
    static Milliseconds heartbeat(const websocket::Options& options) {
        return Milliseconds(options.number("heartbeat", 5000, 100, 60000));
    }
    static std::size_t most_members(const websocket::Options& options) {
        return options.number<std::size_t>("members", 1000, 1, 100000);
    }
    static std::string rooms(const websocket::Options& options) {
        const std::string_view word = options.text("rooms", "chat");
        const auto fits = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        };
        if (word.empty() || word.size() > kLongestName || !std::ranges::all_of(word, fits)) {
            throw websocket::OptionError("option rooms: it has to be 1 to 64 of a-z, 0-9 and _");
        }
        return std::string(word);
    }
    static std::string random_name() {
        std::random_device random;
        return std::to_string(random()) + '-' + std::to_string(random());
    }
    [[nodiscard]] std::string said(const std::string& room) const { return prefix_ + ':' + room; }
    [[nodiscard]] std::string children(const std::string& room) const {
        return prefix_ + "-children:" + room;
    }
    static void turn_away(websocket::Connection connection) {
        connection.resume();  // or it would not hear the answer to the Close
        connection.close(1013, "try again later");
    }

    // All below is run by the server where it runs timers: one after the other, and what one thread
    // sends to a client arrives in this order.

    void enter(websocket::Connection connection, const Client& client) {
        Room* room = admit(connection, client.room);
        if (room == nullptr) {
            turn_away(connection);
            return;
        }
        room->members.emplace(connection.id(), Member{connection});
        set_left(client.room, *room, 0);
        // What the server has no memory for, this child knows all the same.
        if (who_.available() && !taken(who_.enter(connection, said(client.room), client.name))) {
            room->knows_names = true;
        }
        Presence::Change change;
        if (room->presence.enter(client.name, change)) tell_names_soon(client.room);
        tell(*room, change);
        connection.resume();
        // What was said before the subscription has been heard when this runs.
        server_.post([this, id = connection.id(), place = client.room] { welcome(id, place); });
    }

    /// The room, which the connection now subscribes to; else nothing has changed. A client that is
    /// gone already makes no room.
    Room* admit(websocket::Connection connection, const std::string& place) {
        const auto known = rooms_.find(place);
        if (known != rooms_.end() && known->second.members.size() >= most_members_) return nullptr;
        const std::string topic = said(place);
        websocket::Result result = connection.subscribe(topic);
        while (result == websocket::Result::full && forget_oldest(place)) {
            result = connection.subscribe(topic);
        }
        if (!taken(result)) return nullptr;
        Room* room = find_or_begin(place);
        while (room == nullptr && forget_oldest(place)) room = find_or_begin(place);
        if (room == nullptr) connection.unsubscribe(topic);
        return room;
    }

    void leave(websocket::Connection connection, const Client& client) {
        const auto found = rooms_.find(client.room);
        if (found == rooms_.end() || found->second.members.erase(connection.id()) == 0) return;
        Room& room = found->second;
        Presence::Change change;
        if (room.presence.leave(client.name, change)) tell_names_soon(client.room);
        tell(room, change);
        if (room.members.empty()) {
            set_left(client.room, room, ++departures_);
            while (empty_.size() > kMaxEmpty && forget_oldest({})) {
            }
        }
    }

    Room* find_or_begin(const std::string& place) {
        const auto [found, begun] = rooms_.try_emplace(place, histories_);
        Room& room = found->second;
        if (begun && !begin(place, room)) {
            rooms_.erase(found);
            return nullptr;
        }
        return &room;
    }

    /// False when it cannot hear of something.
    bool begin(const std::string& place, Room& room) {
        const bool keeps = kept_.keeps(said(place));
        room.knows_names = !who_.available();
        if (who_.available()) {
            room.watch = who_.watch(said(place), [this,
                                                  place](const websocket::PresenceChange& one) {
                see(place, std::string(one.id), one.what != websocket::PresenceChange::What::left);
            });
            if (!room.watch) return false;
        }
        if (!keeps) {
            room.lines_listener =
                server_.listen(said(place), [this, place](const websocket::Published& message) {
                    const auto known = rooms_.find(place);
                    if (known != rooms_.end() && message.is_text()) {
                        known->second.history.add(Line(message.text()));
                    }
                });
            if (!room.lines_listener) return false;
        }
        return (keeps && who_.available()) || begin_to_ask(place, room);
    }
    bool begin_to_ask(const std::string& place, Room& room) {
        room.children_listener =
            server_.listen(children(place), [this, place](const websocket::Published& message) {
                const auto known = rooms_.find(place);
                if (known != rooms_.end() && message.is_text()) {
                    hear(place, known->second, message.text());
                }
            });
        if (!room.children_listener) return false;
        room.asks = kAsks;
        ask(place, room);
        return true;
    }
    /// Again with the next heartbeat, if nobody tells anything: what is between hosts may not be there yet.
    void ask(const std::string& place, Room& room) const {
        --room.asks;
        server_.publish(children(place), "ask\n" + child_);
    }

    /// The server says who has come or gone; at first, who is there. Clients that wait for that get it when all have been
    /// told of.
    void see(const std::string& place, const std::string& who, bool there) {
        const auto room = rooms_.find(place);
        if (room == rooms_.end()) return;
        Presence::Change change;
        room->second.presence.see(who, there, change);
        tell(room->second, change);
        if (!room->second.knows_names) server_.post([this, place] { know_names(place); });
    }
    void know_names(const std::string& place) {
        const auto room = rooms_.find(place);
        if (room == rooms_.end() || std::exchange(room->second.knows_names, true)) return;
        for (auto& [id, member] : room->second.members) {
            if (!member.wants_lines) send_wanted(place, room->second, member);
        }
    }

    /// When its last client has left; 0: it has clients.
    void set_left(const std::string& place, Room& room, std::uint64_t departure) {
        empty_.erase(room.left);
        room.left = departure;
        if (departure != 0) empty_.emplace(departure, place);
    }
    /// Forgets the room that has been empty for longest. False when there is none but `needed`.
    bool forget_oldest(std::string_view needed) {
        auto oldest = empty_.begin();
        if (oldest != empty_.end() && oldest->second == needed) ++oldest;
        if (oldest == empty_.end()) return false;
        rooms_.erase(oldest->second);
        empty_.erase(oldest);
        return true;
    }

    // ---- what clients are sent

    void welcome(ws_conn id, const std::string& place) {
        const auto room = rooms_.find(place);
        if (room == rooms_.end()) return;
        const auto member = room->second.members.find(id);
        if (member == room->second.members.end()) return;  // gone already
        const History::Lines& lines = room->second.history.lines();
        member->second.last = lines.empty() ? INT64_MIN : lines.back().at;
        send_wanted(place, room->second, member->second);
    }
    /// The client has read what it had been sent.
    void go_on(ws_conn id, const std::string& place) {
        const auto room = rooms_.find(place);
        if (room == rooms_.end()) return;
        const auto member = room->second.members.find(id);
        if (member != room->second.members.end()) go_on(place, room->second, member->second);
    }
    void go_on(const std::string& place, const Room& room, Member& member) const {
        member.slow = false;
        send_wanted(place, room, member);
    }

    /// As much as the client takes; then go_on() is called when it has read.
    void send_wanted(const std::string& place, const Room& room, Member& member) const {
        if (member.wants_lines) {
            const bool all = room.lines_listener ? send_lines(room, member)
                                                 : send_kept_lines(said(place), member);
            if (!all) return;
        }
        member.wants_lines = false;
        if (member.wants_names && room.knows_names && !member.slow) {
            member.wants_names = !taken(send(member, room.presence.json()));
        }
    }
    /// False when there are more.
    static bool send_lines(const Room& room, Member& member) {
        const History::Lines& lines = room.history.lines();
        auto line = room.history.behind(member.at, member.id);
        for (; line != lines.end() && line->at <= member.last; ++line) {
            if (member.slow || send(member, line->text) == websocket::Result::full) return false;
            member.at = line->at;
            member.id = line->id;
        }
        return true;
    }
    bool send_kept_lines(const std::string& topic, Member& member) const {
        return !member.slow && kept_.read(topic, member.kept, [&member](std::string_view text) {
            return send(member, text);
        });
    }
    template <class Text>
    static websocket::Result send(Member& member, const Text& text) {
        const websocket::Result result = member.connection.send(text);
        member.slow = result == websocket::Result::full || result == websocket::Result::queued;
        return result;
    }
    /// Older lines have come from another child.
    void send_again(const std::string& place, const Room& room, Member& member,
                    std::int64_t from) const {
        if (from <= member.at) {
            member.at = from - 1;
            member.id.clear();
        }
        member.last = std::max(member.last, room.history.lines().back().at);
        member.wants_lines = true;
        send_wanted(place, room, member);
    }

    /// A client that reads too slowly for this gets the list of names when it has read.
    void tell(Room& room, const Presence::Change& change) const {
        for (const std::string& who : change.joined) tell(room, "joined", who);
        for (const std::string& who : change.left) tell(room, "left", who);
    }
    void tell(Room& room, std::string_view what, const std::string& who) const {
        const websocket::Prepared message = server_.prepare("{\"type\":\"" + std::string(what) +
                                                            "\",\"name\":" + quoted(who) + "}");
        for (auto& [id, member] : room.members) {
            if (member.slow) member.wants_names = true;
            if (!member.wants_names) member.wants_names = !taken(send(member, message));
        }
    }

    // ---- what children tell each other

    /// At once for all who come and go in a moment: the list is as long as the room is full.
    void tell_names_soon(const std::string& place) {
        if (who_.available()) return;  // the server does it
        if (changed_.empty()) {
            server_.after(kNamesDelay, [this] { tell_changed(); }).detach();
        }
        changed_.insert(place);
    }
    void tell_changed() {
        for (const std::string& place : std::exchange(changed_, {})) {
            const auto room = rooms_.find(place);
            tell_names(place, room != rooms_.end() ? room->second.presence.words() : "");
        }
    }
    void tell_names(const std::string& place, const std::string& names) const {
        server_.publish(children(place), "names\n" + child_ + names);
    }

    void hear(const std::string& place, Room& room, std::string_view text) {
        chat::Words words(text);
        const std::string_view what = words.next();
        std::string from(words.next());
        Presence::Change change;
        if (what == "ask" && from != child_) {
            answer(place, room, from);
        } else if (what == "state" && from == child_) {
            from = words.next();
            const auto count = static_cast<std::size_t>(chat::number(words.next()));
            const Presence::Names names = words.take(count);
            if (!who_.available()) room.presence.set(from, names, beats_, change);
            std::int64_t oldest = INT64_MAX;
            while (!words.empty()) {
                room.asks = 0;
                const Line line(words.next());
                if (room.history.add(line)) oldest = std::min(oldest, line.at);
            }
            if (who_.available() && oldest == INT64_MAX) return;  // nothing new
            for (auto& [id, member] : room.members) {
                member.wants_names = true;
                if (oldest != INT64_MAX && !room.history.lines().empty()) {
                    send_again(place, room, member, oldest);
                } else if (!member.wants_lines) {
                    send_wanted(place, room, member);
                }
            }
        } else if (what == "names" && from != child_ && !who_.available()) {
            room.presence.set(from, words.take(SIZE_MAX), beats_, change);
            tell(room, change);
        }
    }

    void answer(const std::string& place, const Room& room, const std::string& to) const {
        std::string text = "state\n" + to + '\n' + child_ + '\n';
        text +=
            who_.available() ? "0" : std::to_string(room.presence.here()) + room.presence.words();
        for (const Line& line : room.history.lines()) text += '\n' + line.text;
        server_.publish(children(place), text);
    }

    void beat() {
        ++beats_;
        for (auto& [place, room] : rooms_) {
            if (room.asks > 0) ask(place, room);
            if (!room.members.empty() && !who_.available()) {
                tell_names(place, room.presence.words());
            }
            Presence::Change change;
            room.presence.forget_silent(beats_, kMaxSilent, change);
            tell(room, change);
            for (auto& [id, member] : room.members) {  // there was no memory to send it
                if (member.wants_names && member.connection.queued() == 0)
                    go_on(place, room, member);
            }
        }
    }

    const websocket::Server& server_;
    const std::string prefix_;
    const std::size_t most_members_;
    const std::string child_;
    const websocket::Metric messages_;
    const chat::KeptLines kept_;
    const websocket::Presence who_;
    std::atomic<std::uint64_t> next_line_{1};
    std::uint64_t beats_ = 0;
    std::uint64_t departures_ = 0;
    chat::Histories histories_;
    std::map<std::string, Room> rooms_;
    std::map<std::uint64_t, std::string> empty_;  // rooms without clients, by Room::left
    std::set<std::string> changed_;               // rooms whose names the others do not know
    websocket::Timer timer_;
};

}  // namespace

WEBSOCKET_SOCKJS_PLUGIN(chat_init, Chat)
