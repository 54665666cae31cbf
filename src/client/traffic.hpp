// SPDX-License-Identifier: Apache-2.0
// What threads share of a client: its state, and how much waits.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "websocket/jsonrpc/client_errors.hpp"
#include "websocket/jsonrpc_client.hpp"

namespace websocket::client {

/// [any thread]
class Traffic {
public:
    struct Limits {
        std::size_t pending;
        std::size_t queued;
        std::size_t bytes;
    };
    explicit Traffic(const Limits& limits) noexcept : limits_(limits) {}

    /// Makes room for a message, and for an answer to it if it is a request. Throws jsonrpc::ClosedError,
    /// jsonrpc::QueueFullError, std::bad_alloc.
    void accept(std::size_t size, bool request) {
        const std::lock_guard lock(mutex_);
        if (closed_) {
            throw jsonrpc::ClosedError(why_closed_);
        }
        if (request && pending_ >= limits_.pending) {
            throw jsonrpc::QueueFullError(
                std::to_string(pending_) +
                " requests wait for an answer; that is max_pending_requests");
        }
        check_room(size);
        if (state_ != jsonrpc::ClientState::connected && queued_ >= limits_.queued) {
            throw jsonrpc::QueueFullError(
                std::to_string(queued_) +
                " messages wait for a connection; that is max_queued_messages");
        }
        waiting_ += size;
        ++queued_;
        pending_ += request ? 1 : 0;
    }
    /// For an answer, which is let in whatever the state. Throws jsonrpc::QueueFullError, std::bad_alloc.
    void accept_answer(std::size_t size) {
        const std::lock_guard lock(mutex_);
        check_room(size);
        waiting_ += size;
        ++queued_;
    }
    /// One that has been let in before, and waits again.
    void accept_again(std::size_t size) noexcept {
        const std::lock_guard lock(mutex_);
        waiting_ += size;
        ++queued_;
    }
    /// It does not wait here any more.
    void gone(std::size_t size) noexcept {
        const std::lock_guard lock(mutex_);
        waiting_ -= size;
        --queued_;
    }
    void answered() noexcept {
        const std::lock_guard lock(mutex_);
        --pending_;
    }
    /// Bytes that the connection has and the system has not.
    void set_unsent(std::size_t size) noexcept {
        const std::lock_guard lock(mutex_);
        unsent_ = size;
    }
    void check_open() const {
        const std::lock_guard lock(mutex_);
        if (closed_) {
            throw jsonrpc::ClosedError(why_closed_);
        }
    }
    /// Nothing is let in any more. The first reason counts.
    void close(const std::string& why) {
        const std::lock_guard lock(mutex_);
        if (!std::exchange(closed_, true)) {
            why_closed_ = why;
        }
    }
    void set_state(jsonrpc::ClientState state) noexcept {
        const std::lock_guard lock(mutex_);
        state_ = state;
    }
    void set_session(std::optional<std::string> id) {
        const std::lock_guard lock(mutex_);
        session_ = std::move(id);
    }

    [[nodiscard]] jsonrpc::ClientState state() const noexcept { return read(state_); }
    [[nodiscard]] std::optional<std::string> session() const { return read(session_); }
    [[nodiscard]] std::size_t pending() const noexcept { return read(pending_); }
    [[nodiscard]] std::size_t queued() const noexcept { return read(queued_); }

private:
    template <class T>
    [[nodiscard]] T read(const T& member) const {
        const std::lock_guard lock(mutex_);
        return member;
    }
    void check_room(std::size_t size) const {
        const std::size_t before = waiting_ + unsent_;
        if (before > limits_.bytes || size > limits_.bytes - before) {
            throw jsonrpc::QueueFullError(
                std::to_string(before) + " bytes wait already, and " + std::to_string(size) +
                " more are too much: ws.max_buffered_bytes is " + std::to_string(limits_.bytes));
        }
    }

    const Limits limits_;
    mutable std::mutex mutex_;  // guards what follows
    bool closed_ = false;
    std::string why_closed_;
    jsonrpc::ClientState state_ = jsonrpc::ClientState::connecting;
    std::optional<std::string> session_;
    std::size_t pending_ = 0;  ///< requests without an answer
    std::size_t queued_ = 0;   ///< messages that the connection has not got yet
    std::size_t waiting_ = 0;  ///< their bytes
    std::size_t unsent_ = 0;
};

}  // namespace websocket::client
