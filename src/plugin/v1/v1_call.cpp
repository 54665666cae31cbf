// SPDX-License-Identifier: Apache-2.0
#include "plugin/v1/v1_call.hpp"

#include "plugin/v1/v1_instance.hpp"

namespace websocket::plugin {

V1Call::Ref V1Call::make(V1Instance& instance, engine::ConnectionId owner, std::uint64_t number,
                         const Functions& functions) {
    return std::make_shared<V1Call>(instance, owner, number, functions);
}

V1Call::V1Call(V1Instance& instance, engine::ConnectionId owner, std::uint64_t number,
               const Functions& functions)
    : instance_(instance), owner_(owner), number_(number), functions_(functions) {
    if (number_ != 0) {
        instance_.remember(*this);
    }
    instance_.enter();
}

V1Call::~V1Call() {
    if (number_ != 0) {
        instance_.forget(*this);
    }
    if (functions_.done != nullptr) {
        try {
            functions_.done(functions_.data);
        } catch (...) {
            instance_.report_exception("a done function", {});
        }
    }
    instance_.leave();
}

void V1Call::run(std::uint32_t events) noexcept {
    if (cancelled_.load()) {
        return;
    }
    if (engine::Loop* loop = engine::Loop::current()) {
        loop->heartbeat().note(&instance_.endpoint().connection);
    }
    try {
        if (is_watch()) {
            functions_.run_io(functions_.data, events);
        } else {
            functions_.run(functions_.data);
        }
    } catch (...) {
        instance_.report_exception("a posted function, timer or watch", owner_);
    }
    end_tick();
}

}  // namespace websocket::plugin
