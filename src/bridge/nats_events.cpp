// SPDX-License-Identifier: Apache-2.0
#include "bridge/nats_events.hpp"

#include <new>
#include <utility>
#include <vector>

namespace websocket::bridge {

namespace {

/// Memory that a message takes besides its bytes.
constexpr std::size_t kCost = 256;

}  // namespace

NatsEvents& NatsEvents::make(std::size_t most) {
    static std::atomic<NatsEvents*> last{nullptr};  // so that none is taken for a leak
    auto made = std::unique_ptr<NatsEvents>(new NatsEvents(most));
    made->earlier_ = last.load();
    while (!last.compare_exchange_weak(made->earlier_, made.get())) {
    }
    return *made.release();
}

void NatsEvents::post(NatsEvent event) noexcept {
    try {
        static_cast<void>(events_.post(std::move(event)));
    } catch (const std::bad_alloc&) {
        lost_.store(true);
        wake_.wake();
    }
}

void NatsEvents::post(NatsMessage message) noexcept {
    const auto size = static_cast<std::size_t>(::natsMsg_GetDataLength(message.get()));
    try {
        if (messages_.post(std::move(message), size + kCost) != net::Posted::full) {
            return;
        }
    } catch (const std::bad_alloc&) {
    }
    note_missed();
}

void NatsEvents::note_missed() noexcept {
    missed_.store(true);
    wake_.wake();
}

void NatsEvents::close() noexcept {
    events_.close();
    messages_.close();
    std::vector<NatsMessage> rest;
    messages_.take(rest);
}

}  // namespace websocket::bridge
