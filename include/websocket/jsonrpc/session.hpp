// SPDX-License-Identifier: Apache-2.0
// A client that may come back on another connection, and in another process. Part of websocket/jsonrpc.hpp.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../connection.hpp"
#include "answer_queue.hpp"
#include "message.hpp"
#include "settings.hpp"
#include "strand.hpp"

namespace websocket::jsonrpc {

/// Why a session is over in this process.
enum class End {
    by_client,  ///< closeSession
    by_server,  ///< Session::close
    lost,       ///< its client has not come back in time
    moved,      ///< it lives on in another process
    stopped,    ///< the process ends
};

/// What a client has answered to a request.
struct Answer {
    std::optional<Error> error;  ///< also kRequestTimeout and kSessionGone
    Value result;

    [[nodiscard]] explicit operator bool() const noexcept { return !error; }
};

namespace detail {

class SessionState;

/// What a session needs of the service's server.
class SessionHost {
public:
    /// False when it was gone already.
    virtual bool end_session(const std::shared_ptr<SessionState>& session, End why,
                             std::string_view reason) = 0;
    /// Runs it behind what the session is doing; what it throws is reported.
    virtual void run_in(const std::shared_ptr<SessionState>& session,
                        std::function<void()> task) = 0;
    /// Whether attributes may take so much more memory; others that wait for their clients end for it.
    virtual bool make_room(std::size_t bytes, const SessionState& asking) = 0;

    const websocket::Server& host;
    const Settings settings;
    const Texts texts;
    std::atomic<std::size_t> attribute_bytes{0};  ///< of memory, of all sessions

protected:
    SessionHost(const websocket::Server& server, Settings all)
        : host(server), settings(std::move(all)), texts(settings.dialect) {}
    ~SessionHost() = default;
};

class SessionState : public Strand {
public:
    using Milliseconds = std::chrono::milliseconds;
    using OnAnswer = std::function<void(const Answer&)>;

    SessionState(SessionHost& owner, std::string id, std::string user)
        : owner_(owner), id_(std::move(id)), user_(std::move(user)),
          reconnection_timeout_(owner.settings.reconnection_timeout) {}

    [[nodiscard]] SessionHost& owner() const noexcept { return owner_; }
    [[nodiscard]] const std::string& id() const noexcept { return id_; }
    [[nodiscard]] const std::string& user() const noexcept { return user_; }
    [[nodiscard]] std::shared_ptr<SessionState> self() {
        return std::static_pointer_cast<SessionState>(shared_from_this());
    }

    // ---- life. A session that is gone stays so.

    [[nodiscard]] bool gone() const {
        const std::lock_guard lock(mutex_);
        return gone_;
    }
    /// Kept for another process: no client has been here.
    [[nodiscard]] bool is_copy() const {
        const std::lock_guard lock(mutex_);
        return copy_;
    }
    [[nodiscard]] std::optional<Connection> connection() const {
        const std::lock_guard lock(mutex_);
        return connection_;
    }
    /// From now on this is its connection. False when it is gone. `was_copy`: this is the first one here.
    bool bind(std::shared_ptr<const AnswerQueue> answers, bool& was_copy) {
        const Connection connection = answers->to();
        std::set<std::string> topics;
        {
            const std::lock_guard lock(mutex_);
            if (gone_) return false;
            hold_ = DrainHold();
            was_copy = std::exchange(copy_, false);
            connection_ = connection;
            answers_ = std::move(answers);
            ++waits_;
            grace_.cancel();
            topics = topics_;
        }
        for (const std::string& topic : topics) connection.subscribe(topic);
        return true;
    }
    /// Its connection is lost; `later` is called if none has come until the reconnection timeout. False
    /// when it has another connection, or is gone.
    bool unbind(Connection connection, std::function<void()> later) {
        const std::lock_guard lock(mutex_);
        if (gone_ || !connection_ || !(*connection_ == connection)) return false;
        connection_.reset();
        answers_.reset();
        wait(std::move(later));
        return true;
    }
    /// What it does does not wait any more for the client of its connection to read: that is elsewhere.
    void release() {
        const std::lock_guard lock(mutex_);
        answers_.reset();
    }
    /// The process has to go, but not while this waits here for its client, or for another process to ask for it.
    void hold(DrainHold process) {
        const std::lock_guard lock(mutex_);
        if (!gone_) hold_ = std::move(process);
    }
    /// The same for a copy, which never had one.
    void await_client(std::function<void()> later) {
        const std::lock_guard lock(mutex_);
        wait(std::move(later));
    }
    /// Nothing happens any more. False when it was gone already.
    bool finish(const char* why) {
        DrainHold released;
        {
            const std::lock_guard lock(mutex_);
            if (std::exchange(gone_, true)) return false;
            released = std::move(hold_);
            connection_.reset();
            answers_.reset();
            grace_.cancel();
            count_attributes();
        }
        give_up_requests(why);
        return true;
    }

