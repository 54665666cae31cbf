// SPDX-License-Identifier: Apache-2.0
// An engine that serves recording sessions to peers of the same process.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.hpp"
#include "engine/peer.hpp"
#include "engine/recording_session.hpp"
#include "engine/scripted_transport.hpp"

namespace websocket::test {

using engine::ConnectionOptions;
using engine::Engine;
using engine::SendResult;

class RecordingLog final : public base::Log {
public:
    void write(base::LogLevel /*level*/, std::string_view line) noexcept override {
        const ForTheTest memory;
        lines_.update([&](std::vector<std::string>& lines) { lines.emplace_back(line); });
    }
    /// Waits for a line with this id.
    void await(std::string_view id) {
        lines_.await([&](const auto& lines) { return count(lines, id) > 0; }, "a log line");
    }
    /// True as soon as there are `most` lines with this id; false when there are not in time.
    [[nodiscard]] bool holds(std::string_view id, std::size_t most,
                             std::chrono::milliseconds patience) {
        return lines_.holds([&](const auto& lines) { return count(lines, id) >= most; }, patience);
    }
    [[nodiscard]] std::size_t count(std::string_view id) { return count(lines_.get(), id); }

private:
    static std::size_t count(const std::vector<std::string>& lines, std::string_view id) {
        std::size_t found = 0;
        for (const std::string& line : lines) found += line.starts_with(id) ? 1U : 0U;
        return found;
    }

    Awaited<std::vector<std::string>> lines_;
};

struct Client {
    Peer peer;
    std::shared_ptr<Record> record;
    std::shared_ptr<Script> script;
    ConnectionId id;

    std::vector<std::string> await_messages(std::size_t count) {
        return record
            ->await([=](const Story& story) { return story.messages.size() >= count; }, "messages")
            .messages;
    }
    void await_open() {
        record->await([](const Story& story) { return story.opened; }, "on_open");
    }
    CloseInfo await_close() {
        return record->await([](const Story& story) { return !story.closes.empty(); }, "on_close")
            .closes.front();
    }
    [[nodiscard]] bool closed() { return !record->get().closes.empty(); }
    void expect_closed(std::uint16_t code, bool by_peer) {
        const CloseInfo info = await_close();
        ck_assert_uint_eq(info.code, code);
        ck_assert_int_eq(info.by_peer, by_peer);
    }
};

/// What a connection's record says at the end.
struct Account {
    engine::Traffic traffic;
    engine::Ending ending;
};
using Report = Awaited<std::vector<Account>>;

class ReportingRecord final : public engine::ConnectionRecord {
public:
    ReportingRecord(const engine::RateLimits& rates, std::shared_ptr<Report> report)
        : ConnectionRecord(rates), report_(std::move(report)) {}
    ~ReportingRecord() override {
        const ForTheTest memory;
        report_->update([this](std::vector<Account>& accounts) {
            accounts.push_back({traffic, ending});
        });
    }

private:
    const std::shared_ptr<Report> report_;
};

/// How a client is connected.
struct Wiring {
    int socket_buffer = 0;
    unsigned version = 13;
    std::string early_input = {};
    protocol::DeflateSettings deflate = {};
    std::shared_ptr<Script> script = std::make_shared<Script>();
    std::shared_ptr<Report> report = nullptr;  ///< null: the connection has no record
};

class Service {
public:
    explicit Service(const engine::EngineOptions& how = {}) : engine_(std::in_place, how, log) {
        // Tests that are not about time must not be disturbed by it.
        options.ping_interval = 0ms;
        options.close_timeout = 60s;
    }

    RecordingLog log;
    ConnectionOptions options;  ///< of all connections; not to be changed once there is one

    [[nodiscard]] Engine& engine() { return *engine_; }

    [[nodiscard]] Engine::Place reserve() {
        engine::Refusal why{};
        std::optional<Engine::Place> place = engine_->reserve(why);
        ck_assert_msg(place.has_value(), "no place: %d", static_cast<int>(why));
        return std::move(*place);
    }
    [[nodiscard]] Client connect(Behaviour behaviour = {}, const Wiring& wiring = {}) {
        return connect(reserve(), std::move(behaviour), wiring);
    }
    [[nodiscard]] Client connect(Engine::Place place, Behaviour behaviour = {},
                                 const Wiring& wiring = {}) {
        SocketPair sockets = tcp_pair(wiring.socket_buffer);
        const ConnectionId id = place.id();
        auto record = std::make_shared<Record>();
        if (wiring.report != nullptr) {
            place->attach(std::make_unique<ReportingRecord>(options.rates, wiring.report));
        }
        base::ByteBuffer early;
        early.append(bytes(wiring.early_input));
        place->agree(wiring.deflate);
        engine_->adopt(
            std::move(place),
            std::make_unique<ScriptedTransport>(std::move(sockets.server), wiring.script),
            std::make_unique<RecordingSession>(record, id, std::move(behaviour)), options,
            wiring.version, std::move(early));
        return {Peer(std::move(sockets.client)), std::move(record), wiring.script, id};
    }

    [[nodiscard]] SendResult send(ConnectionId id, std::string_view payload,
                                  Opcode opcode = Opcode::text) {
        return engine_->send(id, opcode, bytes(payload), options.send_buffer);
    }
    bool close(ConnectionId id, std::uint16_t code) {
        return engine_->close(id, protocol::ClosePayload(code, {}));
    }
    /// Sends every message back.
    [[nodiscard]] Behaviour echo() {
        return {.on_message = [this](ConnectionId id, engine::Message message) {
            const auto opcode =
                message.type == protocol::MessageType::text ? Opcode::text : Opcode::binary;
            static_cast<void>(engine_->send(id, opcode, message.payload, options.send_buffer));
            return Flow::more;
        }};
    }

    /// Waits until every place is free again.
    void await_empty() {
        await_quietly([this] { return engine_->connections() == 0; }, "the last connection's end");
    }
    /// Ends the engine: whatever was going to happen has happened.
    void stop() { engine_.reset(); }

private:
    std::optional<Engine> engine_;
};

}  // namespace websocket::test
