// SPDX-License-Identifier: Apache-2.0
// The first bytes of a connection: whatever they are, and wherever they are cut, once they have told what the client
// wants, more of them change nothing.
#include "protocol/first_bytes.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

using websocket::protocol::Wish;
using websocket::protocol::wish_of;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    size = std::min(size, websocket::protocol::kMaxFirstBytes - 1);
    Wish before = Wish::incomplete;
    const std::size_t step = size / 64 + 1;
    for (std::size_t length = 0; length <= size; length += step) {
        const Wish wish = wish_of({data, length});
        if (before != Wish::incomplete && wish != before) {
            std::abort();
        }
        before = wish;
    }
    return 0;
}