    // ---- what the client has asked

    /// Whether one more request may wait for its answer, with params of so many bytes of memory.
    [[nodiscard]] bool begin_request(std::size_t weight) noexcept {
        const std::size_t others = in_flight_.fetch_add(1, std::memory_order_relaxed);
        const std::size_t bytes = in_flight_bytes_.fetch_add(weight, std::memory_order_relaxed);
        const bool fits = bytes + weight <= owner_.settings.in_flight_size;
        if (others == 0 || (others < owner_.settings.in_flight && fits)) return true;
        end_request(weight);
        return false;
    }
    void end_request(std::size_t weight) noexcept {
        in_flight_bytes_.fetch_sub(weight, std::memory_order_relaxed);
        in_flight_.fetch_sub(1, std::memory_order_relaxed);
    }

    /// True until the first request has been handled.
    std::atomic<bool> is_new{true};

    // ---- what the service says

    Result send(std::string_view text) const {
        const std::optional<Connection> to = connection();
        return to ? to->send(text) : Result::gone;
    }
    void request(std::string_view method, const Value& params, Milliseconds timeout,
                 OnAnswer answer, bool in_strand) {
        std::unique_lock lock(mutex_);
        Pending pending{std::move(answer), {}, in_strand};
        if (!connection_) {
            lock.unlock();
            tell(std::move(pending), {Error(kSessionGone, "the client is not connected"), {}});
            return;
        }
        const std::int64_t number = next_request_++;
        pending.timer = owner_.host.after(timeout, [weak = weak_from_this(), number] {
            if (const auto strand = weak.lock()) {
                static_cast<SessionState&>(*strand).expire(number);
            }
        });
        pending_.emplace(number, std::move(pending));
        // Under the lock, so that numbers go out in their order. Never blocks.
        const Result result = connection_->send(owner_.texts.call(number, method, params));
        if (taken(result)) return;
        lock.unlock();
        fail(number,
             Error(kSessionGone, result == Result::full ? "the client does not read what it is sent"
                                                        : "the client is not connected"));
    }
    /// The client will not answer what it was asked: a method that waits for that returns.
    void give_up_requests(const char* why) {
        std::map<std::int64_t, Pending> pending;
        {
            const std::lock_guard lock(mutex_);
            pending.swap(pending_);
        }
        for (auto& [number, one] : pending) {
            one.timer.cancel();
            tell(std::move(one), {Error(kSessionGone, why), {}});
        }
    }
    /// False when nobody waits for it.
    bool answer(Reply reply) {
        const auto number = reply.id.integer<std::int64_t>();
        if (!number) return false;
        Pending pending;
        if (!take(*number, pending)) return false;
        pending.timer.cancel();
        tell(std::move(pending), {std::move(reply.error), std::move(reply.result)});
        return true;
    }

    // ---- what is kept of it

    [[nodiscard]] Value attribute(std::string_view name) const {
        const std::lock_guard lock(mutex_);
        const Value* found = attributes_.find(name);
        return found != nullptr ? *found : Value();
    }
    bool set_attribute(std::string_view name, Value value) {
        const bool removed = value.is_null();
        if (!removed && !owner_.make_room(value.footprint() + name.size(), *this)) return false;
        const std::lock_guard lock(mutex_);
        if (removed) {
            attributes_.remove(name);
        } else {
            Value changed = attributes_;
            changed.set(name, std::move(value));
            if (to_json(changed).size() > owner_.settings.session_size) return false;
            attributes_ = std::move(changed);
        }
        count_attributes();
        return true;
    }
    Result subscribe(const std::string& topic) {
        const std::lock_guard lock(mutex_);
        if (!connection_) return Result::gone;
        const Result result = connection_->subscribe(topic);
        if (taken(result)) topics_.insert(topic);
        return result;
    }
    Result unsubscribe(const std::string& topic) {
        const std::lock_guard lock(mutex_);
        topics_.erase(topic);
        return connection_ ? connection_->unsubscribe(topic) : Result::gone;
    }
    void set_reconnection_timeout(Milliseconds timeout) {
        const std::lock_guard lock(mutex_);
        reconnection_timeout_ = clamped(timeout);
    }
    /// Between the client's pings, as it has said; 0: it does not ping.
    std::atomic<std::int64_t> ping_interval{0};

