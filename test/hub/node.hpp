// SPDX-License-Identifier: Apache-2.0
// A process of its own with an engine, a hub and the local bus, as a child of httpd has them; the
// test tells it what to do and holds the clients' ends of its connections.
#pragma once

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <climits>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "engine/awaiting.hpp"
#include "engine/service.hpp"
#include "hub/hub.hpp"
#include "hub/local_bus.hpp"

namespace websocket::test {

using hub::Drop;
using hub::Hub;
using hub::HubOptions;
using hub::LocalBus;
using hub::LocalBusOptions;
using hub::Registry;
using hub::TopicQuota;
using hub::TopicResult;

struct NodeOptions {
    unsigned loops = 1;
    std::size_t bus_buffer = 16U << 20;
    std::size_t send_buffer = 64U << 20;
    std::size_t broadcast_buffer = std::size_t{1} << 30;
    rlim_t descriptors = 0;  ///< at most; 0 for as many as there are
};

/// What the process is asked for; it answers each with a number.
struct Order {
    enum class Kind : std::uint8_t {
        connect,  ///< the server's end of a connection comes along; its number goes back
        subscribe,
        unsubscribe,
        publish,      ///< `count` messages: the process id, their number and x up to `size`
        count,        ///< subscribers of the topic in all processes
        publish_on,   ///< the same until the end, in a thread of its own
        losses,       ///< of kind `number`
        bus_running,  ///< whether the bus has a thread
        stop,
    };
    Kind kind{};
    std::uint32_t number = 0;
    std::uint64_t count = 0;
    std::uint64_t size = 0;
    std::array<char, 32> scope{};
    std::array<char, 32> topic{};
    std::array<char, 64> text{};  ///< published instead of numbers when it is not empty
};

template <std::size_t Size>
void put(std::array<char, Size>& into, std::string_view text) {
    ck_assert_uint_lt(text.size(), Size);
    std::copy(text.begin(), text.end(), into.begin());
}

/// What runs in the process.
class NodeProcess {
public:
    NodeProcess(Descriptor control, const Registry& registry, const NodeOptions& options)
        : control_(std::move(control)), options_(options),
          engine_({.loops = options.loops, .broadcast_buffer = options.broadcast_buffer}, log_),
          bus_(registry, {.buffer = options.bus_buffer}, log_),
          hub_(engine_, bus_, log_, {.hash_key = registry.hash_key()}) {
        connection_options_.ping_interval = 0ms;
        connection_options_.send_buffer = options.send_buffer;
    }

    [[noreturn]] void run() {
        for (;;) {
            Order order;
            const int descriptor = receive(order);
            const std::uint64_t answer = carry_out(order, Descriptor(descriptor));
            if (::send(control_.get(), &answer, sizeof answer, MSG_NOSIGNAL) < 0 ||
                order.kind == Order::Kind::stop) {
                ::_exit(0);
            }
        }
    }

private:
    /// The descriptor that came along, or -1.
    int receive(Order& order) {
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> extra{};
        iovec part{&order, sizeof order};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = extra.data();
        message.msg_controllen = extra.size();
        if (::recvmsg(control_.get(), &message, MSG_CMSG_CLOEXEC) != sizeof order) ::_exit(1);
        int descriptor = -1;
        if (const cmsghdr* header = CMSG_FIRSTHDR(&message)) {
            std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
        }
        return descriptor;
    }

    std::uint64_t carry_out(const Order& order, Descriptor socket) {
        switch (order.kind) {
            case Order::Kind::connect: return connect(std::move(socket));
            case Order::Kind::subscribe:
                return number_of(hub_.subscribe(order.scope.data(), order.topic.data(),
                                                connections_.at(order.number), quota_));
            case Order::Kind::unsubscribe:
                hub_.unsubscribe(order.scope.data(), order.topic.data(),
                                 connections_.at(order.number));
                return 0;
            case Order::Kind::count:
                return hub_.subscribers(order.scope.data(), order.topic.data());
            case Order::Kind::publish: return publish(order);
            case Order::Kind::publish_on:
                std::thread([this, order] {
                    for (Order endless = order;; ++endless.number) publish(endless);
                }).detach();
                return 0;
            case Order::Kind::losses: return hub_.drops().total(static_cast<Drop>(order.number));
            case Order::Kind::bus_running: return bus_.stopped() ? 0 : 1;
            case Order::Kind::stop: stop(); return 0;
        }
        return 0;
    }

