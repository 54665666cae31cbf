// SPDX-License-Identifier: Apache-2.0
// The server as one plugin in one location sees it, and what it hands out: timers, watches, prepared
// messages, figures. Part of the C++ face of websocket/plugin.h; include websocket/plugin.hpp.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <utility>

#include "extension_tables.hpp"
#include "values.hpp"

namespace websocket {

class Server;

namespace detail {

/// A function of the plugin on its way through the server, which owns it until it calls done().
class Closure {
public:
    using Function = std::function<void(std::uint32_t events)>;

    Closure(const Server& server, ws_conn conn, Function function)
        : server_(server), conn_(conn), function_(std::move(function)) {}

    static void run(void* closure) noexcept { static_cast<Closure*>(closure)->call(0); }
    static void run_io(void* closure, std::uint32_t events) noexcept {
        static_cast<Closure*>(closure)->call(events);
    }
    static void done(void* closure) noexcept { delete static_cast<Closure*>(closure); }

private:
    void call(std::uint32_t events) noexcept;

    const Server& server_;
    const ws_conn conn_;
    const Function function_;
};

/// The same for messages of a topic.
class Listening {
public:
    using Function = std::function<void(const Published&)>;

    Listening(const Server& server, Function function)
        : server_(server), function_(std::move(function)) {}

    static void run(void* listening, std::uint32_t type, const void* bytes,
                    std::uint64_t n) noexcept {
        static_cast<Listening*>(listening)->call(
            {Type{type}, {static_cast<const std::uint8_t*>(bytes), static_cast<std::size_t>(n)}});
    }
    static void done(void* listening) noexcept { delete static_cast<Listening*>(listening); }

private:
    void call(const Published& message) noexcept;

    const Server& server_;
    const Function function_;
};

inline void check(Result result) {
    if (result == Result::no_memory) {
        throw std::bad_alloc();
    }
    if (result == Result::bad_argument) {
        throw std::invalid_argument("websocket: an argument is not allowed");
    }
}

}  // namespace detail

/// Calls a function later, until it is destroyed or its connection ends. Not running it any more when
/// the destructor returns is sure on its own thread only.
class Timer {
public:
    Timer() noexcept = default;
    Timer(const ws_host* host, const ws_timer_1* table, std::uint64_t number) noexcept
        : host_(host), table_(table), number_(number) {}
    Timer(Timer&& other) noexcept { *this = std::move(other); }
    Timer& operator=(Timer&& other) noexcept {
        std::swap(host_, other.host_);
        std::swap(table_, other.table_);
        std::swap(number_, other.number_);
        return *this;
    }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer() { cancel(); }