    /// Among those that wait for their clients, the first one is 1; 0: it is none. The server's mutex guards it.
    std::uint64_t place = 0;

    /// For another process.
    [[nodiscard]] Value pack() const {
        const std::lock_guard lock(mutex_);
        Value::Array topics(topics_.begin(), topics_.end());
        return Value::object({{"user", user_},
                              {"attributes", attributes_},
                              {"topics", std::move(topics)},
                              {"next", next_request_},
                              {"timeout", reconnection_timeout_.count()},
                              {"interval", ping_interval.load()}});
    }
    /// What pack() has made; this is a copy now. False when it is something else.
    bool unpack(const Value& packed) {
        {
            const std::lock_guard lock(mutex_);
            copy_ = true;
        }
        const Value* attributes = packed.find("attributes");
        const Value* topics = packed.find("topics");
        const auto number = [&packed](std::string_view name) -> std::int64_t {
            const Value* value = packed.find(name);
            return value != nullptr ? value->integer<std::int64_t>().value_or(0) : 0;
        };
        if (attributes == nullptr || !attributes->is_object() || topics == nullptr ||
            !topics->is_array()) {
            return false;
        }
        const std::lock_guard lock(mutex_);
        attributes_ = *attributes;
        count_attributes();
        for (const Value& topic : topics->items()) {
            if (topic.is_text()) topics_.insert(topic.text());
        }
        next_request_ = std::max<std::int64_t>(number("next"), 1);
        reconnection_timeout_ = clamped(Milliseconds(number("timeout")));
        ping_interval = std::clamp<std::int64_t>(number("interval"), 0, 86400000);
        is_new = false;
        return true;
    }

private:
    struct Pending {
        OnAnswer answer;
        Timer timer;
        bool in_strand = true;
    };

    [[nodiscard]] bool held() const override {
        const std::lock_guard lock(mutex_);
        return answers_ && answers_->slow();
    }
    static Milliseconds clamped(Milliseconds timeout) {
        return std::clamp(timeout, Milliseconds(0), Milliseconds(86400000));
    }
    bool take(std::int64_t number, Pending& pending) {
        const std::lock_guard lock(mutex_);
        const auto found = pending_.find(number);
        if (found == pending_.end()) return false;
        pending = std::move(found->second);
        pending_.erase(found);
        return true;
    }
    void fail(std::int64_t number, Error error) {
        Pending pending;
        if (take(number, pending)) {
            pending.timer.cancel();
            tell(std::move(pending), {std::move(error), {}});
        }
    }
    /// Called by the request's timer.
    void expire(std::int64_t number) {
        Pending pending;
        if (!take(number, pending)) return;
        pending.timer.detach();  // it is running: ends by itself
        tell(std::move(pending),
             {Error(kRequestTimeout, "the client has not answered in time"), {}});
    }
    void tell(Pending&& pending, Answer answer) {
        if (!pending.in_strand) return pending.answer(answer);
        owner_.run_in(self(), [call = std::move(pending.answer), answer = std::move(answer)] {
            call(answer);
        });
    }
    /// Under the lock: what the attributes take counts for the process, as long as the session lives.
    void count_attributes() noexcept {
        const std::size_t now = gone_ ? 0 : attributes_.footprint();
        owner_.attribute_bytes += now - counted_;
        counted_ = now;
    }
    /// Under the lock.
    void wait(std::function<void()> later) {
        grace_ = owner_.host.after(reconnection_timeout_, [weak = weak_from_this(), wait = ++waits_,
                                                           call = std::move(later)] {
            const auto strand = weak.lock();
            if (!strand) return;
            auto& state = static_cast<SessionState&>(*strand);
            const std::function<void()> then = call;
            {
                const std::lock_guard lock(state.mutex_);
                if (state.gone_ || state.waits_ != wait) return;
                state.grace_.detach();  // it is running: ends by itself
            }
            then();
        });
    }

