// SPDX-License-Identifier: Apache-2.0
// A server with one topic, which has a history, for parts of plugins: it says what was read of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <websocket/history.hpp>
#include <websocket/plugin.hpp>

namespace websocket::test {

class RememberingHost {
public:
    static constexpr std::uint64_t kEpoch = 7;

    RememberingHost() = default;
    RememberingHost(const RememberingHost&) = delete;
    RememberingHost& operator=(const RememberingHost&) = delete;
    ~RememberingHost() = default;

    std::vector<std::string> messages;  ///< all are kept; the first one has the offset 1
    std::vector<std::size_t> reads;     ///< how many messages each reader got that wanted some
    std::function<void()> on_read;      ///< with the next one of them
    std::vector<std::string> calls;     ///< "subscribe", "unsubscribe"

    void run_posted() {
        while (!posted_.empty()) {
            const Call call = posted_.front();
            posted_.pop_front();
            call.run(call.data);
            call.done(call.data);
        }
    }
    [[nodiscard]] std::size_t messages_read() const {
        std::size_t sum = 0;
        for (const std::size_t one : reads) sum += one;
        return sum;
    }

private:
    struct Call {
        ws_call run;
        ws_call done;
        void* data;
    };
    struct Abi {
        ws_host host;
        RememberingHost* self;
    };

    std::deque<Call> posted_;
    Call listener_{};

    static RememberingHost& of(const ws_host* host) {
        return *reinterpret_cast<const Abi*>(host)->self;
    }
    static const void* extension(const ws_host* /*host*/, const char* name) {
        const std::string_view wanted(name);
        if (wanted == WS_TOPIC_1) return topics();
        if (wanted == WS_POST_1) return posts();
        return wanted == WS_HISTORY_DRAFT_1 ? history() : nullptr;
    }
    static ws_result read(const ws_host* host, const void* /*topic*/, std::uint64_t /*n*/,
                          const ws_position* since, std::uint64_t until, std::uint32_t most,
                          ws_history_message message, void* data, ws_position* now,
                          std::uint32_t* recovered) {
        RememberingHost& self = of(host);
        const std::uint64_t top = self.messages.size();
        const std::uint64_t last = std::min(until, top);
        const std::uint64_t behind =
            since != nullptr ? since->offset : last - std::min<std::uint64_t>(most, last);
        *now = {kEpoch, top};
        *recovered = since != nullptr && since->epoch == kEpoch && since->offset <= top ? 1 : 0;
        if (most == 0) return WS_OK;
        if (const auto called = std::exchange(self.on_read, nullptr)) called();
        std::size_t given = 0;
        for (; given < most && behind + given < last; ++given) {
            const std::string& text = self.messages[behind + given];
            const ws_position at{kEpoch, behind + given + 1};
            message(data, WS_TEXT, text.data(), text.size(), &at);
        }
        self.reads.push_back(given);
        return WS_OK;
    }
    static ws_result listen(const ws_host* host, const void* /*topic*/, std::uint64_t /*n*/,
                            ws_history_message /*message*/, ws_call done, void* data,
                            std::uint64_t* listener) {
        of(host).listener_ = {nullptr, done, data};
        *listener = 1;
        return WS_OK;
    }

    static const ws_topic_1* topics() {
        static constexpr ws_topic_1 kTable{
            sizeof(ws_topic_1),
            0,
            [](const ws_host* host, ws_conn, const void*, std::uint64_t) -> ws_result {
                of(host).calls.emplace_back("subscribe");
                return WS_OK;
            },
            [](const ws_host* host, ws_conn, const void*, std::uint64_t) -> ws_result {
                of(host).calls.emplace_back("unsubscribe");
                return WS_OK;
            },
            nullptr,
            nullptr,
            [](const ws_host* host, std::uint64_t) {
                of(host).listener_.done(of(host).listener_.data);
            },
            nullptr,
            [](const ws_host*, std::uint64_t, std::uint32_t) {}};
        return &kTable;
    }
    static const ws_post_1* posts() {
        static constexpr ws_post_1 kTable{
            sizeof(ws_post_1), 0,
            [](const ws_host* host, ws_conn, ws_call run, ws_call done, void* data) -> ws_result {
                of(host).posted_.push_back({run, done, data});
                return WS_OK;
            }};
        return &kTable;
    }
    static const ws_history_draft_1* history() {
        static constexpr ws_history_draft_1 kTable{
            sizeof(ws_history_draft_1),
            0,
            [](const ws_host*, const void*, std::uint64_t) -> std::uint32_t { return 1; },
            nullptr,
            nullptr,
            read,
            listen};
        return &kTable;
    }

    const Abi abi_{{.size = sizeof(ws_host),
                    .minor = WS_ABI_MINOR,
                    .name = "remembering",
                    .version = "1",
                    .send = nullptr,
                    .close = nullptr,
                    .queued = nullptr,
                    .log = nullptr,
                    .extension = extension},
                   this};

public:
    const Server server{&abi_.host};
};

}  // namespace websocket::test
