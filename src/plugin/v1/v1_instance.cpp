// SPDX-License-Identifier: Apache-2.0
#include "plugin/v1/v1_instance.hpp"

#include <array>
#include <chrono>
#include <exception>
#include <new>
#include <utility>

#include "hub/leaders.hpp"
#include "plugin/v1/v1_host.hpp"
#include "plugin/v1/v1_listener.hpp"

namespace websocket::plugin {

namespace {

/// A number has the loop in its upper bits, plus one, so that it is never 0.
constexpr unsigned kCountBits = 48;

}  // namespace

std::string objection_to(const ws_plugin& plugin, std::span<const ws_option> options) {
    if (plugin.check == nullptr) {
        return {};
    }
    std::array<char, 512> error{};
    int32_t result = 0;
    try {
        result = plugin.check(options.data(), options.size(), error.data(), error.size());
    } catch (...) {
        return "the plugin threw when it checked its options";
    }
    error.back() = '\0';
    if (result == 0) {
        return {};
    }
    return error.front() != '\0' ? error.data() : "the plugin does not like its options";
}

V1Instance::V1Instance(Host& host, const Endpoint& endpoint)
    : host_(host), endpoint_(endpoint), table_{make_v1_host(), this},
      queue_(host, endpoint), topic_quota_{endpoint.topics.max_topics,
                                           endpoint.topics.max_subscriptions} {}

std::string V1Instance::wrong_options() const noexcept {
    try {
        const std::string why = objection_to(plugin(), endpoint_.plugin_options.all());
        return why.empty()
                   ? why
                   : std::string("WS0415: plugin \"") + plugin().name + "\" does not start: " + why;
    } catch (const std::bad_alloc&) {
        return {};  // start will need memory as well
    }
}

bool V1Instance::start() noexcept {
    if (started_.load(std::memory_order_acquire)) {
        return true;
    }
    const std::uint32_t failed_before = failed_starts_.load();
    const std::lock_guard lock(start_mutex_);
    if (started_ || ended_) {
        return started_;
    }
    // A start that is slow to fail holds up whoever waits for it once, instead of each one for as long again.
    if (failed_starts_ != failed_before) {
        return false;
    }
    started_ = try_start();
    if (!started_) {
        ++failed_starts_;
    }
    return started_;
}

bool V1Instance::try_start() noexcept {
    // Those of sections without a WebSocketHandler of their own are known since now only.
    if (const std::string why = wrong_options(); !why.empty()) {
        host_.log.write(base::LogLevel::error, why);
        return false;
    }
    home_ = host_.engine.some_loop();
    host_.sessions.fetch_add(1);
    const std::span<const ws_option> options = endpoint_.plugin_options.all();
    ws_result result = WS_OK;
    try {
        if (plugin().start != nullptr) {
            result = plugin().start(abi(), options.data(), options.size(), &self_);
        }
    } catch (...) {
        report_exception("start", {});
        result = WS_BAD_ARG;
    }
    if (result != WS_OK) {
        host_.log.print(base::LogLevel::error, "WS0411: plugin \"%s\" did not start (result %d)",
                        plugin().name, static_cast<int>(result));
        end_listeners(false);
        resign();
        host_.sessions.fetch_sub(1);
    }
    return result == WS_OK;
}

void V1Instance::end() noexcept {
    {
        const std::lock_guard lock(start_mutex_);
        if (std::exchange(ended_, true) || !started_) {
            return;
        }
    }
    end_listeners(true);
    if (leaves_last()) {
        stop();
    }
}

bool V1Instance::try_enter() noexcept {
    const std::lock_guard lock(start_mutex_);
    if (!started_ || ended_) {
        return false;
    }
    enter();
    return true;
}

bool V1Instance::add_listener(std::uint64_t number, std::shared_ptr<V1Listener> listener) {
    const std::lock_guard lock(listeners_mutex_);
    return takes_listeners_ && listeners_.emplace(number, std::move(listener)).second;
}

std::shared_ptr<V1Listener> V1Instance::find_listener(std::uint64_t number) noexcept {
    const std::lock_guard lock(listeners_mutex_);
    const auto found = listeners_.find(number);
    return found != listeners_.end() ? found->second : nullptr;
}

void V1Instance::end_listener(std::uint64_t number) noexcept {
    Listeners::node_type listener;
    {
        const std::lock_guard lock(listeners_mutex_);
        listener = listeners_.extract(number);
    }
    if (!listener.empty()) {
        listener.mapped()->end();
    }
}

void V1Instance::end_listeners(bool for_good) noexcept {
    Listeners listeners;
    {
        const std::lock_guard lock(listeners_mutex_);
        takes_listeners_ = !for_good;
        listeners.swap(listeners_);
    }
    for (const auto& [number, listener] : listeners) {
        listener->end();
    }
}

void V1Instance::drain(std::chrono::milliseconds deadline) noexcept {
    {
        const std::lock_guard lock(start_mutex_);
        if (!started_ || ended_ || told_of_drain_ || plugin().on_drain == nullptr) {
            return;
        }
        told_of_drain_ = true;
        enter();
    }
    try {
        plugin().on_drain(self_, static_cast<std::uint64_t>(deadline.count()));
    } catch (...) {
        report_exception("on_drain", {});
    }
    leave();
}

void V1Instance::hold_drain() noexcept {
    host_.drain_holds.fetch_add(1);
    held_.fetch_add(1);
}

void V1Instance::release_drain() noexcept {
    std::uint32_t held = held_.load();
    while (held != 0 && !held_.compare_exchange_weak(held, held - 1)) {
    }
    if (held != 0) {
        host_.drain_holds.fetch_sub(1);
    }
}

/// The last one may be a thread of the plugin, which stop() joins: so it runs elsewhere. And while it runs, threads of
/// the plugin may come and go.
void V1Instance::leave() noexcept {
    if (leaves_last() && host_.pool.ready()) {
        host_.pool.submit(stopping_);
    }
}

void V1Instance::stop() noexcept {
    if (plugin().stop != nullptr) {
        try {
            plugin().stop(self_);
        } catch (...) {
            report_exception("stop", {});
        }
    }
    resign();
    host_.drain_holds.fetch_sub(held_.exchange(0));
    host_.sessions.fetch_sub(1);
}

void V1Instance::resign() noexcept {
    if (host_.leaders != nullptr) {
        host_.leaders->resign_all(this);
    }
}

std::uint64_t V1Instance::next_number(engine::ConnectionId owner) noexcept {
    const engine::ConnectionId loop = owner.generation() != 0 ? owner : home_;
    return (std::uint64_t{loop.loop()} + 1) << kCountBits | (host_.numbers.fetch_add(1) + 1);
}

engine::ConnectionId V1Instance::loop_of(std::uint64_t number) noexcept {
    return {static_cast<std::uint32_t>(number >> kCountBits) - 1, 0, 0};
}

void V1Instance::remember(V1Call& call) {
    const std::lock_guard lock(calls_mutex_);
    calls_.emplace(call.number(), &call);
}

void V1Instance::forget(const V1Call& call) noexcept {
    const std::lock_guard lock(calls_mutex_);
    calls_.erase(call.number());
}

bool V1Instance::cancel(std::uint64_t number) noexcept {
    const std::lock_guard lock(calls_mutex_);
    const auto found = calls_.find(number);
    if (found == calls_.end()) {
        return false;
    }
    found->second->cancel();
    return true;
}

void V1Instance::call(const V1Call::Ref& call, std::uint32_t events) noexcept {
    if (never_blocks()) {
        call->run(events);
    } else {
        queue_.push(call, events);
    }
}

void V1Instance::report_exception(const char* where, engine::ConnectionId connection) noexcept {
    const base::ExceptionText exception;
    host_.log.print(base::LogLevel::error, "WS0412: plugin \"%s\" threw in %s%s%s", plugin().name,
                    where, exception.separator, exception.text);
    if (connection.generation() != 0) {
        host_.engine.close(connection, protocol::ClosePayload(protocol::CloseCode::internal_error,
                                                              "plugin failed"));
    }
}

}  // namespace websocket::plugin