    SessionHost& owner_;
    const std::string id_;
    const std::string user_;  ///< whom httpd had authenticated; nobody else may come back to it
    std::atomic<std::size_t> in_flight_{0};
    std::atomic<std::size_t> in_flight_bytes_{0};

    mutable std::mutex mutex_;  // guards all below
    std::optional<Connection> connection_;
    std::shared_ptr<const AnswerQueue> answers_;  ///< of the connection
    bool gone_ = false;
    bool copy_ = false;
    std::size_t counted_ = 0;  ///< bytes of attributes in SessionHost::attribute_bytes
    DrainHold hold_;
    std::uint64_t waits_ = 0;  ///< which time it waits for its client
    Timer grace_;
    Milliseconds reconnection_timeout_;
    Value attributes_ = Value::object();
    std::set<std::string> topics_;
    std::int64_t next_request_ = 1;
    std::map<std::int64_t, Pending> pending_;
};

}  // namespace detail

/// To be copied and kept as one likes, until the service's destructor returns. [any thread]
class Session {
public:
    using Milliseconds = std::chrono::milliseconds;

    explicit Session(std::shared_ptr<detail::SessionState> state) noexcept
        : state_(std::move(state)) {}

    /// 26 of 0-9 and a-v, which nobody can guess.
    [[nodiscard]] const std::string& id() const noexcept { return state_->id(); }
    /// Whom httpd has authenticated; empty: nobody.
    [[nodiscard]] const std::string& user() const noexcept { return state_->user(); }
    /// True while its first request is handled.
    [[nodiscard]] bool is_new() const noexcept { return state_->is_new; }
    [[nodiscard]] bool connected() const { return state_->connection().has_value(); }
    /// Its connection at the moment, if it has one.
    [[nodiscard]] std::optional<Connection> connection() const { return state_->connection(); }
    bool operator==(const Session& other) const noexcept { return state_ == other.state_; }

    /// What the service remembers of the client; goes with it from process to process. null when there is
    /// none of this name. False: all of them together are larger than `session_size`; nothing is changed.
    [[nodiscard]] Value attribute(std::string_view name) const { return state_->attribute(name); }
    [[nodiscard]] bool set_attribute(std::string_view name, Value value) const {
        return state_->set_attribute(name, std::move(value));
    }
    /// How long it waits for its client to come back, up to a day.
    void set_reconnection_timeout(Milliseconds timeout) const {
        state_->set_reconnection_timeout(timeout);
    }

    /// Sends a notification. Result::gone while the client is not connected.
    Result notify(std::string_view method, const Value& params = {}) const {
        return state_->send(state_->owner().texts.call({}, method, params));
    }
    /// Sends a request. `answer` is called once, behind what the session is doing, when the client has
    /// answered, or has not in time, or is gone.
    void request(std::string_view method, const Value& params,
                 std::function<void(const Answer&)> answer,
                 std::optional<Milliseconds> timeout = {}) const {
        state_->request(method, params, timeout.value_or(state_->owner().settings.request_timeout),
                        std::move(answer), true);
    }
    /// The same; the future throws Error. To be waited for on a thread of `threads` or one of your own: the
    /// event loops, where the answer arrives, must not wait.
    [[nodiscard]] std::future<Value> request(std::string_view method, const Value& params = {},
                                             std::optional<Milliseconds> timeout = {}) const {
        auto promise = std::make_shared<std::promise<Value>>();
        state_->request(
            method, params, timeout.value_or(state_->owner().settings.request_timeout),
            [promise](const Answer& answer) {
                if (answer) {
                    promise->set_value(answer.result);
                } else {
                    promise->set_exception(std::make_exception_ptr(*answer.error));
                }
            },
            false);
        return promise->get_future();
    }

    /// The client gets what is published to a topic, now and after each reconnection.
    Result subscribe(const std::string& topic) const { return state_->subscribe(topic); }
    Result unsubscribe(const std::string& topic) const { return state_->unsubscribe(topic); }

    /// Ends the session, and its connection with 1000.
    void close(std::string_view reason = {}) const {
        const std::optional<Connection> connection = state_->connection();
        state_->owner().end_session(state_, End::by_server, reason);
        if (connection) connection->close(CloseCode::normal, reason);
    }

private:
    std::shared_ptr<detail::SessionState> state_;
};

}  // namespace websocket::jsonrpc
