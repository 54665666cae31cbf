// SPDX-License-Identifier: Apache-2.0
// A session that tells the test what happened to it, and insists on the engine's promises.
#pragma once

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/awaiting.hpp"
#include "engine/session.hpp"
#include "failing_allocator.hpp"
#include "net/transport.hpp"

namespace websocket::test {

using engine::CloseInfo;
using engine::ConnectionId;
using engine::Flow;
using engine::Message;
using net::IoResult;
using net::IoStatus;

/// What a session went through.
struct Story {
    ConnectionId id;
    bool opened = false;
    std::vector<std::string> messages;
    std::vector<CloseInfo> closes;
};
using Record = Awaited<Story>;

/// What the test itself allocates must not fail.
using ForTheTest = FailingAllocator::Nested;

/// What a session does; what is not set does nothing. [loop]
struct Behaviour {
    std::function<void(ConnectionId)> on_open = {};
    std::function<Flow(ConnectionId, engine::Message)> on_message = {};
    std::function<bool(ConnectionId)> drained = {};
    std::function<void(ConnectionId, std::chrono::milliseconds)> on_drain = {};
    std::function<void(ConnectionId)> on_close = {};
};

class RecordingSession final : public engine::Session {
public:
    RecordingSession(std::shared_ptr<Record> record, ConnectionId id, Behaviour behaviour)
        : record_(std::move(record)), behaviour_(std::move(behaviour)), id_(id) {
        record_->update([id](Story& story) { story.id = id; });
    }

    void on_open() noexcept override {
        require(!opened_ && !closed_);
        opened_ = true;
        if (behaviour_.on_open) behaviour_.on_open(id_);
        const ForTheTest memory;
        record_->update([](Story& story) { story.opened = true; });
    }
    Flow on_message(engine::Message message) override {
        require(opened_ && !closed_ && !drained_);
        {
            const ForTheTest memory;
            std::string payload(message.payload.begin(), message.payload.end());
            record_->update([&](Story& story) { story.messages.push_back(std::move(payload)); });
        }
        return behaviour_.on_message ? behaviour_.on_message(id_, message) : Flow::more;
    }
    bool drained() noexcept override {
        require(opened_ && !closed_ && !drained_);
        drained_ = true;
        return behaviour_.drained ? behaviour_.drained(id_) : true;
    }
    void on_drain(std::chrono::milliseconds left) noexcept override {
        require(opened_ && !closed_ && !told_);
        told_ = true;
        if (behaviour_.on_drain) behaviour_.on_drain(id_, left);
    }
    void on_close(const CloseInfo& info) noexcept override {
        require(!closed_);
        closed_ = true;
        const std::unique_ptr<RecordingSession> self(this);
        if (behaviour_.on_close) behaviour_.on_close(id_);
        const ForTheTest memory;
        record_->update([&](Story& story) { story.closes.push_back(info); });
    }

private:
    static void require(bool promise) noexcept {
        if (!promise) std::abort();
    }

    const std::shared_ptr<Record> record_;
    const Behaviour behaviour_;
    const ConnectionId id_;
    bool opened_ = false;
    bool drained_ = false;
    bool told_ = false;
    bool closed_ = false;
};

}  // namespace websocket::test