    void cancel() noexcept {
        if (number_ != 0) {
            table_->cancel(host_, std::exchange(number_, 0));
        }
    }
    /// Goes on without this object.
    void detach() noexcept { number_ = 0; }
    /// False when it could not be started, because its connection is gone, or was cancelled.
    [[nodiscard]] explicit operator bool() const noexcept { return number_ != 0; }

private:
    const ws_host* host_ = nullptr;
    const ws_timer_1* table_ = nullptr;
    std::uint64_t number_ = 0;
};

/// Watches a descriptor until it is destroyed or its connection ends.
class Watch {
public:
    Watch() noexcept = default;
    Watch(const ws_host* host, const ws_io_1* table, std::uint64_t number) noexcept
        : host_(host), table_(table), number_(number) {}
    Watch(Watch&& other) noexcept { *this = std::move(other); }
    Watch& operator=(Watch&& other) noexcept {
        std::swap(host_, other.host_);
        std::swap(table_, other.table_);
        std::swap(number_, other.number_);
        return *this;
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() { cancel(); }

    /// WS_READABLE, WS_WRITABLE, both or 0.
    void change(std::uint32_t events) const noexcept {
        if (number_ != 0) {
            table_->change(host_, number_, events);
        }
    }
    void cancel() noexcept {
        if (number_ != 0) {
            table_->unwatch(host_, std::exchange(number_, 0));
        }
    }
    [[nodiscard]] explicit operator bool() const noexcept { return number_ != 0; }

private:
    const ws_host* host_ = nullptr;
    const ws_io_1* table_ = nullptr;
    std::uint64_t number_ = 0;
};

/// Gets what is published to a topic, until it is destroyed. Not calling its function any more when
/// the destructor returns is sure on the function's own thread only.
class Listener {
public:
    Listener() noexcept = default;
    Listener(const ws_host* host, const ws_topic_1* table, std::uint64_t number) noexcept
        : host_(host), table_(table), number_(number) {}
    Listener(Listener&& other) noexcept { *this = std::move(other); }
    Listener& operator=(Listener&& other) noexcept {
        std::swap(host_, other.host_);
        std::swap(table_, other.table_);
        std::swap(number_, other.number_);
        return *this;
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener() { cancel(); }

    void cancel() noexcept {
        if (number_ != 0) {
            table_->ignore(host_, std::exchange(number_, 0));
        }
    }
    /// It passes on what it gets, and counts as so many subscribers. Without effect in a server that is too old.
    void stand_for(std::uint32_t subscribers) const noexcept {
        if (number_ != 0 &&
            table_->size >= offsetof(ws_topic_1, stand_for) + sizeof table_->stand_for) {
            table_->stand_for(host_, number_, subscribers);
        }
    }
    /// False when the server did not take it: it is ending, or has too many topics.
    [[nodiscard]] explicit operator bool() const noexcept { return number_ != 0; }

private:
    const ws_host* host_ = nullptr;
    const ws_topic_1* table_ = nullptr;
    std::uint64_t number_ = 0;
};

/// A message that is encoded once for many. Copies share it.
class Prepared {
public:
    Prepared() noexcept = default;
    Prepared(const ws_buffer_1* table, ws_buffer* buffer) noexcept
        : table_(table), buffer_(buffer) {}
    Prepared(const Prepared& other) noexcept : table_(other.table_), buffer_(other.buffer_) {
        if (buffer_ != nullptr) {
            table_->retain(buffer_);
        }
    }
    Prepared(Prepared&& other) noexcept
        : table_(other.table_), buffer_(std::exchange(other.buffer_, nullptr)) {}
    Prepared& operator=(Prepared other) noexcept {
        std::swap(table_, other.table_);
        std::swap(buffer_, other.buffer_);
        return *this;
    }
    ~Prepared() {
        if (buffer_ != nullptr) {
            table_->release(buffer_);
        }
    }
    [[nodiscard]] ws_buffer* get() const noexcept { return buffer_; }

private:
    const ws_buffer_1* table_ = nullptr;
    ws_buffer* buffer_ = nullptr;
};

/// While it lives, the process does not end when it drains, up to the end of the drain.
class DrainHold {
public:
    DrainHold() noexcept = default;
    DrainHold(const ws_host* host, const ws_drain_1* table) noexcept : host_(host), table_(table) {}
    DrainHold(DrainHold&& other) noexcept { *this = std::move(other); }
    DrainHold& operator=(DrainHold&& other) noexcept {
        std::swap(host_, other.host_);
        std::swap(table_, other.table_);
        return *this;
    }
    DrainHold(const DrainHold&) = delete;
    DrainHold& operator=(const DrainHold&) = delete;
    ~DrainHold() {
        if (table_ != nullptr) table_->release(host_);
    }
    /// False: the server knows no such thing.
    [[nodiscard]] explicit operator bool() const noexcept { return table_ != nullptr; }

private:
    const ws_host* host_ = nullptr;
    const ws_drain_1* table_ = nullptr;
};

/// A figure for the administrator. Valid as long as the plugin.
class Metric {
public:
    Metric() noexcept = default;
    Metric(const ws_metrics_1* table, ws_metric* metric) noexcept
        : table_(table), metric_(metric) {}
    void add(std::int64_t amount = 1) const noexcept {
        if (metric_ != nullptr) table_->add(metric_, amount);
    }
    void set(std::int64_t value) const noexcept {
        if (metric_ != nullptr) table_->set(metric_, value);
    }

private:
    const ws_metrics_1* table_ = nullptr;
    ws_metric* metric_ = nullptr;
};

/// Made by the SDK before the plugin's constructor runs; lives as long as the plugin. Functions may
/// be called on any thread; they throw MissingExtension when the server is too old for them, and
/// std::bad_alloc.
class Server {
public:
    using Duration = std::chrono::milliseconds;

    explicit Server(const ws_host* host) noexcept : host_(host), tables_(host) {}
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    [[nodiscard]] const ws_host* host() const noexcept { return host_; }
    [[nodiscard]] std::string_view name() const noexcept { return host_->name; }
    [[nodiscard]] std::string_view version() const noexcept { return host_->version; }
    [[nodiscard]] bool has_topics() const noexcept { return tables_.topic != nullptr; }
    /// Whether it knows on_http.
    [[nodiscard]] bool has_http() const noexcept { return tables_.http != nullptr; }

    /// Lines of httpd's error log.
    void error(std::string_view text) const noexcept { log(WS_LOG_ERROR, text); }
    void warning(std::string_view text) const noexcept { log(WS_LOG_WARNING, text); }
    void info(std::string_view text) const noexcept { log(WS_LOG_INFO, text); }
    void debug(std::string_view text) const noexcept { log(WS_LOG_DEBUG, text); }

