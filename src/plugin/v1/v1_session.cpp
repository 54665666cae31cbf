// SPDX-License-Identifier: Apache-2.0
#include "plugin/v1/v1_session.hpp"

#include <new>
#include <utility>

#include "hub/hub.hpp"
#include "hub/presence.hpp"
#include "plugin/common/thread_tag.hpp"
#include "plugin/v1/v1_pool_session.hpp"

namespace websocket::plugin {

using protocol::MessageType;

namespace {

constexpr std::uint32_t abi_type(MessageType type) {
    return type == MessageType::text ? WS_TEXT : WS_BINARY;
}

std::uint8_t* address_of(std::span<std::uint8_t> payload) {
    static std::uint8_t nothing = 0;  // an empty payload has an address, too
    return payload.empty() ? &nothing : payload.data();
}

}  // namespace

V1Session::V1Session(V1Instance& instance, engine::ConnectionId id) noexcept
    : instance_(instance), id_(id) {
    instance_.host().sessions.fetch_add(1);
    instance_.enter();
}

V1Session::~V1Session() {
    extra_.reset();
    Host& host = instance_.host();
    instance_.leave();
    host.sessions.fetch_sub(1);
}

std::unique_ptr<V1Session> V1Session::make(V1Instance& instance, engine::ConnectionId id) {
    if (instance.never_blocks()) {
        return std::make_unique<V1Session>(instance, id);
    }
    return std::make_unique<V1PoolSession>(instance, id);
}

std::uint32_t V1Session::upgrade(std::unique_ptr<Request>& request) {
    constexpr std::uint32_t kInternalError = 500;
    if (instance_.keeps_request()) {
        extra_ = std::make_unique<Extra>();
    }
    const ws_plugin& plugin = instance_.plugin();
    std::uint32_t status = 0;
    try {
        if (plugin.on_upgrade != nullptr) {
            status =
                plugin.on_upgrade(instance_.self(), reinterpret_cast<ws_request*>(request.get()),
                                  id_.value(), &state_);
        }
    } catch (...) {
        instance_.report_exception("on_upgrade", {});
        return kInternalError;
    }
    if (status == 0 && extra_ != nullptr) {
        extra_->request = std::move(request);
    }
    return status == 0 || (status >= 300 && status <= 599) ? status : kInternalError;
}

// --- from the engine -----------------------------------------------------------------------------

void V1Session::on_open() noexcept { call_on_open(); }

engine::Flow V1Session::on_message(engine::Message message) {
    call_on_message(message.type, message.payload);
    return engine::Flow::more;
}

engine::Flow V1Session::on_part(engine::MessagePart part) {
    call_on_fragment(part);
    return engine::Flow::more;
}

engine::Flow V1Session::on_pong(std::span<const std::uint8_t> payload) {
    call_on_pong(payload);
    return engine::Flow::more;
}

void V1Session::on_writable() { call_on_writable(); }

void V1Session::on_close_reason(std::string_view reason) noexcept {
    try {
        if (extra_ == nullptr) {
            extra_ = std::make_unique<Extra>();
        }
        extra_->close_reason = reason;
    } catch (const std::bad_alloc&) {
        return;  // the plugin will not know it
    }
}

void V1Session::on_close(const engine::CloseInfo& info) noexcept {
    call_on_close(info);
    delete this;
}

void V1Session::call(const V1Call::Ref& call, std::uint32_t events) noexcept { call->run(events); }

// --- to the plugin -------------------------------------------------------------------------------

void V1Session::call_on_open() noexcept {
    expect_thread(instance_.never_blocks());
    if (instance_.plugin().on_open == nullptr) {
        return;
    }
    try {
        instance_.plugin().on_open(instance_.self(), state_, id_.value());
    } catch (...) {
        report("on_open");
    }
}

void V1Session::call_on_message(MessageType type, std::span<std::uint8_t> payload) {
    expect_thread(instance_.never_blocks());
    instance_.plugin().on_message(instance_.self(), state_, id_.value(), abi_type(type),
                                  address_of(payload), payload.size());
}

void V1Session::call_on_fragment(const engine::MessagePart& part) {
    expect_thread(instance_.never_blocks());
    const std::uint32_t which = (part.first ? WS_FIRST : 0) | (part.last ? WS_LAST : 0);
    instance_.plugin().on_fragment(instance_.self(), state_, id_.value(), abi_type(part.type),
                                   which, address_of(part.payload), part.payload.size());
}

void V1Session::call_on_pong(std::span<const std::uint8_t> payload) {
    expect_thread(instance_.never_blocks());
    if (instance_.plugin().on_pong != nullptr) {
        instance_.plugin().on_pong(instance_.self(), state_, id_.value(), payload.data(),
                                   payload.size());
    }
}

void V1Session::call_on_writable() {
    expect_thread(instance_.never_blocks());
    if (instance_.plugin().on_writable == nullptr) {
        return;
    }
    const std::size_t low_water = instance_.endpoint().connection.send_buffer / 2;
    if (instance_.host().engine.tell_when_writable(id_, low_water, engine::Passage::between)) {
        return;  // others, or an earlier callback, have filled the queue again: this comes once more
    }
    instance_.plugin().on_writable(instance_.self(), state_, id_.value());
}

void V1Session::call_on_close(const engine::CloseInfo& info) noexcept {
    if (instance_.uses_topics()) {
        instance_.host().topics->unsubscribe_all(id_);
        if (instance_.host().presence != nullptr) {
            instance_.host().presence->leave_all(id_);
        }
    }
    instance_.outgoing_texts().end(id_);
    if (instance_.plugin().on_close == nullptr) {
        return;
    }
    ws_close_info close{};
    close.size = sizeof close;
    close.code = info.code;
    close.who = info.by_peer ? WS_BY_PEER : WS_BY_SERVER;
    close.clean = info.clean ? 1 : 0;
    close.reason = extra_ != nullptr ? extra_->close_reason.c_str() : "";
    close.reason_size = extra_ != nullptr ? extra_->close_reason.size() : 0;
    try {
        instance_.plugin().on_close(instance_.self(), state_, id_.value(), &close);
    } catch (...) {
        report("on_close");
    }
}

}  // namespace websocket::plugin
