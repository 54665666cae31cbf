// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/input_batch.hpp"

#include <new>

namespace websocket::plugin {

InputBatch& InputBatch::own() noexcept {
    // NOLINTNEXTLINE(clang-diagnostic-exit-time-destructors): with its thread, a loop's
    static thread_local constinit InputBatch batch;
    return batch;
}

bool InputBatch::begin(const SerialQueue& session) noexcept {
    try {
        messages_.reserve(kMost);
    } catch (const std::bad_alloc&) {
        return false;
    }
    session_ = &session;
    return true;
}

}  // namespace websocket::plugin
