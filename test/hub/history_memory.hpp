// SPDX-License-Identifier: Apache-2.0
// Memory for histories, and what is in it as texts.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>

#include "engine/event_form.hpp"
#include "hub/history_store.hpp"
#include "unit.hpp"

namespace websocket::test {

using namespace std::chrono_literals;
using engine::SharedFrame;
using engine::text_bytes;
using hub::HistoryExcerpt;
using hub::HistoryLimits;
using hub::HistoryRange;
using hub::HistoryStore;
using hub::Position;
using hub::position_of;
using hub::TopicKey;
using protocol::Opcode;

constexpr base::HashKey kHash{1, 2};

inline TopicKey history_topic(std::string_view name) {
    return TopicKey::make("s", name, kHash).value();
}

class HistoryMemory {
public:
    explicit HistoryMemory(std::size_t bytes = 1 << 20) : store(HistoryStore::create(bytes)) {}
    ~HistoryMemory() {
        ::close(store.file());
        ::munmap(store.memory(), store.bytes());
    }
    HistoryMemory(const HistoryMemory&) = delete;
    HistoryMemory& operator=(const HistoryMemory&) = delete;

    Position publish(std::string_view name, std::string_view text, HistoryStore::Time now = 0ms) {
        return store.append(history_topic(name), limits, Opcode::text, text_bytes(text), {}, now)
            .value();
    }
    HistoryExcerpt read(std::string_view name, const HistoryRange& range,
                        HistoryStore::Time now = 0ms) {
        return store.read(history_topic(name), limits, range, now).value();
    }
    std::string texts(const HistoryExcerpt& excerpt) {
        std::string all;
        for (const SharedFrame& frame : excerpt.frames) {
            const auto payload = frame.payload();
            all += (all.empty() ? "" : ",") + std::string(payload.begin(), payload.end());
        }
        return all;
    }
    std::string all(std::string_view name) { return texts(read(name, {})); }

    HistoryStore store;
    HistoryLimits limits{100, 10s};
};

inline void expect_texts(const std::string& is, const std::string& wanted) {
    ck_assert_str_eq(is.c_str(), wanted.c_str());
}

}  // namespace websocket::test
