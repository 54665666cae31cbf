/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A plugin that does, on demand, what a server has to survive: exceptions, callbacks that never
 * return, sends at the wrong time, from the wrong thread, of the wrong type, in the wrong amount.
 *
 * Request headers:
 *   X-Throw-On-Connect: anything      throws from on_connect
 *   X-Throw-On-Disconnect: anything   throws from on_disconnect
 *   X-Send-On-Connect: anything       sends "early" from on_connect and "early-thread" from another
 *                                     thread that on_connect starts
 * Text messages:
 *   throw                 throws std::runtime_error from on_message
 *   throw-int             throws an int
 *   block                 never returns from on_message
 *   until PATH            returns from on_message when there is a file PATH
 *   until-exit PATH       makes a file PATH.begun, and returns from on_message when the process destroys its
 *                         static objects, which makes a file PATH
 *   crash                 SIGSEGV
 *   send-after-close      close(), then send(), whose result is kept for the process
 *   result                sends back that result ("none" if there is none), waiting for it if it
 *                         is under way
 *   last                  sends back the result of this client's last send by one of the commands
 *                         big, close, ping, pong, type, empty
 *   ten                   ten threads t start at once and send the texts "t 0" ... "t 99" each
 *   flood N SIZE          N binary messages of SIZE bytes, then the text "flood done: TAKEN"
 *   flood-thread N SIZE   the same from a thread of its own
 *   big N                 one binary message of N bytes
 *   close CODE REASON     Close with a status and a reason
 *   ping PAYLOAD, pong PAYLOAD
 *   type N PAYLOAD        a message of type N; the payload may be missing
 *   empty                 an empty text
 * Everything else is sent back.
 */

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "websocket_plugin.h"

namespace {

constexpr int ten_threads = 10;
constexpr int ten_messages = 100;

constexpr long no_result = -1;
constexpr long result_under_way = -2;
std::atomic<long> result_after_close{no_result};

size_t send(const WebSocketServer* server, int type, std::string_view payload) {
    return server->send(server, type, reinterpret_cast<const unsigned char*>(payload.data()),
                        payload.size());
}

size_t send_text(const WebSocketServer* server, std::string_view text) {
    return send(server, MESSAGE_TYPE_TEXT, text);
}

// One client. Its callbacks do not overlap, so only what threads share needs care.
struct Client {
    const WebSocketServer* server;
    size_t last_sent = 0;
    bool throw_on_disconnect = false;
    std::vector<std::thread> threads;

    explicit Client(const WebSocketServer* its_server) : server(its_server) {}
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() {
        for (std::thread& thread : threads) {
            thread.join();
        }
    }

