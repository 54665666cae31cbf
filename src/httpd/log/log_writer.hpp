// SPDX-License-Identifier: Apache-2.0
// Writes log lines on a thread of its own: a log that is slow or stuck must not hold an event loop.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/log_throttle.hpp"
#include "net/reactor.hpp"

namespace websocket::httpd {

/// Where lines go, and those that wait to go there. Outlives the writer's thread.
class LogSink : private net::EventHandler {
public:
    /// Bytes of lines that may wait; what comes then is lost.
    static constexpr std::size_t kMaxQueued = std::size_t{1} << 20;

    enum class Written : std::uint8_t {
        yes,
        later,  ///< nothing of it; descriptor() will become writable
        no,     ///< and never will be
    };

    LogSink() = default;
    virtual ~LogSink() = default;

    /// One line, whole or not at all. [writer's thread]
    [[nodiscard]] virtual Written write(std::string_view line) noexcept = 0;
    [[nodiscard]] virtual int descriptor() const noexcept { return -1; }
    /// Says that so many lines are lost; called at most once a second. [any thread]
    virtual void report_lost(std::uint64_t count) noexcept = 0;

    /// For files, and for pipes that do not block: a line of at most PIPE_BUF bytes, in one call
    /// of write(2).
    [[nodiscard]] static Written write_to(int descriptor, std::string_view line) noexcept;

private:
    friend class LogWriter;

    std::deque<std::string> lines_;  // these three are guarded by the writer's mutex
    std::size_t bytes_ = 0;
    bool known_ = false;   // in the writer's list
    std::string current_;  // [writer's thread]
    bool polled_ = false;  // the writer's reactor knows the descriptor [writer's thread]
    std::atomic<std::uint64_t> lost_{0};
    base::LogThrottle reports_;
};

/// One a child process. The thread begins with begin(), remind(), or the first line.
class LogWriter {
public:
    using Due = base::LogThrottle::Due;
    /// Says what is to be said now and then; true when some of it remains for later. Must not throw.
    using Report = std::function<bool(Due)>;

    /// How long stopping waits for logs that take nothing.
    static constexpr std::chrono::milliseconds kStopTimeout{500};

    LogWriter() = default;
    explicit LogWriter(Report report) : report_(std::move(report)) {}
    /// Writes what waits and joins the thread.
    ~LogWriter();
    LogWriter(const LogWriter&) = delete;
    LogWriter& operator=(const LogWriter&) = delete;

    /// Starts the thread, so that what it needs is there before there are lines. Throws
    /// std::system_error without a descriptor or a thread, std::bad_alloc without memory. [any thread]
    void begin();

    /// Queues a line that ends with a newline. When it cannot, and when the line is empty because memory ran
    /// out, it is lost and counted. Allocates, never blocks for long, never throws. [any thread]
    void push(LogSink& sink, std::string line) noexcept;

    /// Calls the report a second from now, and again every second as long as something remains; and
    /// at the end. Never blocks for long, never throws. [any thread]
    void remind() noexcept;

    /// What waits is still written, as far as the logs take it within kStopTimeout.
    /// Async-signal-safe. [any thread]
    void begin_stop() noexcept;
    /// True when the thread has ended, or none ever began. Async-signal-safe. [any thread]
    [[nodiscard]] bool stopped() const noexcept { return !running_.load(); }

private:
    using Clock = std::chrono::steady_clock;

    [[nodiscard]] bool queue(LogSink& sink, std::string&& line);
    void start();
    void run() noexcept;
    [[nodiscard]] std::chrono::milliseconds write_turn(bool& blocked) noexcept;
    [[nodiscard]] bool await_room(LogSink& sink) noexcept;
    [[nodiscard]] LogSink* sink_at(std::size_t index) noexcept;
    [[nodiscard]] bool next_line(LogSink& sink) noexcept;
    void lose(LogSink& sink, std::uint64_t count) noexcept;
    [[nodiscard]] std::chrono::milliseconds until_report(Clock::time_point& next) noexcept;
    [[nodiscard]] bool report(Due due) noexcept;
    void wake() noexcept;

    std::mutex mutex_;  // guards sinks_, the queues in them, and the start of the thread
    std::vector<LogSink*> sinks_;
    std::unique_ptr<net::Reactor> reactor_;
    std::atomic<const net::Reactor*> woken_{nullptr};  // the same, for signal handlers
    std::thread thread_;
    std::atomic<bool> running_{false};
    std::atomic<bool> stopping_{false};
    const Report report_;
    std::atomic<bool> reminded_{false};
};

}  // namespace websocket::httpd