    std::uint64_t connect(Descriptor socket) {
        engine::Refusal why{};
        auto place = engine_.reserve(why);
        if (!place) ::_exit(2);
        connections_.push_back(place->id());
        auto record = std::make_shared<Record>();
        auto session = std::make_unique<RecordingSession>(record, place->id(), Behaviour{});
        engine_.adopt(std::move(*place), std::move(socket), std::move(session), connection_options_,
                      13, {});
        if (!record->holds([](const Story& story) { return story.opened; })) ::_exit(3);
        return connections_.size() - 1;
    }

    /// The worst result.
    std::uint64_t publish(const Order& order) {
        auto worst = TopicResult::ok;
        std::string text = order.text.data();
        for (std::uint64_t i = 0; i < order.count; ++i) {
            if (order.text.front() == '\0') {
                text = std::to_string(::getpid()) + ":" + std::to_string(order.number + i) + " ";
            }
            text.resize(std::max<std::size_t>(text.size(), order.size), 'x');
            const TopicResult result = hub_.publish(order.scope.data(), order.topic.data(),
                                                    protocol::MessageType::text, bytes(text));
            worst = std::max(worst, result);
        }
        return number_of(worst);
    }

    /// As a child of httpd does it.
    void stop() {
        engine_.begin_stop();
        await_quietly([this] { return engine_.stopped(); }, "the loops' end");
        bus_.begin_stop();
        await_quietly([this] { return bus_.stopped(); }, "the end of the bus");
    }

    static std::uint64_t number_of(TopicResult result) {
        return static_cast<std::uint64_t>(result);
    }

    const Descriptor control_;
    const NodeOptions options_;
    RecordingLog log_;
    ConnectionOptions connection_options_;
    TopicQuota quota_;
    engine::Engine engine_;
    LocalBus bus_;
    Hub hub_;
    std::vector<ConnectionId> connections_;
};

/// A client of a node.
struct Subscriber {
    Peer peer;
    std::uint32_t number;
};

/// The test's end. Killed when it goes out of scope. The test's process must have no threads when
/// it makes one.
class Node {
public:
    explicit Node(const Registry& registry, const NodeOptions& options = {}) {
        std::array<int, 2> ends{};
        ck_assert_int_eq(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
        control_ = Descriptor(ends[0]);
        Descriptor theirs(ends[1]);
        const pid_t parent = ::getpid();
        pid_ = ::fork();
        ck_assert_int_ge(pid_, 0);
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) ::_exit(0);
            // Other nodes' clients and controls are not its own.
            const auto mine = static_cast<unsigned>(theirs.get());
            if (mine > 3) ::close_range(3, mine - 1, 0);
            ::close_range(mine + 1, UINT_MAX, 0);
            if (options.descriptors > 0) {
                const rlimit limit{options.descriptors, options.descriptors};
                ::setrlimit(RLIMIT_NOFILE, &limit);
            }
            // Never destroyed, like a child's.
            (new NodeProcess(std::move(theirs), registry, options))->run();
        }
    }
    Node(Node&& other) noexcept
        : control_(std::move(other.control_)), pid_(std::exchange(other.pid_, 0)) {}
    Node& operator=(Node&& other) noexcept {
        std::swap(control_, other.control_);
        std::swap(pid_, other.pid_);
        return *this;
    }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    ~Node() { kill(); }

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    [[nodiscard]] Subscriber connect(int socket_buffer = 0) {
        SocketPair sockets = tcp_pair(socket_buffer);
        Order order;
        order.kind = Order::Kind::connect;
        const auto number = static_cast<std::uint32_t>(ask(order, sockets.server.get()));
        return {Peer(std::move(sockets.client)), number};
    }
    TopicResult subscribe(const Subscriber& who, std::string_view topic,
                          std::string_view scope = "s") {
        Order order = about(Order::Kind::subscribe, topic, scope);
        order.number = who.number;
        return static_cast<TopicResult>(ask(order));
    }
    [[nodiscard]] Subscriber subscriber(std::string_view topic, std::string_view scope = "s") {
        Subscriber who = connect();
        ck_assert(subscribe(who, topic, scope) == TopicResult::ok);
        return who;
    }
    void unsubscribe(const Subscriber& who, std::string_view topic) {
        Order order = about(Order::Kind::unsubscribe, topic, "s");
        order.number = who.number;
        static_cast<void>(ask(order));
    }
    [[nodiscard]] std::uint64_t subscribers(std::string_view topic, std::string_view scope = "s") {
        return ask(about(Order::Kind::count, topic, scope));
    }
    TopicResult publish(std::string_view topic, std::string_view text,
                        std::string_view scope = "s") {
        Order order = about(Order::Kind::publish, topic, scope);
        order.count = 1;
        put(order.text, text);
        return static_cast<TopicResult>(ask(order));
    }
    /// `count` messages that numbered() describes, from number `first` on.
    TopicResult publish_many(std::string_view topic, std::uint64_t count, std::uint64_t size = 0,
                             std::uint32_t first = 0) {
        Order order = about(Order::Kind::publish, topic, "s");
        order.count = count;
        order.size = size;
        order.number = first;
        return static_cast<TopicResult>(ask(order));
    }
    void publish_for_ever(std::string_view topic, std::uint64_t size = 0) {
        Order order = about(Order::Kind::publish_on, topic, "s");
        order.count = 1;
        order.size = size;
        static_cast<void>(ask(order));
    }
    [[nodiscard]] std::string numbered(std::uint64_t number, std::uint64_t size = 0) const {
        std::string text = std::to_string(pid_) + ":" + std::to_string(number) + " ";
        text.resize(std::max<std::size_t>(text.size(), size), 'x');
        return text;
    }
    [[nodiscard]] std::uint64_t losses(Drop why) {
        Order order;
        order.kind = Order::Kind::losses;
        order.number = static_cast<std::uint32_t>(why);
        return ask(order);
    }
    [[nodiscard]] bool bus_running() {
        Order order;
        order.kind = Order::Kind::bus_running;
        return ask(order) != 0;
    }