    void start_thread(auto body) {
        try {
            threads.emplace_back(std::move(body));
        } catch (const std::system_error& error) {
            send_text(server, std::string("no thread: ") + error.what());
        }
    }
};

// Not std::condition_variable: its destructor would wait for the blocked threads at exit.
[[noreturn]] void block_for_ever() {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

    pthread_mutex_lock(&mutex);
    for (;;) {
        pthread_cond_wait(&never, &mutex);
    }
}

void block_until(const char* path) {
    while (::access(path, F_OK) != 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

// Destroyed by exit(), as the static objects of any plugin are.
struct StaticObject {
    std::string path;
    std::atomic<bool> waited_for{false};
    std::atomic<bool> destroyed{false};

    StaticObject() = default;
    StaticObject(const StaticObject&) = delete;
    StaticObject& operator=(const StaticObject&) = delete;
    ~StaticObject() {
        if (waited_for) {
            std::ofstream(path).put('x');
            destroyed = true;
            std::this_thread::sleep_for(
                std::chrono::seconds(3));  // whoever waited goes on meanwhile
        }
    }

    void wait_for_destruction(const std::string& mark) {
        path = mark;
        waited_for = true;
        std::ofstream(mark + ".begun").put('x');
        while (!destroyed) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
} static_object;

void send_after_close(const WebSocketServer* server) {
    result_after_close = result_under_way;
    server->close(server);
    result_after_close = static_cast<long>(send_text(server, "after close"));
    result_after_close.notify_all();
}

void send_result(const WebSocketServer* server) {
    result_after_close.wait(result_under_way);
    const long result = result_after_close;
    send_text(server, result == no_result ? "none" : std::to_string(result));
}

void send_from_ten_threads(Client& client) {
    auto go = std::make_shared<std::atomic<bool>>(false);

    for (int t = 0; t < ten_threads; ++t) {
        client.start_thread([go, t, server = client.server] {
            go->wait(false);
            for (int n = 0; n < ten_messages; ++n) {
                send_text(server, std::to_string(t) + ' ' + std::to_string(n));
            }
        });
    }
    *go = true;
    go->notify_all();
}

void flood(const WebSocketServer* server, size_t count, size_t size) {
    const std::string payload(size, 'f');
    size_t taken = 0;

    for (size_t i = 0; i < count; ++i) {
        if (send(server, MESSAGE_TYPE_BINARY, payload) == size) {
            ++taken;
        }
    }
    send_text(server, "flood done: " + std::to_string(taken));
}

std::string close_payload(unsigned code, std::string_view reason) {
    std::string payload{static_cast<char>(code >> 8 & 0xff), static_cast<char>(code & 0xff)};

    return payload.append(reason);
}

// The rest of the line after one space, which may be empty.
std::string rest_of(std::istringstream& words) {
    std::string rest;

    if (words.peek() == ' ') {
        words.get();
    }
    std::getline(words, rest, '\0');
    return rest;
}

void run_command(Client& client, const std::string& text) {
    const WebSocketServer* server = client.server;
    std::istringstream words(text);
    std::string command;
    std::string path;
    size_t count = 0;
    size_t size = 0;

    words >> command;
    if (command == "throw") {
        throw std::runtime_error("thrown from on_message");
    } else if (command == "throw-int") {
        throw 42;
    } else if (command == "crash") {
        std::raise(SIGSEGV);
    } else if (command == "block") {
        block_for_ever();
    } else if (command == "until" && words >> path) {
        block_until(path.c_str());
    } else if (command == "until-exit" && words >> path) {
        static_object.wait_for_destruction(path);
    } else if (command == "send-after-close") {
        send_after_close(server);
    } else if (command == "result") {
        send_result(server);
    } else if (command == "last") {
        send_text(server, std::to_string(client.last_sent));
    } else if (command == "ten") {
        send_from_ten_threads(client);
    } else if (command == "flood" && words >> count >> size) {
        flood(server, count, size);
    } else if (command == "flood-thread" && words >> count >> size) {
        client.start_thread([server, count, size] { flood(server, count, size); });
    } else if (command == "big" && words >> size) {
        client.last_sent = send(server, MESSAGE_TYPE_BINARY, std::string(size, 'b'));
    } else if (unsigned code = 0; command == "close" && words >> code) {
        client.last_sent = send(server, MESSAGE_TYPE_CLOSE, close_payload(code, rest_of(words)));
    } else if (command == "ping") {
        client.last_sent = send(server, MESSAGE_TYPE_PING, rest_of(words));
    } else if (command == "pong") {
        client.last_sent = send(server, MESSAGE_TYPE_PONG, rest_of(words));
    } else if (int type = 0; command == "type" && words >> type) {
        client.last_sent = send(server, type, rest_of(words));
    } else if (command == "empty") {
        client.last_sent = send_text(server, "");
    } else {
        send_text(server, text);
    }
}

void* CALLBACK on_connect(const WebSocketServer* server) {
    if (server->header_get(server, "X-Throw-On-Connect") != nullptr) {
        throw std::runtime_error("thrown from on_connect");
    }
    auto client = std::make_unique<Client>(server);
    client->throw_on_disconnect = server->header_get(server, "X-Throw-On-Disconnect") != nullptr;
    if (server->header_get(server, "X-Send-On-Connect") != nullptr) {
        client->start_thread([server] { send_text(server, "early-thread"); });
        send_text(server, "early");
    }
    return client.release();
}

size_t CALLBACK on_message(void* plugin_private, const WebSocketServer* server, const int type,
                           unsigned char* buffer, const size_t buffer_size) {
    const std::string payload(buffer, buffer + buffer_size);

    if (type == MESSAGE_TYPE_TEXT) {
        run_command(*static_cast<Client*>(plugin_private), payload);
    } else {
        send(server, type, payload);
    }
    return buffer_size;
}

void CALLBACK on_disconnect(void* plugin_private, const WebSocketServer*) {
    const std::unique_ptr<Client> client(static_cast<Client*>(plugin_private));

    if (client->throw_on_disconnect) {
        throw std::runtime_error("thrown from on_disconnect");
    }
}

WebSocketPlugin hostile_plugin = {
    .size = sizeof(WebSocketPlugin),
    .version = WEBSOCKET_PLUGIN_VERSION_0,
    .destroy = nullptr,
    .on_connect = on_connect,
    .on_message = on_message,
    .on_disconnect = on_disconnect,
};

}  // namespace

extern "C" EXPORT WebSocketPlugin* CALLBACK hostile_init() { return &hostile_plugin; }
