// SPDX-License-Identifier: Apache-2.0
// A function of a plugin that is told what is published.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "engine/shared_frame.hpp"
#include "hub/hub.hpp"
#include "plugin/v1/v1_instance.hpp"
#include "websocket/ext/draft/history.h"
#include "websocket/extensions.h"

namespace websocket::plugin {

/// Messages wait here until the instance's thread has time. The instance is not stopped before this is
/// gone, which is when the plugin's done function is called.
class V1Listener final : public hub::TopicListener,
                         public std::enable_shared_from_this<V1Listener> {
public:
    struct Functions {
        std::string_view scope = {};  ///< of the topic; that of the instance without
        ws_topic_message message = nullptr;
        ws_history_message remembered = nullptr;  ///< instead of message: with positions
        ws_call done = nullptr;
        void* data = nullptr;
    };

    /// Throws std::bad_alloc.
    V1Listener(V1Instance& instance, std::string_view topic, const Functions& functions);
    ~V1Listener() override;

    /// [any thread]
    [[nodiscard]] hub::TopicResult begin() noexcept;
    /// No further message is begun. [any thread]
    void end() noexcept;
    /// [any thread]
    void stand_for(std::uint32_t subscribers) noexcept;
    /// It came to nothing: done is not called either.
    void forget() noexcept { functions_.done = nullptr; }

    [[nodiscard]] bool take(const engine::SharedFrame& frame) noexcept override;

private:
    [[nodiscard]] ws_result schedule() noexcept;
    void deliver() noexcept;
    void call(std::uint32_t type, std::span<const std::uint8_t> payload,
              const engine::SharedFrame& frame);

    V1Instance& instance_;
    const std::string scope_;
    const std::string topic_;
    Functions functions_;
    std::atomic<bool> ended_{false};
    std::mutex mutex_;  // guards what follows
    std::deque<engine::SharedFrame> waiting_;
    std::size_t bytes_ = 0;
    bool scheduled_ = false;
};

}  // namespace websocket::plugin
