// SPDX-License-Identifier: Apache-2.0
#include "protocol/client_frame_writer.hpp"

#include <openssl/err.h>
#include <openssl/rand.h>

#include <stdexcept>

namespace websocket::protocol {

void fill_randomly(std::span<std::uint8_t> bytes) {
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
        ERR_clear_error();
        throw std::runtime_error("no random bytes");
    }
}

void MaskKeys::refill() {
    std::array<std::uint8_t, sizeof(keys_)> random;
    fill_randomly(random);
    for (std::size_t i = 0; i < keys_.size(); ++i) {
        const std::uint8_t* key = random.data() + i * sizeof(MaskKey);
        keys_[i] = {key[0], key[1], key[2], key[3]};
    }
    left_ = keys_.size();
}

void ClientFrameWriter::append(base::ByteBuffer& out, Opcode opcode,
                               std::span<const std::uint8_t> payload, bool fin, bool compressed) {
    const MaskKey key = keys_.next();
    const EncodedHeader header(key, opcode, payload.size(), fin, compressed);
    out.reserve(out.size() + header.bytes().size() + payload.size());
    out.append(header.bytes());
    out.append(payload);
    mask(out.bytes().last(payload.size()), key);
}

}  // namespace websocket::protocol
