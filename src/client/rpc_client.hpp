// SPDX-License-Identifier: Apache-2.0
// What a jsonrpc::Client is: requests, sessions and connections that follow each other.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/answers.hpp"
#include "client/backoff.hpp"
#include "client/callbacks.hpp"
#include "client/connection.hpp"
#include "client/event_thread.hpp"
#include "client/messages.hpp"
#include "client/traffic.hpp"
#include "net/resolver.hpp"
#include "net/timer.hpp"
#include "net/tls_client.hpp"
#include "websocket/jsonrpc/reader.hpp"
#include "websocket/jsonrpc_client.hpp"

namespace websocket::client {

using jsonrpc::Outcome;

/// Who hears what became of a request: one of them.
struct Completion {
    std::shared_ptr<std::promise<Value>> promise = {};
    jsonrpc::Client::Callback callback = {};
    std::function<void(const Outcome&)> ours = {};  ///< called at once
};

/// Functions marked [any thread] do on the thread of the client what they are for. dismantle() comes last.
class RpcClient final : public std::enable_shared_from_this<RpcClient>, private ConnectionListener {
public:
    /// As jsonrpc::Client.
    explicit RpcClient(jsonrpc::Configuration configuration);
    RpcClient(const RpcClient&) = delete;
    RpcClient& operator=(const RpcClient&) = delete;
    ~RpcClient() = default;

    // --- [any thread] ---

    void connect();
    /// Throws what keeps it from beginning; else it is completed once.
    void request(std::string_view method, const Value& params, const jsonrpc::SendOptions& options,
                 Completion completion);
    void notify(std::string_view method, const Value& params);
    void register_method(std::string name, jsonrpc::Method method);
    bool unregister_method(std::string_view name);
    std::future<jsonrpc::CloseInfo> close(std::uint16_t code, std::string_view reason);
    void reconnect();
    void force_close(std::optional<std::chrono::milliseconds> retry_in);
    [[nodiscard]] const Traffic& traffic() const noexcept { return traffic_; }
    /// The end, as of ~Client().
    void dismantle();

private:
    /// A request that waits for its answer.
    struct Pending {
        std::int64_t id = 0;
        std::string method;
        std::string text;  ///< if it may be sent again
        std::chrono::milliseconds timeout{};
        unsigned retries = 0;
        bool sent = false;     ///< on the connection that there is
        bool counted = false;  ///< one of the user's
        Completion completion;
        std::optional<net::Timer> timer = {};
    };
    using PendingPointer = std::shared_ptr<Pending>;
    /// What waits until there is a connection, and a session.
    struct Waiting {
        std::string text;
        std::optional<std::int64_t> id;  ///< of a request
        std::uint64_t connection;        ///< of an answer: by which the request came; else 0
    };
    class IncomingCall;

    template <class Task>
    void run(Task task);
    template <class Step>
    void guarded(Step step) noexcept;
    void later(std::function<void()> function, bool always = false);
    void run_callbacks();
    void threw(const std::exception_ptr& error) noexcept;
    void report(const std::exception_ptr& error);
    template <class Function, class Info>
    void tell(const Function& listener, const Info& info);

    // rpc_client_connections.cpp
    [[nodiscard]] bool ended() const noexcept;
    void start_connection();
    void dial(const std::string& uri);
    void on_open() override;
    void on_end(const End& end) override;
    void on_sent() override;
    void ask_session();
    void session_told(const Outcome& outcome, const std::optional<std::string>& asked);
    void is_ready(bool same_session);
    void drop_connection();
    void lost(jsonrpc::CloseInfo info, std::optional<std::chrono::milliseconds> wanted = {});
    void after_loss(const jsonrpc::CloseInfo& info);
    void finish(jsonrpc::CloseInfo info);
    void reconnect_now();
    void beat(bool first);
    void begin_close(std::uint16_t code, std::string reason,
                     std::shared_ptr<std::promise<jsonrpc::CloseInfo>> closer);
    void close_socket();
    void take_apart() noexcept;

