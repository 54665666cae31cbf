// SPDX-License-Identifier: Apache-2.0
// Answers on their way to a client, as fast as it reads them. Part of websocket/jsonrpc.hpp.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>

#include "../connection.hpp"

namespace websocket::jsonrpc::detail {

/// Of one connection. Answers for which there is no room wait here until the client has read. [any thread]
class AnswerQueue {
public:
    /// So many bytes may wait here; one answer always may.
    AnswerQueue(Connection to, std::size_t most) noexcept : to_(to), most_(most) {}

    [[nodiscard]] Connection to() const noexcept { return to_; }
    /// The client has to read before it gets more answers: writable() comes.
    [[nodiscard]] bool slow() const noexcept { return slow_; }

    /// A client for which too much waits is closed: answers would be lost. Throws std::bad_alloc.
    Result send(std::string_view text) {
        // Over the send, too: on_writable is not taken for earlier than what it follows.
        const std::lock_guard lock(mutex_);
        if (waiting_.empty()) {
            const Result result = pass(text);
            if (result != Result::full) return result;
        } else if (bytes_ + text.size() > most_) {
            to_.close(CloseCode::policy_violation, "does not read its answers");
            return Result::full;
        }
        waiting_.emplace_back(text);
        bytes_ += text.size();
        return Result::queued;
    }
    /// As on_writable.
    void writable() noexcept {
        const std::lock_guard lock(mutex_);
        slow_ = false;
        while (!waiting_.empty() && !slow_) {
            if (pass(waiting_.front()) == Result::full) return;
            bytes_ -= waiting_.front().size();
            waiting_.pop_front();
        }
    }
    /// As on_close: nobody waits for a client that is gone.
    void close() noexcept {
        const std::lock_guard lock(mutex_);
        slow_ = false;
        waiting_.clear();
        bytes_ = 0;
    }

private:
    /// Under the lock.
    Result pass(std::string_view text) noexcept {
        const Result result = to_.send(text);
        if (result == Result::queued || result == Result::full) slow_ = true;
        return result;
    }

    const Connection to_;
    const std::size_t most_;
    std::atomic<bool> slow_{false};
    std::mutex mutex_;  // guards both below, and the order of what slow_ becomes
    std::deque<std::string> waiting_;
    std::size_t bytes_ = 0;  ///< of waiting_
};

}  // namespace websocket::jsonrpc::detail