    /// Sends to all subscribers of a topic but `except`.
    Result publish(std::string_view topic, std::string_view text, ws_conn except = 0) const {
        return publish(topic, Type::text, bytes_of(text), except);
    }
    Result publish(std::string_view topic, Type type, Bytes bytes, ws_conn except = 0) const {
        return Result{topics().publish(host_, topic.data(), topic.size(),
                                       static_cast<std::uint32_t>(type), bytes.data(), bytes.size(),
                                       except, 0)};
    }

    /// How many clients subscribe to the topic, in all processes.
    [[nodiscard]] std::uint64_t subscribers(std::string_view topic) const {
        const ws_topic_1& table = topics();
        if (table.size < offsetof(ws_topic_1, subscribers) + sizeof table.subscribers) {
            throw MissingExtension("ws.topic/1: subscribers");
        }
        return table.subscribers(host_, topic.data(), topic.size());
    }

    /// Calls `function(message)` with what is published to a topic from now on, in whatever process,
    /// also by this plugin; where timers of the plugin run.
    [[nodiscard]] Listener listen(std::string_view topic,
                                  std::function<void(const Published&)> function) const {
        const ws_topic_1& table = topics();
        if (table.size < offsetof(ws_topic_1, ignore) + sizeof table.ignore) {
            throw MissingExtension("ws.topic/1: listen");
        }
        auto closure = std::make_unique<detail::Listening>(*this, std::move(function));
        std::uint64_t number = 0;
        const Result result{table.listen(host_, topic.data(), topic.size(), detail::Listening::run,
                                         detail::Listening::done, closure.get(), &number)};
        detail::check(result);
        if (!taken(result)) {
            return {};
        }
        static_cast<void>(closure.release());
        return {host_, tables_.topic, number};
    }

    /// Whether this plugin leads, of all its instances in all processes, and of others that ask for the
    /// same name: for what should be done once. Makes it lead if nobody does. To be asked each time.
    [[nodiscard]] bool leads(std::string_view name) const {
        const Result result{leaders().lead(host_, name.data(), name.size())};
        detail::check(result);
        return taken(result);
    }
    /// Lets another one lead.
    void resign(std::string_view name) const { leaders().resign(host_, name.data(), name.size()); }

    /// Calls `function()` once after `delay`, or again and again every `period`, one call after the
    /// other, beside the callbacks of connections.
    [[nodiscard]] Timer after(Duration delay, std::function<void()> function) const {
        return start(0, delay, Duration::zero(), std::move(function));
    }
    [[nodiscard]] Timer every(Duration period, std::function<void()> function) const {
        return start(0, period, period, std::move(function));
    }
    /// Calls `function()` soon, where timers of the plugin run. False when the server is ending.
    bool post(std::function<void()> function) const { return post(0, std::move(function)); }
    /// Calls `function(events)` whenever the descriptor is ready for `events` (WS_READABLE,
    /// WS_WRITABLE) or broken. Throws std::invalid_argument when it cannot be watched.
    [[nodiscard]] Watch watch(int descriptor, std::uint32_t events,
                              std::function<void(std::uint32_t)> function) const {
        return watch(0, descriptor, events, std::move(function));
    }

    [[nodiscard]] Prepared prepare(std::string_view text) const {
        return prepare(Type::text, bytes_of(text));
    }
    [[nodiscard]] Prepared prepare(Type type, Bytes bytes) const {
        ws_buffer* buffer =
            buffers().make(host_, static_cast<std::uint32_t>(type), bytes.data(), bytes.size());
        if (buffer == nullptr) {
            throw std::bad_alloc();
        }
        return {tables_.buffer, buffer};
    }

    /// For what has to be done before the process ends: see websocket/ext/drain.h.
    [[nodiscard]] DrainHold hold_drain() const noexcept {
        const bool held = tables_.drain != nullptr && tables_.drain->hold(host_) == WS_OK;
        return held ? DrainHold(host_, tables_.drain) : DrainHold();
    }

    /// A figure of this process; names are of a-z, 0-9 and _.
    [[nodiscard]] Metric counter(std::string_view name) const noexcept {
        return metric(name, WS_COUNTER);
    }
    [[nodiscard]] Metric gauge(std::string_view name) const noexcept {
        return metric(name, WS_GAUGE);
    }

