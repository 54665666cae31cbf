// SPDX-License-Identifier: Apache-2.0
#include "engine/shared_frame.hpp"

#include <algorithm>
#include <new>

namespace websocket::engine {

SharedFrame::~SharedFrame() {
    if (block_ != nullptr && block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        block_->~Block();
        ::operator delete(block_);
    }
}

SharedFrame SharedFrame::build(protocol::Opcode opcode, std::span<const std::uint8_t> payload,
                               bool fin) {
    return join(protocol::EncodedHeader(opcode, payload.size(), fin).bytes(), payload);
}

SharedFrame SharedFrame::join(std::span<const std::uint8_t> first,
                              std::span<const std::uint8_t> second) {
    SharedFrame frame = unwritten(first.size() + second.size());
    const auto end = std::copy(first.begin(), first.end(), frame.writable().begin());
    std::copy(second.begin(), second.end(), end);
    return frame;
}

SharedFrame SharedFrame::unwritten(std::size_t size) {
    return SharedFrame(new (::operator new(sizeof(Block) + size)) Block{{1}, size});
}

}  // namespace websocket::engine
