// SPDX-License-Identifier: Apache-2.0
//
// Any text as Sec-WebSocket-Extensions and as User-Agent: what is agreed on is within what the policy
// allows, and the answer can be read again.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "protocol/deflate_offer.hpp"

namespace {

using namespace websocket::protocol;

void require(bool promise) {
    if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const DeflatePolicy policy{.enabled = true,
                               .server_takeover = (data[0] & 1) != 0,
                               .client_takeover = (data[0] & 2) != 0,
                               .server_bits = static_cast<std::uint8_t>(9 + (data[0] >> 2) % 7),
                               .client_bits = static_cast<std::uint8_t>(9 + data[1] % 7)};
    const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
    static_cast<void>(has_broken_deflate(text));
    const DeflateAgreement agreement = agree_on_deflate(parse_extension_list(text), policy);
    const DeflateSettings& settings = agreement.settings;
    require(settings.agreed() == !agreement.response.empty());
    require(!describe(settings).empty());
    if (!settings.agreed()) return 0;
    require(settings.server_bits >= 9 && settings.server_bits <= policy.server_bits);
    require(settings.client_bits >= 8 && settings.client_bits <= 15);
    require(!settings.server_takeover || policy.server_takeover);
    require(!settings.client_takeover || policy.client_takeover);
    const auto answer = parse_extension_list(agreement.response);
    require(answer.size() == 1 && answer.front().name == "permessage-deflate");
    return 0;
}
