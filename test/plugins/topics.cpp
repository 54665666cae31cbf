// SPDX-License-Identifier: Apache-2.0
// Subscribes and publishes as the client tells it to, one command a message. topics_loop_init runs on
// the loops, topics_pool_init in the pool.
#include <unistd.h>

#include <string>
#include <websocket/gap.hpp>
#include <websocket/plugin.hpp>

namespace {

using websocket::Connection;
using websocket::Message;
using websocket::Result;

/// Takes the next word of a command.
std::string_view word(std::string_view& rest) {
    const std::string_view first = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), first.size() + 1));
    return first;
}

std::size_t number(std::string_view& rest) {
    return static_cast<std::size_t>(std::atoll(std::string(word(rest)).c_str()));
}

template <bool kNeverBlocks>
struct Topics {
    static constexpr const char* name = kNeverBlocks ? "topics_loop" : "topics_pool";
    static constexpr bool never_blocks = kNeverBlocks;

    struct Client {
        std::string last_words;  ///< published to this topic when the client is gone
        websocket::Listener listener;
        websocket::Listener gaps;
    };

    explicit Topics(const websocket::Server& host) : server(host), gaps(host) {}

    void on_message(Connection client, Message message, Client& state) {
        std::string_view rest = message.text();
        const std::string_view command = word(rest);
        if (command == "pid") {
            client.send(std::to_string(::getpid()));
        } else if (command == "sub") {
            client.send("sub " + show(client.subscribe(word(rest))));
        } else if (command == "unsub") {
            client.send("unsub " + show(client.unsubscribe(word(rest))));
        } else if (command == "pub") {
            const std::string_view topic = word(rest);
            client.send("pub " + show(server.publish(topic, rest)));
        } else if (command == "others") {
            const std::string_view topic = word(rest);
            client.send("others " + show(server.publish(topic, rest, client.id())));
        } else if (command == "listen") {
            listen(client, word(rest), state);
        } else if (command == "gaps") {
            state.gaps = gaps.watch_all([client](const websocket::Gap& gap) {
                client.send("gap of " + std::string(gap.topic.value_or("all")) + ": " +
                            std::string(gap.why_text()));
            });
            client.send(state.gaps ? "gaps ok" : "gaps no");
        } else if (command == "ignore") {
            state.listener.cancel();
            client.send("ignore ok");
        } else if (command == "many") {
            many(client, rest);
        } else if (command == "last") {
            state.last_words = word(rest);
        } else if (command == "between") {
            // What it sends and what it publishes, in this order.
            const std::string_view topic = word(rest);
            client.send("before");
            server.publish(topic, "published");
            client.send("after");
        } else {
            client.close(4000, "what?");
        }
    }
    void on_close(Connection client, const websocket::Close& /*close*/, Client& state) {
        if (!state.last_words.empty()) server.publish(state.last_words, "last words");
        static_cast<void>(client.subscribe("too late"));
    }

private:
    void listen(Connection client, std::string_view topic, Client& state) {
        try {
            state.listener = server.listen(topic, [client](const websocket::Published& news) {
                client.send("heard " + std::string(news.text()));
            });
            client.send(state.listener ? "listen ok" : "listen no");
        } catch (const std::invalid_argument&) {
            client.send("listen bad");
        }
    }
    /// many TOPIC COUNT SIZE: numbers, each in a message that is filled up with x.
    void many(Connection client, std::string_view rest) {
        const std::string_view topic = word(rest);
        const std::size_t count = number(rest);
        const std::size_t size = number(rest);
        auto worst = Result::ok;
        for (std::size_t i = 0; i < count; ++i) {
            std::string text = std::to_string(i) + " ";
            text.resize(std::max(text.size(), size), 'x');
            worst = std::min(worst, server.publish(topic, text));
        }
        client.send("many " + show(worst));
    }
    static std::string show(Result result) {
        switch (result) {
            case Result::ok: return "ok";
            case Result::full: return "full";
            case Result::gone: return "gone";
            case Result::too_big: return "too big";
            case Result::bad_argument: return "bad";
            case Result::no_memory: return "no memory";
            default: return "?";
        }
    }

    const websocket::Server& server;
    const websocket::Gaps gaps;
};

}  // namespace

WEBSOCKET_PLUGIN(topics_loop_init, Topics<true>)
WEBSOCKET_PLUGIN(topics_pool_init, Topics<false>)