    /// As httpd ends a child; the process is gone when it returns.
    void stop() {
        Order order;
        order.kind = Order::Kind::stop;
        static_cast<void>(ask(order));
        reap();
    }
    void signal(int number) const { ck_assert_int_eq(::kill(pid_, number), 0); }
    /// Returns when none of its threads runs any more; until SIGCONT.
    void suspend() const {
        signal(SIGSTOP);
        int status = 0;
        ck_assert_int_eq(::waitpid(pid_, &status, WUNTRACED), pid_);
        ck_assert(WIFSTOPPED(status));
    }
    /// At once, with kill -9.
    void kill() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            reap();
        }
    }

private:
    void reap() {
        int status = 0;
        ::waitpid(std::exchange(pid_, 0), &status, 0);
    }
    static Order about(Order::Kind kind, std::string_view topic, std::string_view scope) {
        Order order;
        order.kind = kind;
        put(order.topic, topic);
        put(order.scope, scope);
        return order;
    }
    std::uint64_t ask(const Order& order, int descriptor = -1) {
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> extra{};
        Order copy = order;
        iovec part{&copy, sizeof copy};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        if (descriptor >= 0) {
            message.msg_control = extra.data();
            message.msg_controllen = extra.size();
            cmsghdr* header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof descriptor);
            std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
        }
        ck_assert_msg(::sendmsg(control_.get(), &message, MSG_NOSIGNAL) == sizeof copy,
                      "node %d is gone: %s", pid_, std::strerror(errno));
        pollfd poll{control_.get(), POLLIN, 0};
        const auto patience = std::chrono::milliseconds(kPatience);
        ck_assert_msg(::poll(&poll, 1, static_cast<int>(patience.count())) == 1,
                      "node %d does not answer", pid_);
        std::uint64_t answer = 0;
        ck_assert_msg(::recv(control_.get(), &answer, sizeof answer, 0) == sizeof answer,
                      "node %d is gone", pid_);
        return answer;
    }

    Descriptor control_;
    pid_t pid_ = 0;
};

}  // namespace websocket::test
