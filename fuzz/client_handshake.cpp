// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the response to a client's handshake: it ends the same way however they are split, takes
// nothing that follows the head, and agrees only on what was offered.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "protocol/client_handshake.hpp"

namespace {

using namespace websocket::protocol;
using Status = ClientHandshake::Status;

void require(bool promise) {
    if (!promise) std::abort();
}

ClientHandshake begin() {
    const DeflatePolicy deflate{.enabled = true, .client_takeover = true, .server_bits = 11};
    return ClientHandshake({.target = "/",
                            .host = "localhost",
                            .subprotocols = {"chat", "superchat"},
                            .deflate = deflate,
                            .fields = {}},
                           "dGhlIHNhbXBsZSBub25jZQ==", {.max_line = 200, .max_lines = 10});
}

/// Returns how many bytes were taken.
std::size_t answer(ClientHandshake& handshake, std::string_view bytes, std::size_t step) {
    std::size_t taken = 0;
    for (std::size_t i = 0; i < bytes.size() && handshake.status() == Status::waiting; i += step) {
        // Exactly as large as what is in it, for the sanitizer.
        const std::string part(bytes.substr(i, step));
        const std::size_t used = handshake.consume(part);
        require(used <= part.size());
        require(used == part.size() || handshake.status() != Status::waiting);
        taken += used;
    }
    return taken;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    ClientHandshake at_once = begin();
    ClientHandshake in_steps = begin();
    const std::size_t all = answer(at_once, bytes, std::max<std::size_t>(bytes.size(), 1));
    const std::size_t split = answer(in_steps, bytes, 1 + data[0]);
    require(at_once.status() == in_steps.status() && at_once.error() == in_steps.error());
    const bool ended = at_once.status() == Status::failed || at_once.status() == Status::refused;
    require(at_once.error().empty() != ended);
    if (at_once.status() != Status::open) return 0;
    require(all == split && bytes.substr(0, all).ends_with("\r\n\r\n"));
    const ClientAgreement& agreement = at_once.agreement();
    require(agreement.subprotocol.empty() || agreement.subprotocol.ends_with("chat"));
    require(!agreement.deflate.agreed() ||
            (agreement.deflate.server_bits <= 11 && !agreement.deflate.server_takeover));
    return 0;
}
