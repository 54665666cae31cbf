// SPDX-License-Identifier: Apache-2.0
#include "httpd/log/log_writer.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <exception>
#include <system_error>
#include <utility>

#include "base/signal_mask.hpp"

namespace websocket::httpd {

namespace {

constexpr std::size_t kMostPolled = 64;
constexpr int kLinesATurn = 64;
constexpr int kForEver = -1;

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
    if (stopping_.load() || sink.octets_ + line.size() > LogSink::kMostQueued) {
        return false;
    }
    start();
    if (!sink.known_) {
        sinks_.push_back(&sink);
        sink.known_ = true;
    }
    const std::size_t octets = line.size();
    const bool was_empty = sink.lines_.empty();
    sink.lines_.push_back(std::move(line));
    sink.octets_ += octets;
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
    if (!event_.valid()) {
        event_ = base::Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!event_.valid()) {
            throw std::system_error(errno, std::generic_category(), "eventfd");
        }
        wake_descriptor_.store(event_.get());
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
    const std::uint64_t one = 1;
    if (const int descriptor = wake_descriptor_.load(); descriptor >= 0) {
        static_cast<void>(!::write(descriptor, &one, sizeof one));
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
        std::uint64_t count = 0;
        static_cast<void>(!::read(event_.get(), &count, sizeof count));

        std::array<pollfd, kMostPolled> polled;
        polled[0] = {event_.get(), POLLIN, 0};
        std::size_t used = 1;
        int patience = write_turn(polled, used) ? 0 : until_report(next_report);
        if (stopping) {
            give_up = std::min(give_up, Clock::now() + kStopTimeout);
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(give_up - Clock::now());
            if ((patience != 0 && used == 1) || left.count() <= 0) {
                break;
            }
            patience = std::min(static_cast<int>(left.count()), patience == 0 ? 0 : INT_MAX);
        }
        ::poll(polled.data(), used, patience);
    }
    static_cast<void>(report(Due::all));
    running_.store(false);
}

/// Reports when it is time for it. Milliseconds until it will be, kForEver when nobody has reminded.
int LogWriter::until_report(Clock::time_point& next) noexcept {
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
        return kForEver;
    }
    next = next == kNever ? now + base::LimitedLine::kPause : next;
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(next - now).count());
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

/// Gives each log its turn. True when more can be written at once; those that would block are added
/// to `polled`.
bool LogWriter::write_turn(std::span<pollfd> polled, std::size_t& used) noexcept {
    bool more = false;
    for (std::size_t i = 0; LogSink* sink = sink_at(i); ++i) {
        int lines = 0;
        while (next_line(*sink) && lines++ < kLinesATurn) {
            const LogSink::Written written = sink->write(sink->current_);
            if (written == LogSink::Written::later) {
                if (used < polled.size()) {
                    polled[used++] = {sink->descriptor(), POLLOUT, 0};
                }
                break;
            }
            sink->current_.clear();
            if (written == LogSink::Written::no) {
                lose(*sink, 1);
            } else if (sink->lost_.load() != 0) {
                lose(*sink, 0);  // it is well again: say what that has cost
            }
        }
        more = more || lines > kLinesATurn;
    }
    return more;
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
    sink.octets_ -= sink.current_.size();
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