    // rpc_client_messages.cpp
    void begin(const PendingPointer& pending);
    void call(std::string_view method, const Value& params, std::chrono::milliseconds timeout,
              std::function<void(const Outcome&)> then);
    void post(Waiting waiting);
    void transmit(const Waiting& waiting);
    void flush();
    void forget_waiting(const std::function<bool(const Waiting&)>& unwanted);
    [[nodiscard]] PendingPointer take(std::int64_t id);
    void timed_out(std::int64_t id) noexcept;
    void complete(Pending& pending, const Outcome& outcome);
    void complete_all(const std::exception_ptr& error);
    void on_message(protocol::MessageType type, std::string_view payload) override;
    void on_answer(ServerAnswer answer);
    void on_call(ServerCall call, std::string_view text);
    void answer(const std::string& text, std::uint64_t connection,
                const std::shared_ptr<Answered>& request);
    void invoke(const jsonrpc::Method& method, const std::shared_ptr<IncomingCall>& call);

    const std::shared_ptr<EventThread> thread_;  // outlives all that is in its reactor
    const jsonrpc::Configuration configuration_;
    std::unique_ptr<net::TlsClientContext> tls_;
    const jsonrpc::Reader reader_;
    Traffic traffic_;
    std::atomic<std::int64_t> next_id_{0};
    std::mutex methods_mutex_;  // guards methods_
    std::map<std::string, jsonrpc::Method, std::less<>> methods_;

    // What follows belongs to the thread.
    bool started_ = false;
    bool dead_ = false;      ///< dismantled
    bool closing_ = false;   ///< close() was called
    bool ready_ = false;     ///< messages may leave
    bool flushed_ = false;   ///< what waited has left, and nothing need stand behind it
    bool greeting_ = false;  ///< on_connected or on_reconnected runs: what it sends goes first
    bool callbacks_posted_ = false;
    bool first_address_used_ = false;
    std::uint64_t attempt_ = 0;        ///< of the newest connection
    std::uint64_t session_since_ = 0;  ///< the first connection of the session
    std::size_t in_flight_ = 0;        ///< requests of the server that are not answered
    std::string uri_;                  ///< of the newest connection
    std::optional<std::string> session_id_;
    std::uint16_t close_code_ = 0;
    std::string close_reason_;
    std::chrono::milliseconds close_deadline_{0};  ///< of the reactor's clock
    std::vector<std::shared_ptr<std::promise<jsonrpc::CloseInfo>>> closers_;
    std::optional<jsonrpc::CloseInfo> end_;
    Callbacks callbacks_;
    Backoff backoff_;
    Answers answers_;
    std::map<std::int64_t, PendingPointer> pending_;  ///< in the order in which they were made
    std::deque<Waiting> outbox_;
    std::optional<net::Resolver> resolver_;
    std::shared_ptr<Connection> connection_;
    std::optional<net::Timer> retry_timer_;
    std::optional<net::Timer> stable_timer_;
    std::optional<net::Timer> heartbeat_timer_;
};

/// Whatever happens in a step, memory that is missing costs what it was about, not the program.
template <class Step>
void RpcClient::guarded(Step step) noexcept {
    try {
        step();
    } catch (const std::bad_alloc&) {
        // Promises that are lost this way are broken, which completes their futures.
    }
}

/// On the thread of the client: at once when this is it, as what a callback does comes before what others do. Also when
/// a callback has destroyed the client meanwhile: whoever waits for something hears of that.
template <class Task>
void RpcClient::run(Task task) {
    if (thread_->here()) {
        task();
    } else {
        thread_->post([self = shared_from_this(), task = std::move(task)] { task(); });
    }
}

/// Later. A copy of the function: what is called may outlive the client.
template <class Function, class Info>
void RpcClient::tell(const Function& listener, const Info& info) {
    if (listener) {
        later([listener, info] { listener(info); });
    }
}

}  // namespace websocket::client
