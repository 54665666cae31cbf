// SPDX-License-Identifier: Apache-2.0
// A Redis server in the test's own thread, which answers as it should or as a test says.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/descriptor.hpp"
#include "bridge/reply_reader.hpp"
#include "unit.hpp"

namespace websocket::test {

class FakeRedis {
public:
    using Command = std::vector<std::string>;

    FakeRedis() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        socklen_t size = sizeof address;
        ck_assert_int_eq(::bind(listener_.get(), generic, size), 0);
        ck_assert_int_eq(::listen(listener_.get(), 16), 0);
        ck_assert_int_eq(::getsockname(listener_.get(), generic, &size), 0);
        port = ntohs(address.sin_port);
    }

    /// Takes what has come, and answers.
    void step() {
        const int socket =
            ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket >= 0) {
            clients_.push_back(std::make_unique<Client>(base::Descriptor(socket)));
            ++accepted;
        }
        if (stalls) {
            return;
        }
        for (const auto& client : clients_) {
            read(*client);
        }
        std::erase_if(clients_, [](const auto& client) { return client->ended; });
    }

    /// Ends all connections.
    void cut() { clients_.clear(); }

    /// To all connections that have subscribed to it; returns how many.
    int publish(std::string_view channel, std::string_view payload) {
        int count = 0;
        for (const auto& client : clients_) {
            if (client->channels.contains(std::string(channel))) {
                send(*client, "*3\r\n$7\r\nmessage\r\n" + bulk(channel) + bulk(payload));
                ++count;
            }
        }
        return count;
    }
    [[nodiscard]] bool has_subscriber(const std::string& channel) const {
        return std::ranges::any_of(
            clients_, [&](const auto& client) { return client->channels.contains(channel); });
    }
    [[nodiscard]] static std::string bulk(std::string_view text) {
        return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
    }

    std::uint16_t port = 0;
    bool stalls = false;
    bool echoes = true;  ///< what is published reaches subscribers
    int accepted = 0;
    std::function<std::optional<std::string>(const Command&)> answer;  ///< instead of the usual one
    std::vector<Command> commands;                                     ///< all that came

private:
    struct Client {
        explicit Client(base::Descriptor from) : socket(std::move(from)), reader(64U << 20) {}
        base::Descriptor socket;
        bridge::ReplyReader reader;
        std::set<std::string> channels;
        bool ended = false;
    };

    void read(Client& client) {
        std::array<std::uint8_t, 65536> buffer;
        const ssize_t size = ::recv(client.socket.get(), buffer.data(), buffer.size(), 0);
        if (size <= 0) {
            client.ended = size == 0 || errno != EAGAIN;
            return;
        }
        ck_assert(client.reader.feed(std::span(buffer).first(static_cast<std::size_t>(size))));
        while (auto command = client.reader.next()) {
            Command words;
            for (const bridge::Reply& word : command->elements) words.push_back(word.text);
            commands.push_back(words);
            const auto own = answer ? answer(words) : std::nullopt;
            send(client, own ? *own : usual(client, words));
        }
    }

    std::string usual(Client& client, const Command& words) {
        if (words[0] == "ROLE") return "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
        if (words[0] == "SUBSCRIBE") {
            client.channels.insert(words[1]);
            return "*3\r\n$9\r\nsubscribe\r\n" + bulk(words[1]) + ":1\r\n";
        }
        if (words[0] == "UNSUBSCRIBE") {
            client.channels.erase(words[1]);
            return "*3\r\n$11\r\nunsubscribe\r\n" + bulk(words[1]) + ":1\r\n";
        }
        if (words[0] == "PUBLISH") {
            return ":" + std::to_string(echoes ? publish(words[1], words[2]) : 0) + "\r\n";
        }
        return "+OK\r\n";
    }

    static void send(const Client& client, std::string_view bytes) {
        static_cast<void>(!::send(client.socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }

    base::Descriptor listener_{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace websocket::test
