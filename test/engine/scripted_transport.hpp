// SPDX-License-Identifier: Apache-2.0
// A socket that misbehaves on command, and counts.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "failing_allocator.hpp"
#include "net/any_transport.hpp"

namespace websocket::test {

/// Shared between the test and the transport, which the loop owns.
class Script {
public:
    static constexpr std::size_t kAll = SIZE_MAX;

    /// What happens instead of call number `call`, from 0; nothing happens otherwise. [any thread]
    using Decide = std::function<net::IoResult(std::size_t call)>;

    /// A result of kGoOn lets the call happen, with at most `count` bytes.
    static constexpr auto kGoOn = net::IoStatus::done;
    static constexpr net::IoResult kNormally{kGoOn, kAll};

    void on_read(Decide decide) { set(reads_, std::move(decide)); }
    void on_write(Decide decide) { set(writes_, std::move(decide)); }

    /// Read or write number `index` gives `status`, all others work.
    static Decide only(std::size_t index, net::IoStatus status) {
        return [=](std::size_t call) { return call == index ? net::IoResult{status} : kNormally; };
    }

    /// Nobody is told when there is something to read, or room to write: as if so many other
    /// descriptors were ready that the turn of this one never came. Before the first poll.
    void hide_readiness() { hidden_.store(true); }

    /// What delivery() answers; before the connection is served.
    void on_delivery(std::function<net::Delivery(std::size_t call)> answer) {
        delivery_ = std::move(answer);
    }

    [[nodiscard]] std::size_t reads() { return count(reads_); }
    [[nodiscard]] std::size_t writes() { return count(writes_); }
    /// How many bytes each write was asked to take.
    [[nodiscard]] std::vector<std::size_t> offered() {
        const std::lock_guard lock(mutex_);
        return offered_;
    }

private:
    friend class ScriptedTransport;
    struct Calls {
        Decide decide;
        std::size_t count = 0;
    };
    void set(Calls& calls, Decide decide) {
        const std::lock_guard lock(mutex_);
        calls.decide = std::move(decide);
    }
    std::size_t count(const Calls& calls) {
        const std::lock_guard lock(mutex_);
        return calls.count;
    }
    net::IoResult next(Calls& calls) {
        const std::lock_guard lock(mutex_);
        const std::size_t call = calls.count++;
        return calls.decide ? calls.decide(call) : kNormally;
    }

    std::atomic<bool> hidden_{false};
    std::function<net::Delivery(std::size_t call)> delivery_;
    std::size_t delivery_calls_ = 0;
    std::mutex mutex_;  // guards what follows
    Calls reads_;
    Calls writes_;
    std::vector<std::size_t> offered_;
};

class ScriptedTransport final : public net::Transport {
public:
    ScriptedTransport(net::AnyTransport real, std::shared_ptr<Script> script)
        : real_(std::move(real)), script_(std::move(script)) {}

    net::IoResult read(std::span<std::uint8_t> into) noexcept override {
        const net::IoResult what = script_->next(script_->reads_);
        if (what.status != Script::kGoOn) return what;
        return real_.read(into.first(std::min(into.size(), what.count)));
    }
    net::IoResult write(std::span<const iovec> from) noexcept override {
        std::size_t total = 0;
        for (const iovec& part : from) total += part.iov_len;
        {
            const FailingAllocator::Nested memory;
            const std::lock_guard lock(script_->mutex_);
            script_->offered_.push_back(total);
        }
        const net::IoResult what = script_->next(script_->writes_);
        if (what.status != Script::kGoOn) return what;
        return what.count >= total ? real_.write(from) : write_some(from, what.count);
    }
    bool shutdown_write() noexcept override { return real_.shutdown_write(); }
    [[nodiscard]] int descriptor() const noexcept override { return real_.descriptor(); }
    [[nodiscard]] net::Delivery delivery() const noexcept override {
        return script_->delivery_ ? script_->delivery_(script_->delivery_calls_++)
                                  : real_.delivery();
    }
    [[nodiscard]] bool pending() const noexcept override { return real_.pending(); }
    [[nodiscard]] std::uint32_t poll_events(bool read, bool write) const noexcept override {
        return script_->hidden_ ? 0 : real_.poll_events(read, write);
    }

private:
    net::IoResult write_some(std::span<const iovec> from, std::size_t room) noexcept {
        const FailingAllocator::Nested memory;
        std::vector<iovec> parts;
        for (iovec part : from) {
            part.iov_len = std::min(part.iov_len, room);
            room -= part.iov_len;
            if (part.iov_len > 0) parts.push_back(part);
        }
        return real_.write(parts);
    }

    net::AnyTransport real_;
    const std::shared_ptr<Script> script_;
};

}  // namespace websocket::test
