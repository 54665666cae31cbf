// SPDX-License-Identifier: Apache-2.0
// Topics with history, as the client tells it to, one command a message:
//
//     pid · sub TOPIC [POSITION] · pub TOPIC TEXT · many TOPIC COUNT · last TOPIC COUNT · behind TOPIC POSITION
//     listen TOPIC · keeps TOPIC
//     enter TOPIC ID INFO · leave TOPIC · members TOPIC · watch TOPIC
#include <unistd.h>

#include <string>

#include <websocket/history.hpp>
#include <websocket/plugin.hpp>
#include <websocket/presence.hpp>

namespace {

using websocket::Connection;
using websocket::History;
using websocket::Position;
using websocket::Recovery;
using websocket::Remembered;

std::string_view word(std::string_view& rest) {
    const std::string_view first = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), first.size() + 1));
    return first;
}

class Histories {
public:
    static constexpr const char* name = "history";
    static constexpr bool never_blocks = true;

    struct Client {
        websocket::Listener listener;
    };

    explicit Histories(const websocket::Server& server) : history_(server), presence_(server) {}

    void on_message(Connection client, websocket::Message message, Client& state) {
        std::string_view rest = message.text();
        const std::string_view command = word(rest);
        const std::string_view topic = word(rest);
        try {
            carry_out(client, command, topic, rest, state);
        } catch (const std::exception& error) {
            client.send(std::string(command) + " failed: " + error.what());
        }
    }

private:
    void carry_out(Connection client, std::string_view command, std::string_view topic,
                   std::string_view rest, Client& state) {
        if (command == "pid") {
            client.send(std::to_string(::getpid()));
        } else if (command == "keeps") {
            client.send(history_.keeps(topic) ? "yes" : "no");
        } else if (command == "sub") {
            client.send("sub " + show(history_.subscribe(client, topic, Position::parse(rest))));
        } else if (command == "pub") {
            std::optional<Position> at;
            const auto result =
                history_.publish(topic, websocket::Type::text, websocket::bytes_of(rest), at);
            client.send("pub " + std::string(taken(result) ? "ok " : "no ") +
                        (at ? at->text() : "none"));
        } else if (command == "many") {
            many(client, topic, std::stoull(std::string(rest)));
        } else if (command == "last") {
            read(client, topic, {}, static_cast<std::uint32_t>(std::stoul(std::string(rest))));
        } else if (command == "behind") {
            read(client, topic, Position::parse(rest).value_or(Position{}), History::kAll);
        } else if (command == "listen") {
            state.listener = history_.listen(topic, [client](const Remembered& one) {
                client.send("heard " + one.position.text() + ' ' + std::string(one.text()));
            });
            client.send(state.listener ? "listen ok" : "listen no");
        } else if (command == "enter") {
            const std::string_view id = word(rest);
            client.send("enter " +
                        std::to_string(static_cast<int>(presence_.enter(client, topic, id, rest))));
        } else if (command == "leave") {
            client.send("leave " +
                        std::to_string(static_cast<int>(presence_.leave(client, topic))));
        } else if (command == "members") {
            std::string all = "members " + std::to_string(presence_.count(topic));
            for (const auto& one : presence_.members(topic)) all += ' ' + one.id + '=' + one.info;
            client.send(all);
        } else if (command == "watch") {
            watch(client, topic, state);
        } else {
            client.close(4000, "what?");
        }
    }
    void watch(Connection client, std::string_view topic, Client& state) {
        using What = websocket::PresenceChange::What;
        client.send("watch");
        state.listener = presence_.watch(topic, [client](const websocket::PresenceChange& one) {
            client.send((one.what == What::joined ? "joined "
                         : one.what == What::left ? "left "
                                                  : "changed ") +
                        std::string(one.id) + '=' + std::string(one.info));
        });
    }
    /// Numbered by this process; the answer has the last one's position.
    void many(Connection client, std::string_view topic, std::uint64_t count) {
        std::optional<Position> at;
        const std::string before = std::to_string(::getpid()) + ' ';
        bool all = true;
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::string text = before + std::to_string(next_++);
            all = taken(history_.publish(topic, websocket::Type::text, websocket::bytes_of(text),
                                         at)) &&
                  all;
        }
        client.send("many " + std::string(all ? "ok " : "no ") + (at ? at->text() : "none"));
    }
    void read(Connection client, std::string_view topic, const std::optional<Position>& since,
              std::uint32_t most) {
        std::string text;
        const Recovery found = history_.read(
            topic, since,
            [&](const Remembered& one) {
                text.append(text.empty() ? "" : ",")
                    .append(one.position.text())
                    .append(" ")
                    .append(one.text());
            },
            most);
        client.send("read " + show(found) + ' ' + text);
    }
    static std::string show(const Recovery& what) {
        return std::to_string(static_cast<int>(what.result)) +
               (what.complete ? " recovered " : " anew ") + what.now.text();
    }

    const History history_;
    const websocket::Presence presence_;
    std::uint64_t next_ = 0;
};

}  // namespace

WEBSOCKET_PLUGIN(history_init, Histories)