    // The tables of extensions, and what Connection and Request build on.
    [[nodiscard]] const ws_timer_1& timers() const { return need(tables_.timer, WS_TIMER_1); }
    [[nodiscard]] const ws_post_1& posts() const { return need(tables_.post, WS_POST_1); }
    [[nodiscard]] const ws_io_1& io() const { return need(tables_.io, WS_IO_1); }
    [[nodiscard]] const ws_buffer_1& buffers() const { return need(tables_.buffer, WS_BUFFER_1); }
    [[nodiscard]] const ws_request_1& requests() const {
        return need(tables_.request, WS_REQUEST_1);
    }
    [[nodiscard]] const ws_http_1& http() const { return need(tables_.http, WS_HTTP_1); }
    [[nodiscard]] const ws_stream_1& streams() const { return need(tables_.stream, WS_STREAM_1); }
    [[nodiscard]] const ws_flow_1& flow() const { return need(tables_.flow, WS_FLOW_1); }
    [[nodiscard]] const ws_topic_1& topics() const { return need(tables_.topic, WS_TOPIC_1); }
    [[nodiscard]] const ws_leader_1& leaders() const { return need(tables_.leader, WS_LEADER_1); }

    [[nodiscard]] Timer start(ws_conn conn, Duration delay, Duration period,
                              std::function<void()> function) const {
        const ws_timer_1& table = timers();
        auto closure = make_closure(conn, std::move(function));
        std::uint64_t number = 0;
        const Result result{table.start(host_, conn, static_cast<std::uint64_t>(delay.count()),
                                        static_cast<std::uint64_t>(period.count()),
                                        detail::Closure::run, detail::Closure::done, closure.get(),
                                        &number)};
        detail::check(result);
        if (!taken(result)) {
            return {};
        }
        static_cast<void>(closure.release());
        return {host_, tables_.timer, number};
    }
    bool post(ws_conn conn, std::function<void()> function) const {
        const ws_post_1& table = posts();
        auto closure = make_closure(conn, std::move(function));
        const Result result{
            table.post(host_, conn, detail::Closure::run, detail::Closure::done, closure.get())};
        detail::check(result);
        if (taken(result)) {
            static_cast<void>(closure.release());
        }
        return taken(result);
    }
    [[nodiscard]] Watch watch(ws_conn conn, int descriptor, std::uint32_t events,
                              std::function<void(std::uint32_t)> function) const {
        const ws_io_1& table = io();
        auto closure = std::make_unique<detail::Closure>(*this, conn, std::move(function));
        std::uint64_t number = 0;
        const Result result{table.watch(host_, conn, descriptor, events, detail::Closure::run_io,
                                        detail::Closure::done, closure.get(), &number)};
        detail::check(result);
        if (!taken(result)) {
            return {};
        }
        static_cast<void>(closure.release());
        return {host_, tables_.io, number};
    }

    /// For an exception that is being handled: logs it, and closes `conn`, if any, with 1011.
    void report_exception(const char* where, ws_conn conn) const noexcept {
        try {
            try {
                throw;
            } catch (const std::exception& error) {
                this->error(std::string("exception in ") + where + ": " + error.what());
            } catch (...) {
                this->error(std::string("exception in ") + where);
            }
        } catch (...) {
            this->error("exception, and no memory to describe it");
        }
        if (conn != 0) {
            constexpr std::string_view kReason = "plugin failed";
            host_->close(host_, conn, 1011, kReason.data(), kReason.size());
        }
    }

private:
    template <class Table>
    [[nodiscard]] static const Table& need(const Table* table, const char* name) {
        if (table == nullptr) {
            throw MissingExtension(name);
        }
        return *table;
    }
    [[nodiscard]] std::unique_ptr<detail::Closure>
    make_closure(ws_conn conn, std::function<void()> function) const {
        return std::make_unique<detail::Closure>(
            *this, conn, [call = std::move(function)](std::uint32_t /*events*/) { call(); });
    }
    [[nodiscard]] Metric metric(std::string_view name, std::uint32_t kind) const noexcept {
        return tables_.metrics != nullptr
                   ? Metric(tables_.metrics,
                            tables_.metrics->metric(host_, name.data(), name.size(), kind))
                   : Metric();
    }
    void log(std::uint32_t level, std::string_view text) const noexcept {
        host_->log(host_, level, text.data(), text.size());
    }

    const ws_host* host_;
    const detail::ExtensionTables tables_;
};

inline void detail::Listening::call(const Published& message) noexcept {
    try {
        function_(message);
    } catch (...) {
        server_.report_exception("a listener of a topic", 0);
    }
}

inline void detail::Closure::call(std::uint32_t events) noexcept {
    try {
        function_(events);
    } catch (...) {
        server_.report_exception("a timer, watch or posted function", conn_);
    }
}

}  // namespace websocket
