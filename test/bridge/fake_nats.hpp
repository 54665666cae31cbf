// SPDX-License-Identifier: Apache-2.0
// A NATS server in the test's own thread, which answers as it should or as a test says.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/descriptor.hpp"
#include "unit.hpp"

namespace websocket::test {

class FakeNats {
public:
    FakeNats() {
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
            send(*clients_.back(), greeting);
        }
        if (stalls) return;
        for (const auto& client : clients_) {
            read(*client);
        }
        std::erase_if(clients_, [](const auto& client) { return client->ended; });
    }

    /// Ends all connections.
    void cut() { clients_.clear(); }

    /// To all connections that have subscribed to it; returns how many.
    int publish(std::string_view subject, std::string_view payload) {
        int count = 0;
        for (const auto& client : clients_) {
            for (const auto& [sid, known] : client->subjects) {
                if (known == subject) {
                    send(*client, "MSG " + known + ' ' + sid + ' ' +
                                      std::to_string(payload.size()) + "\r\n" +
                                      std::string(payload) + "\r\n");
                    ++count;
                }
            }
        }
        return count;
    }
    [[nodiscard]] bool has_subscriber(std::string_view subject) const {
        return std::ranges::any_of(clients_, [&](const auto& client) {
            return std::ranges::any_of(client->subjects,
                                       [&](const auto& one) { return one.second == subject; });
        });
    }
    /// A line to all connections.
    void say(std::string_view line) {
        for (const auto& client : clients_) send(*client, std::string(line) + "\r\n");
    }

    std::uint16_t port = 0;
    bool stalls = false;
    bool confirms = true;  ///< answers a PING
    bool echoes = true;    ///< what is published reaches subscribers
    int accepted = 0;
    std::string greeting = "INFO {\"server_id\":\"fake\",\"version\":\"2.9.10\",\"proto\":1,"
                           "\"max_payload\":1000}\r\n";
    std::string error;  ///< instead of the answer to the first PING
    std::vector<std::pair<std::string, std::string>> published;
    std::vector<std::string> connects;  ///< lines

private:
    struct Client {
        explicit Client(base::Descriptor from) : socket(std::move(from)) {}
        base::Descriptor socket;
        std::string buffer;
        std::map<std::string, std::string> subjects;  ///< by sid
        bool ended = false;
    };

    void read(Client& client) {
        std::array<char, 65536> bytes;
        const ssize_t size = ::recv(client.socket.get(), bytes.data(), bytes.size(), 0);
        if (size <= 0) {
            client.ended = size == 0 || errno != EAGAIN;
            return;
        }
        client.buffer.append(bytes.data(), static_cast<std::size_t>(size));
        while (take(client)) {
        }
    }

    /// One command, if it is whole.
    bool take(Client& client) {
        const std::size_t end = client.buffer.find("\r\n");
        if (end == std::string::npos) return false;
        const std::string line = client.buffer.substr(0, end);
        std::size_t used = end + 2;
        if (line.starts_with("PUB ")) {
            const std::size_t subject_end = line.find(' ', 4);
            const std::string subject = line.substr(4, subject_end - 4);
            std::size_t size = 0;
            std::from_chars(line.data() + line.rfind(' ') + 1, line.data() + line.size(), size);
            if (client.buffer.size() < used + size + 2) return false;
            published.emplace_back(subject, client.buffer.substr(used, size));
            used += size + 2;
            if (echoes) publish(subject, published.back().second);
        } else if (line.starts_with("SUB ")) {
            const std::size_t subject_end = line.find(' ', 4);
            client.subjects[line.substr(line.rfind(' ') + 1)] = line.substr(4, subject_end - 4);
        } else if (line.starts_with("UNSUB ")) {
            client.subjects.erase(line.substr(6, line.find(' ', 6) - 6));
        } else if (line.starts_with("CONNECT ")) {
            connects.push_back(line);
        } else if (line == "PING" && !error.empty()) {
            send(client, "-ERR '" + error + "'\r\n");
            client.ended = true;
        } else if (line == "PING" && confirms) {
            send(client, "PONG\r\n");
        }
        client.buffer.erase(0, used);
        return true;
    }

    static void send(const Client& client, std::string_view bytes) {
        static_cast<void>(!::send(client.socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }

    base::Descriptor listener_{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace websocket::test
