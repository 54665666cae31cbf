// SPDX-License-Identifier: Apache-2.0
// ws.gap/draft1
#include "websocket/ext/draft/gap.h"

#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "hub/gap.hpp"
#include "plugin/v1/v1_host.hpp"
#include "plugin/v1/v1_topic.hpp"

namespace websocket::plugin {

namespace {

static_assert(WS_GAP_RECONNECTED == static_cast<std::uint32_t>(hub::GapReason::reconnected));
static_assert(WS_GAP_HOLE == static_cast<std::uint32_t>(hub::GapReason::hole));
static_assert(WS_GAP_HOST_DROPPED == static_cast<std::uint32_t>(hub::GapReason::host_dropped));
static_assert(WS_GAP_BUSY == static_cast<std::uint32_t>(hub::GapReason::busy));

/// What a plugin wants to know of; the listener of the hub's gaps has it.
class GapWatch {
public:
    GapWatch(std::string_view topic, ws_gap gap, ws_call done, void* data)
        : topic_(topic), gap_(gap), done_(done), data_(data) {}
    GapWatch(const GapWatch&) = delete;
    GapWatch& operator=(const GapWatch&) = delete;
    ~GapWatch() {
        if (done_ != nullptr) {
            done_(data_);
        }
    }
    /// It came to nothing.
    void forget() noexcept { done_ = nullptr; }

    /// See hub::Hub::gap_scope().
    static void take(void* watch, std::uint32_t /*type*/, const void* bytes, std::uint64_t n) {
        const std::string_view message(static_cast<const char*>(bytes),
                                       static_cast<std::size_t>(n));
        static_cast<GapWatch*>(watch)->tell(static_cast<unsigned char>(message.front()),
                                            message.substr(1));
    }
    static void end(void* watch) {
        const std::unique_ptr<GapWatch> last(static_cast<GapWatch*>(watch));
    }

private:
    void tell(std::uint32_t why, std::string_view topic) const {
        if (topic.empty() || topic_.empty() || topic == topic_) {
            gap_(data_, topic.empty() ? nullptr : topic.data(), topic.size(), why);
        }
    }

    const std::string topic_;  // empty for all
    const ws_gap gap_;
    ws_call done_;
    void* const data_;
};

ws_result watch(const ws_host* host, const void* topic, uint64_t n, ws_gap gap, ws_call done,
                void* data, uint64_t* listener) {
    const bool all = topic == nullptr && n == 0;
    if (host == nullptr || (!all && !is_topic(topic, n)) || gap == nullptr || listener == nullptr) {
        return WS_BAD_ARG;
    }
    V1Instance& instance = V1Instance::of(host);
    try {
        auto made = std::make_unique<GapWatch>(all ? std::string_view() : topic_name(topic, n), gap,
                                               done, data);
        const std::string scope = hub::Hub::gap_scope(instance.endpoint().topics.scope);
        const ws_result result = listen(
            instance, hub::Hub::gap_topic(),
            {.scope = scope, .message = GapWatch::take, .done = GapWatch::end, .data = made.get()},
            *listener);
        if (result != WS_OK) {
            made->forget();
            return result;
        }
        static_cast<void>(made.release());
        return WS_OK;
    } catch (const std::bad_alloc&) {
        return WS_NO_MEMORY;
    }
}

}  // namespace

const void* gap_extension() noexcept {
    static constexpr ws_gap_draft_1 kTable{sizeof(ws_gap_draft_1), 0, watch};
    return &kTable;
}

}  // namespace websocket::plugin
