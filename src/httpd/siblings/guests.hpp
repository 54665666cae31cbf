// SPDX-License-Identifier: Apache-2.0
// Threads that serve clients of siblings as httpd's workers serve those that they have accepted themselves.
#pragma once

#include <httpd.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "base/descriptor.hpp"
#include "httpd/siblings/arrival.hpp"

namespace websocket::httpd {

/// Not with prefork, whose modules need not be fit for a second thread. Its threads begin with the first client
/// and stay.
class Guests {
public:
    /// At most so many threads.
    explicit Guests(std::uint32_t most) noexcept : most_(most) {}
    Guests(const Guests&) = delete;
    Guests& operator=(const Guests&) = delete;

    /// Whether a client would be served at once. [doorkeeper]
    [[nodiscard]] bool has_free_thread() noexcept;
    /// A connection of which nobody has read, and its place in the engine, if it has one.
    struct Guest {
        base::Descriptor socket;
        std::optional<Arrival::Place> place;
    };
    /// Serves it. It is closed when there is no thread or memory. [doorkeeper]
    void serve(Guest guest) noexcept;

    /// True on one of the threads. [any thread]
    [[nodiscard]] static bool is_guest() noexcept { return current != nullptr; }

    /// The request that this thread has served, if it is one of these, is over. [httpd]
    static void end_request(const conn_rec* c) noexcept;

    /// Closes the connections that wait for another request. httpd closes those on which one has begun when that is
    /// answered, since the MPM has been told to stop. [any thread]
    void begin_drain() noexcept;
    /// Whether a client is served, or waits for a thread. [any thread]
    [[nodiscard]] bool busy() noexcept;
    /// Ends the connections that are still httpd's. [any thread]
    void begin_stop() noexcept;
    /// No thread will serve any more. Async-signal-safe. [any thread]
    [[nodiscard]] bool stopped() const noexcept { return running_.load() == 0; }

private:
    struct Thread {
        Guests* owner;
        long connection_id;
        base::Descriptor held;                 // a duplicate: httpd may close its own at any moment
        std::optional<std::uint64_t> idle_at;  // bytes that had come when a request was over
    };

    static thread_local Thread* current;

    static void* APR_THREAD_FUNC run(apr_thread_t* thread, void* data);
    void run(apr_thread_t* thread, Thread& self);
    [[nodiscard]] bool start_thread() noexcept;

    const std::uint32_t most_;
    std::atomic<std::uint32_t> running_{0};

    std::mutex mutex_;  // guards the rest
    std::condition_variable changed_;
    std::deque<Guest> waiting_;
    std::deque<Thread> threads_;
    std::uint32_t idle_ = 0;
    std::uint32_t clients_ = 0;  // those that wait included
    bool stopping_ = false;
};

}  // namespace websocket::httpd
