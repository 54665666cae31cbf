// SPDX-License-Identifier: Apache-2.0
#include "httpd/log/log_writer.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include "base/signal_mask.hpp"

namespace websocket::httpd {

namespace {

using std::chrono::milliseconds;

constexpr int kLinesATurn = 64;
constexpr milliseconds kLongestWait{60'000};
/// How often a log is tried again whose descriptor cannot be polled.
constexpr milliseconds kRetry{20};

}  // namespace

LogSink::Written LogSink::write_to(int descriptor, std::string_view line) noexcept {
    while (!line.empty()) {
        const ssize_t count = ::write(descriptor, line.data(), line.size());
        if (count >= 0) {
            line.remove_prefix(
                static_cast<std::size_t>(count));  // all of it, unless a disk is full
        } else if (errno == EAGAIN) {
            return Written::later;
        } else if (errno != EINTR) {
            return Written::no;
        }
    }
    return Written::yes;
}

LogWriter::~LogWriter() {
    begin_stop();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void LogWriter::begin() {
    const std::lock_guard lock(mutex_);
    if (!stopping_.load()) {
        start();
    }
}

void LogWriter::remind() noexcept {
    if (reminded_.exchange(true)) {
        return;
    }
    try {
        begin();
        wake();
    } catch (const std::exception&) {
        reminded_.store(false);  // no thread: the next line will say it
    }
}

void LogWriter::push(LogSink& sink, std::string line) noexcept {
    try {
        if (!line.empty() && queue(sink, std::move(line))) {
            return;
        }
    } catch (const std::exception&) {
        // no memory, or no thread: the line is lost as well
    }
    lose(sink, 1);
}

bool LogWriter::queue(LogSink& sink, std::string&& line) {
    const std::lock_guard lock(mutex_);
    if (stopping_.load() || sink.bytes_ + line.size() > LogSink::kMaxQueued) {
        return false;
    }
    start();
    if (!sink.known_) {
        sinks_.push_back(&sink);
        sink.known_ = true;
    }
    const std::size_t bytes = line.size();
    const bool was_empty = sink.lines_.empty();
    sink.lines_.push_back(std::move(line));
    sink.bytes_ += bytes;
    if (was_empty) {
        wake();
    }
    return true;
}

/// With the mutex. Throws std::system_error without a descriptor or a thread.
void LogWriter::start() {
    if (thread_.joinable()) {
        return;
    }
    if (reactor_ == nullptr) {
        reactor_ = std::make_unique<net::Reactor>(milliseconds{1});
        woken_.store(reactor_.get());
    }
    const base::SignalsBlocked blocked;  // inherited by the thread
    running_.store(true);
    try {
        thread_ = std::thread([this] { run(); });
    } catch (...) {
        running_.store(false);
        throw;
    }
}

void LogWriter::wake() noexcept {
    if (const net::Reactor* reactor = woken_.load()) {
        reactor->wake();
    }
}

void LogWriter::begin_stop() noexcept {
    stopping_.store(true);
    wake();
}

void LogWriter::run() noexcept {
    auto give_up = Clock::time_point::max();
    auto next_report = Clock::time_point::max();
    for (;;) {
        // Before looking at the queues: what comes later has to be seen in the next round.
        const bool stopping = stopping_.load();
        bool blocked = false;
        const milliseconds until_line = write_turn(blocked);
        milliseconds limit =
            until_line.count() == 0 ? until_line : std::min(until_line, until_report(next_report));
        if (stopping) {
            give_up = std::min(give_up, Clock::now() + kStopTimeout);
            const auto left = std::chrono::ceil<milliseconds>(give_up - Clock::now());
            if ((until_line.count() != 0 && !blocked) || left.count() <= 0) {
                break;
            }
            limit = std::min(limit, left);
        }
        static_cast<void>(reactor_->wait(limit));
        reactor_->dispatch();
    }
    static_cast<void>(report(Due::all));
    running_.store(false);
}

/// Reports when it is time for it. How long until it will be.
milliseconds LogWriter::until_report(Clock::time_point& next) noexcept {
    constexpr Clock::time_point kNever = Clock::time_point::max();
    const Clock::time_point now = Clock::now();
    if (next <= now) {
        next = kNever;
        reminded_.store(false);  // before looking: what comes later reminds again
        if (report(Due::now)) {
            reminded_.store(true);
        }
    }
    if (!reminded_.load()) {
        return kLongestWait;
    }
    next = next == kNever ? now + base::LogThrottle::kPause : next;
    return std::chrono::ceil<milliseconds>(next - now);
}

/// True when something remains.
bool LogWriter::report(Due due) noexcept {
    bool remains = report_ && report_(due);
    for (std::size_t i = 0; LogSink* sink = sink_at(i); ++i) {
        if (sink->lost_.load() != 0 && (due == Due::all || sink->reports_.permit())) {
            sink->report_lost(sink->lost_.exchange(0));
        }
        remains = remains || sink->lost_.load() != 0;
    }
    return remains;
}

/// Gives each log its turn. How long the next one may wait, if no log has room before that; `blocked` when
/// one has none.
milliseconds LogWriter::write_turn(bool& blocked) noexcept {
    milliseconds next = kLongestWait;
    for (std::size_t i = 0; LogSink* sink = sink_at(i); ++i) {
        int lines = 0;
        while (next_line(*sink) && lines++ < kLinesATurn) {
            const LogSink::Written written = sink->write(sink->current_);
            if (written == LogSink::Written::later) {
                blocked = true;
                next = await_room(*sink) ? next : std::min(next, kRetry);
                break;
            }
            sink->current_.clear();
            if (written == LogSink::Written::no) {
                lose(*sink, 1);
            } else if (sink->lost_.load() != 0) {
                lose(*sink, 0);  // it is well again: say what that has cost
            }
        }
        next = lines > kLinesATurn ? milliseconds{0} : next;
    }
    return next;
}

/// Has the reactor wait until it is writable, once. False when it cannot be polled.
bool LogWriter::await_room(LogSink& sink) noexcept {
    constexpr std::uint32_t kOnce = EPOLLOUT | EPOLLONESHOT;
    if (!sink.polled_) {
        sink.polled_ = reactor_->add(sink.descriptor(), sink, kOnce);
        return sink.polled_;
    }
    return reactor_->change(sink.descriptor(), sink, kOnce);
}

LogSink* LogWriter::sink_at(std::size_t index) noexcept {
    const std::lock_guard lock(mutex_);
    return index < sinks_.size() ? sinks_[index] : nullptr;
}

/// False when nothing waits; else the line is sink.current_.
bool LogWriter::next_line(LogSink& sink) noexcept {
    if (!sink.current_.empty()) {
        return true;
    }
    const std::lock_guard lock(mutex_);
    if (sink.lines_.empty()) {
        return false;
    }
    sink.current_ = std::move(sink.lines_.front());
    sink.lines_.pop_front();
    sink.bytes_ -= sink.current_.size();
    return true;
}

void LogWriter::lose(LogSink& sink, std::uint64_t count) noexcept {
    sink.lost_.fetch_add(count);
    if (!sink.reports_.permit()) {
        remind();
    } else if (const std::uint64_t lost = sink.lost_.exchange(0)) {
        sink.report_lost(lost);
    }
}

}  // namespace websocket::httpd
