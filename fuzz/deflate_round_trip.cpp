// SPDX-License-Identifier: Apache-2.0
//
// Whatever is compressed, in whatever parts and with whatever settings, zlib's own inflate gives back;
// refused messages in between do not matter.

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "base/byte_buffer.hpp"
#include "protocol/deflater.hpp"

namespace {

using namespace websocket::protocol;
using websocket::base::ByteBuffer;

void require(bool promise) {
    if (!promise) std::abort();
}

void check(z_stream& client, std::span<std::uint8_t> wire, std::span<const std::uint8_t> plain) {
    std::vector<std::uint8_t> in(wire.begin(), wire.end());
    in.insert(in.end(), {0x00, 0x00, 0xFF, 0xFF});
    std::vector<std::uint8_t> out(plain.size() + 1);
    client.next_in = in.data();
    client.avail_in = static_cast<uInt>(in.size());
    client.next_out = out.data();
    client.avail_out = static_cast<uInt>(out.size());
    require(inflate(&client, Z_SYNC_FLUSH) == Z_OK);
    require(client.avail_in == 0 && client.avail_out == 1);
    require(std::equal(plain.begin(), plain.end(), out.begin()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t kChoices = 5;
    if (size < kChoices) return 0;
    const DeflaterShape shape{static_cast<std::uint8_t>(9 + data[0] % 7),
                              static_cast<std::uint8_t>(1 + data[1] % 9),
                              static_cast<std::uint8_t>(1 + data[2] % 9)};
    const bool takeover = (data[0] & 0x80) != 0;
    const std::size_t message_size = 1 + data[3] * 16;
    const std::size_t part_size = 1 + data[4] * 4;
    std::span<const std::uint8_t> rest(data + kChoices, size - kChoices);

    Deflater deflater(shape);
    z_stream client{};
    inflateInit2(&client, -int{shape.window_bits});
    while (!rest.empty()) {
        const auto message = rest.first(std::min(message_size, rest.size()));
        rest = rest.subspan(message.size());
        ByteBuffer out;
        bool useful = true;
        for (std::size_t i = 0; i < message.size() && useful; i += part_size) {
            const auto part = message.subspan(i, std::min(part_size, message.size() - i));
            const bool last = i + part.size() == message.size();
            const std::size_t limit = i == 0 ? part.size() : Deflater::kNoLimit;
            useful = deflater.deflate(part, last, out, limit);
            require(useful || i == 0);
            require(i > 0 || !useful || !last || out.size() < part.size());
        }
        if (useful) {
            if (!takeover) inflateReset(&client);
            check(client, out.bytes(), message);
        }
        if (!useful || !takeover) deflater.reset();
    }
    inflateEnd(&client);
    return 0;
}
