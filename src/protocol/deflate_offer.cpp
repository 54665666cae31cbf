// SPDX-License-Identifier: Apache-2.0
#include "protocol/deflate_offer.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/ascii.hpp"

namespace websocket::protocol {

namespace {

constexpr std::string_view kExtension = "permessage-deflate";
constexpr std::string_view kServerNoTakeover = "server_no_context_takeover";
constexpr std::string_view kClientNoTakeover = "client_no_context_takeover";
constexpr std::string_view kServerBits = "server_max_window_bits";
constexpr std::string_view kClientBits = "client_max_window_bits";

/// The smallest window that the RFC knows.
constexpr unsigned kMinOfferedBits = 8;

/// The parameters of one valid offer, or of an answer.
struct Parameters {
    bool server_no_takeover = false;
    bool client_no_takeover = false;
    std::optional<unsigned> server_bits;
    bool client_takes_bits = false;  ///< client_max_window_bits is there, with or without a value
    std::optional<unsigned> client_bits;
};

/// Section 7.1.2: decimal, without leading zeroes.
std::optional<unsigned> parse_bits(std::string_view text) {
    unsigned bits = 0;
    const char* end = text.data() + text.size();
    const auto [stop, status] = std::from_chars(text.data(), end, bits);
    const bool valid = status == std::errc{} && stop == end && text.front() != '0' &&
                       bits >= kMinOfferedBits && bits <= kMaxWindowBits;
    return valid ? std::optional{bits} : std::nullopt;
}

/// False when the parameter is unknown or invalid.
bool apply(const ExtensionParameter& parameter, Parameters& offer) {
    const auto is = [&](std::string_view name) {
        return base::equals_ignoring_case(parameter.name, name);
    };
    if (is(kServerNoTakeover)) {
        offer.server_no_takeover = true;
        return !parameter.value;
    }
    if (is(kClientNoTakeover)) {
        offer.client_no_takeover = true;
        return !parameter.value;
    }
    if (is(kServerBits)) {
        offer.server_bits = parameter.value ? parse_bits(*parameter.value) : std::nullopt;
        return offer.server_bits.has_value();
    }
    if (is(kClientBits)) {
        offer.client_takes_bits = true;
        offer.client_bits = parameter.value ? parse_bits(*parameter.value) : std::nullopt;
        return !parameter.value || offer.client_bits;
    }
    return false;
}

bool has_doubles(const std::vector<ExtensionParameter>& parameters) {
    for (auto one = parameters.begin(); one != parameters.end(); ++one) {
        const auto same = [one](const ExtensionParameter& other) {
            return base::equals_ignoring_case(other.name, one->name);
        };
        if (std::any_of(one + 1, parameters.end(), same)) {
            return true;
        }
    }
    return false;
}

std::optional<Parameters> parse_offer(const Extension& extension) {
    Parameters offer;
    // With more than there are, one is unknown or comes twice; and the search stays short.
    constexpr std::size_t kKnownParameters = 4;
    if (!is_deflate(extension) || extension.parameters.size() > kKnownParameters ||
        has_doubles(extension.parameters)) {
        return {};
    }
    for (const ExtensionParameter& parameter : extension.parameters) {
        if (!apply(parameter, offer)) {
            return {};
        }
    }
    return offer;
}

std::string bits_parameter(std::string_view name, unsigned bits) {
    return "; " + std::string(name) + '=' + std::to_string(bits);
}

std::string takeover_parameters(const DeflateSettings& settings) {
    std::string text(kExtension);
    for (const auto& [name, takeover] : {std::pair{kServerNoTakeover, settings.server_takeover},
                                         std::pair{kClientNoTakeover, settings.client_takeover}}) {
        if (!takeover) {
            text += "; ";
            text += name;
        }
    }
    return text;
}

DeflateAgreement accept(const Parameters& offer, const DeflatePolicy& policy) {
    DeflateAgreement agreement;
    DeflateSettings& settings = agreement.settings;
    const auto at_most = [](unsigned limit, std::optional<unsigned> wish) {
        return static_cast<std::uint8_t>(std::min(limit, wish.value_or(kMaxWindowBits)));
    };
    settings.server_bits = at_most(policy.server_bits, offer.server_bits);
    // Who cannot be told uses the largest window.
    settings.client_bits = offer.client_takes_bits ? at_most(policy.client_bits, offer.client_bits)
                                                   : std::uint8_t{kMaxWindowBits};
    settings.server_takeover = policy.server_takeover && !offer.server_no_takeover;
    settings.client_takeover = policy.client_takeover && !offer.client_no_takeover;
    settings.level = policy.level;
    settings.memory_level = policy.memory_level;
    settings.min_size = policy.min_size;

    agreement.response = takeover_parameters(settings);
    if (offer.server_bits) {
        agreement.response += bits_parameter(kServerBits, settings.server_bits);
    }
    if (offer.client_takes_bits && settings.client_bits < kMaxWindowBits) {
        agreement.response += bits_parameter(kClientBits, settings.client_bits);
    }
    return agreement;
}

/// `prefix` and one of 0 to 3.
bool has_version(std::string_view user_agent, std::string_view prefix) noexcept {
    const std::size_t at = user_agent.find(prefix);
    if (at == std::string_view::npos) {
        return false;
    }
    const std::string_view minor = user_agent.substr(at + prefix.size());
    return !minor.empty() && minor[0] >= '0' && minor[0] <= '3' &&
           (minor.size() == 1 || !base::is_digit(minor[1]));
}

}  // namespace

DeflateAgreement agree_on_deflate(const std::vector<Extension>& offers,
                                  const DeflatePolicy& policy) {
    if (!policy.enabled) {
        return {};
    }
    for (const Extension& extension : offers) {
        const std::optional<Parameters> offer = parse_offer(extension);
        if (offer && offer->server_bits.value_or(kMaxWindowBits) >= kMinWindowBits) {
            return accept(*offer, policy);
        }
    }
    return {};
}

std::string offer_deflate(const DeflatePolicy& policy) {
    DeflateSettings wanted;
    wanted.server_takeover = policy.server_takeover;
    wanted.client_takeover = policy.client_takeover;
    std::string offer = takeover_parameters(wanted);
    if (policy.server_bits < kMaxWindowBits) {
        offer += bits_parameter(kServerBits, policy.server_bits);
    }
    return policy.client_bits < kMaxWindowBits
               ? offer + bits_parameter(kClientBits, policy.client_bits)
               : offer + "; " + std::string(kClientBits);
}

bool is_deflate(const Extension& extension) noexcept {
    return base::equals_ignoring_case(extension.name, kExtension);
}

DeflateAnswer check_deflate(const Extension& accepted, const DeflatePolicy& offered) noexcept {
    const std::optional<Parameters> answer = parse_offer(accepted);
    if (!answer) {
        return {{}, "a parameter is unknown, invalid or there twice"};
    }
    if (answer->client_takes_bits && !answer->client_bits) {
        return {{}, "client_max_window_bits has no value"};
    }
    if (!offered.server_takeover && !answer->server_no_takeover) {
        return {{}, "server_no_context_takeover was asked for and is missing"};
    }
    // Who was not asked to bound its window, or did not say so, uses the largest.
    const unsigned server_bits = answer->server_bits.value_or(kMaxWindowBits);
    if (server_bits > offered.server_bits) {
        return {{}, "server_max_window_bits is larger than what was asked for"};
    }
    const unsigned client_bits = answer->client_bits.value_or(kMaxWindowBits);
    if (client_bits < kMinWindowBits) {
        return {{}, "client_max_window_bits=8 is a window that zlib cannot compress with"};
    }
    DeflateSettings settings;
    settings.server_bits = static_cast<std::uint8_t>(server_bits);
    settings.client_bits =
        static_cast<std::uint8_t>(std::min<unsigned>(client_bits, offered.client_bits));
    settings.server_takeover = !answer->server_no_takeover;
    settings.client_takeover = offered.client_takeover && !answer->client_no_takeover;
    settings.level = offered.level;
    settings.memory_level = offered.memory_level;
    settings.min_size = offered.min_size;
    return {settings, nullptr};
}

bool has_broken_deflate(std::string_view user_agent) noexcept {
    // Safari's own version, or that of iOS, where every browser is Safari inside.
    return (has_version(user_agent, " Version/15.") &&
            user_agent.find(" Safari/") != std::string_view::npos) ||
           has_version(user_agent, " OS 15_");
}

std::string describe(const DeflateSettings& settings) {
    if (!settings.agreed()) {
        return "none";
    }
    return takeover_parameters(settings) + bits_parameter(kServerBits, settings.server_bits) +
           bits_parameter(kClientBits, settings.client_bits);
}

}  // namespace websocket::protocol
