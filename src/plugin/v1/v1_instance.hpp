// SPDX-License-Identifier: Apache-2.0
// A plugin of ABI version 1 at work in one location of one child process.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>

#include "hub/topic_table.hpp"
#include "plugin/common/endpoint.hpp"
#include "plugin/common/outgoing_text.hpp"
#include "plugin/common/pool.hpp"
#include "plugin/v1/call_queue.hpp"
#include "plugin/v1/v1_call.hpp"
#include "websocket/plugin.h"

namespace websocket::plugin {

class V1Listener;

/// Never freed. The plugin is stopped when end() was called and whatever has called enter() has
/// called leave().
class V1Instance {
public:
    /// `endpoint` has a plugin of version 1. Throws std::bad_alloc.
    V1Instance(Host& host, const Endpoint& endpoint);
    V1Instance(const V1Instance&) = delete;
    V1Instance& operator=(const V1Instance&) = delete;

    [[nodiscard]] const Endpoint& endpoint() const noexcept { return endpoint_; }
    [[nodiscard]] const ws_plugin& plugin() const noexcept { return *endpoint_.v1; }
    [[nodiscard]] void* self() const noexcept { return self_; }
    [[nodiscard]] Host& host() const noexcept { return host_; }
    [[nodiscard]] const ws_host* abi() const noexcept { return &table_.abi; }
    [[nodiscard]] static V1Instance& of(const ws_host* host) noexcept {
        return *reinterpret_cast<const Table*>(host)->instance;
    }
    /// Callbacks run on loops, else in the pool.
    [[nodiscard]] bool never_blocks() const noexcept {
        return (plugin().flags & WS_NEVER_BLOCKS) != 0;
    }
    /// Some callback gets it.
    [[nodiscard]] bool asks_for_request() const noexcept {
        return plugin().on_upgrade != nullptr || keeps_request();
    }
    [[nodiscard]] bool keeps_request() const noexcept {
        return (plugin().flags & WS_KEEP_REQUEST) != 0;
    }

    /// Calls the plugin's start, unless it has succeeded before. False when it fails, and the error log
    /// says so; when one has failed that this waited for; or after end(). [httpd worker]
    [[nodiscard]] bool start() noexcept;
    /// No connection and no loop is left: stops the plugin as soon as nothing of it runs.
    /// [any thread]
    void end() noexcept;
    /// Calls the plugin's on_drain, once, if it has started. [any thread]
    void drain(std::chrono::milliseconds deadline) noexcept;
    /// The process does not end in a drain before all of this is released. [any thread]
    void hold_drain() noexcept;
    void release_drain() noexcept;

    /// Something of the instance lives, which it cannot be stopped under. [any thread]
    void enter() noexcept { users_.fetch_add(1); }
    /// The same for who does not know. False when it has not, or has been ended.
    [[nodiscard]] bool try_enter() noexcept;
    void leave() noexcept;

    // Calls that can be cancelled, by number. [any thread]
    [[nodiscard]] std::uint64_t next_number(engine::ConnectionId owner) noexcept;
    /// The loop that a number was made for.
    [[nodiscard]] static engine::ConnectionId loop_of(std::uint64_t number) noexcept;
    void remember(V1Call& call);
    void forget(const V1Call& call) noexcept;
    /// False when the call has ended, or is another instance's.
    [[nodiscard]] bool cancel(std::uint64_t number) noexcept;

    /// Where what belongs to no connection runs.
    [[nodiscard]] engine::ConnectionId home() const noexcept { return home_; }
    /// Runs a call that belongs to no connection: now, or in the pool. [home loop]
    void call(const V1Call::Ref& call, std::uint32_t events) noexcept;

    /// Logs the exception that is being handled and closes `connection`, if any, with 1011.
    /// [any thread]
    void report_exception(const char* where, engine::ConnectionId connection) noexcept;

    /// Before topics are used for the first time.
    void note_topics() noexcept { uses_topics_.store(true, std::memory_order_relaxed); }
    [[nodiscard]] bool uses_topics() const noexcept {
        return uses_topics_.load(std::memory_order_relaxed);
    }
    /// Of its topics; the hub's.
    [[nodiscard]] hub::TopicQuota& topic_quota() noexcept { return topic_quota_; }

    /// Of its connections. [any thread]
    [[nodiscard]] OutgoingTexts& outgoing_texts() noexcept { return outgoing_texts_; }

    // Listeners of topics, by number. [any thread]
    /// False when the instance is ending. Throws std::bad_alloc.
    [[nodiscard]] bool add_listener(std::uint64_t number, std::shared_ptr<V1Listener> listener);
    [[nodiscard]] std::shared_ptr<V1Listener> find_listener(std::uint64_t number) noexcept;
    void end_listener(std::uint64_t number) noexcept;

private:
    using Listeners = std::unordered_map<std::uint64_t, std::shared_ptr<V1Listener>>;

    class Stopping final : public PoolTask {
    public:
        explicit Stopping(V1Instance& instance) noexcept : instance_(instance) {}
        void run() noexcept override { instance_.stop(); }

    private:
        V1Instance& instance_;
    };

    /// Once: who comes after that, while stop() runs, ends nothing.
    [[nodiscard]] bool leaves_last() noexcept {
        return users_.fetch_sub(1) == 1 && !stop_begun_.exchange(true);
    }
    [[nodiscard]] bool try_start() noexcept;
    void stop() noexcept;
    void end_listeners(bool for_good) noexcept;
    void resign() noexcept;  // whatever it leads
    [[nodiscard]] std::string wrong_options() const noexcept;

    struct Table {
        ws_host abi;
        V1Instance* instance;
    };

    Host& host_;
    const Endpoint& endpoint_;
    Table table_;
    void* self_ = nullptr;
    engine::ConnectionId home_;
    CallQueue queue_;
    std::mutex start_mutex_;  // guards the next four; others may read the first two without it
    std::atomic<bool> started_{false};
    std::atomic<std::uint32_t> failed_starts_{0};
    bool ended_ = false;
    bool told_of_drain_ = false;
    std::atomic<bool> uses_topics_{false};
    hub::TopicQuota topic_quota_;
    OutgoingTexts outgoing_texts_;
    std::atomic<std::uint32_t> users_{1};  // one until end()
    std::atomic<bool> stop_begun_{false};
    Stopping stopping_{*this};
    std::atomic<std::uint32_t> held_{0};  ///< of Host::drain_holds
    std::mutex calls_mutex_;              // guards calls_
    std::unordered_map<std::uint64_t, V1Call*> calls_;
    std::mutex listeners_mutex_;  // guards listeners_ and takes_listeners_
    Listeners listeners_;
    bool takes_listeners_ = true;
};

/// What the plugin says is wrong with the options; empty when nothing is. Throws std::bad_alloc.
/// [config] or [httpd worker]
[[nodiscard]] std::string objection_to(const ws_plugin& plugin, std::span<const ws_option> options);

}  // namespace websocket::plugin
