// SPDX-License-Identifier: Apache-2.0
#include "protocol/client_handshake.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.hpp"
#include "protocol/client_frame_writer.hpp"
#include "protocol/deflate_offer.hpp"
#include "protocol/extension_list.hpp"
#include "protocol/handshake.hpp"
#include "protocol/response_header.hpp"

namespace websocket::protocol {

namespace {

constexpr std::string_view kSubprotocolField = "Sec-WebSocket-Protocol";
constexpr std::string_view kExtensionsField = "Sec-WebSocket-Extensions";
constexpr std::string_view kAcceptField = "Sec-WebSocket-Accept";

/// Of what somebody else has sent, in an error.
std::string quoted(std::string_view text) {
    constexpr std::size_t kMax = 100;
    const bool cut = text.size() > kMax;
    return '"' + std::string(text.substr(0, kMax)) + (cut ? "...\"" : "\"");
}

/// Of a request line or an authority: no space can end it early.
bool is_visible(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; });
}

bool has_duplicates(const std::vector<std::string>& names) {
    for (auto one = names.begin(); one != names.end(); ++one) {
        if (std::find(one + 1, names.end(), *one) != names.end()) {
            return true;
        }
    }
    return false;
}

/// What would make another request of this one, or of its answer; empty when it is well.
std::string fault_of(const ClientOffer& offer) {
    if (!offer.target.starts_with('/') || !is_visible(offer.target) ||
        offer.target.find('#') != std::string::npos) {
        return "the target is no path with a query";
    }
    if (offer.host.empty() || !is_visible(offer.host) ||
        offer.host.find_first_of("/?#@,") != std::string::npos) {
        return "the host is no host with a port";
    }
    // RFC 6455 section 4.1: tokens, and each of them once.
    if (!std::ranges::all_of(offer.subprotocols, base::is_token) ||
        has_duplicates(offer.subprotocols)) {
        return "a subprotocol is no token or there twice";
    }
    for (const HeaderField& field : offer.fields) {
        const HeaderFault fault = fault_of_header(field.name, field.value);
        if (fault == HeaderFault::reserved || base::equals_ignoring_case(field.name, "Host")) {
            return "the handshake writes the field " + quoted(field.name) + " itself";
        }
        if (fault != HeaderFault::none) {
            return "a field cannot be sent: " + std::string(describe(fault));
        }
    }
    return {};
}

void append_field(std::string& request, std::string_view name, std::string_view value) {
    request.append(name).append(": ").append(value).append("\r\n");
}

std::string write_request(const ClientOffer& offer, std::string_view key) {
    std::string request = "GET " + offer.target + " HTTP/1.1\r\n";
    append_field(request, "Host", offer.host);
    append_field(request, "Upgrade", "websocket");
    append_field(request, "Connection", "Upgrade");
    append_field(request, "Sec-WebSocket-Key", key);
    append_field(request, "Sec-WebSocket-Version", "13");
    std::string subprotocols;
    for (const std::string& subprotocol : offer.subprotocols) {
        subprotocols += subprotocols.empty() ? "" : ", ";
        subprotocols += subprotocol;
    }
    if (!subprotocols.empty()) {
        append_field(request, kSubprotocolField, subprotocols);
    }
    if (offer.deflate) {
        append_field(request, kExtensionsField, offer_deflate(*offer.deflate));
    }
    for (const HeaderField& field : offer.fields) {
        append_field(request, field.name, field.value);
    }
    return request + "\r\n";
}

/// Whether each element of the list is `token`, and there is one.
bool is_list_of(std::string_view list, std::string_view token) {
    const auto elements = parse_token_list(list);
    return elements && std::ranges::all_of(*elements, [&](std::string_view element) {
               return base::equals_ignoring_case(element, token);
           });
}

}  // namespace

std::string make_key() {
    std::array<std::uint8_t, 16> random;
    fill_randomly(random);
    return base64(random);
}

ClientHandshake::ClientHandshake(ClientOffer offer, std::string key, const HeadLimits& limits)
    : offer_(std::move(offer)), key_(std::move(key)), limits_(limits), parser_(limits) {
    if (std::string fault = is_strict_key(key_) ? fault_of(offer_) : "the key is not one";
        !fault.empty()) {
        fail(std::move(fault));
        return;
    }
    request_ = write_request(offer_, key_);
}

std::size_t ClientHandshake::consume(std::string_view bytes) {
    constexpr unsigned kMaxInterim = 8;
    constexpr unsigned kSwitchingProtocols = 101;
    std::size_t used = 0;
    while (used < bytes.size() && status_ == Status::waiting) {
        used += parser_.consume(bytes.substr(used));
        if (parser_.status() == ResponseHeadParser::Status::failed) {
            fail(parser_.error());
            break;
        }
        if (parser_.status() == ResponseHeadParser::Status::incomplete) {
            break;
        }
        // RFC 9110 section 15.2: a client has to expect them, wanted or not.
        if (head().status < 200 && head().status != kSwitchingProtocols) {
            if (++interim_ > kMaxInterim) {
                fail("the server only announces responses");
                break;
            }
            parser_ = ResponseHeadParser(limits_);
            continue;
        }
        if (head().status == kSwitchingProtocols) {
            check_response();
        } else {
            fail("the server answered " + std::to_string(head().status) + ' ' + head().reason +
                 " instead of 101");
            status_ = Status::refused;
        }
    }
    return used;
}

void ClientHandshake::fail(std::string why) {
    error_ = std::move(why);
    status_ = Status::failed;
}

void ClientHandshake::check_response() {
    if (check_upgrade() && check_accept() && check_extensions() && check_subprotocol()) {
        status_ = Status::open;
    }
}

bool ClientHandshake::check_upgrade() {
    // A second protocol would be one more layer, which nobody has asked for (RFC 9110 section 7.8).
    if (const std::string upgrade = head().list("Upgrade"); !is_list_of(upgrade, "websocket")) {
        fail("Upgrade of the 101 is " + quoted(upgrade) + ", not websocket");
        return false;
    }
    const std::string connection = head().list("Connection");
    if (!parse_token_list(connection) || !list_has_token(connection, "upgrade")) {
        fail("Connection of the 101 is " + quoted(connection) + " and does not list Upgrade");
        return false;
    }
    return true;
}

bool ClientHandshake::check_accept() {
    if (const std::size_t count = head().count(kAcceptField); count != 1) {
        fail("the 101 has " + std::to_string(count) + " Sec-WebSocket-Accept");
        return false;
    }
    if (const std::string accept = head().list(kAcceptField); accept != accept_value(key_)) {
        fail("Sec-WebSocket-Accept is " + quoted(accept) + ", which is not that of our key");
        return false;
    }
    return true;
}

bool ClientHandshake::check_extensions() {
    if (head().count(kExtensionsField) == 0) {
        return true;
    }
    const std::string list = head().list(kExtensionsField);
    const auto accepted = parse_accepted_extensions(list);
    if (!accepted) {
        fail("Sec-WebSocket-Extensions is no list of extensions: " + quoted(list));
        return false;
    }
    for (const Extension& extension : *accepted) {
        if (!offer_.deflate || !is_deflate(extension)) {
            fail("the server accepts an extension that was not offered: " + quoted(extension.name));
            return false;
        }
    }
    if (accepted->size() > 1) {
        fail("the server accepts permessage-deflate more than once");
        return false;
    }
    const DeflateAnswer answer = check_deflate(accepted->front(), *offer_.deflate);
    if (answer.fault != nullptr) {
        fail("the server's permessage-deflate cannot be: " + std::string(answer.fault));
        return false;
    }
    agreement_.deflate = answer.settings;
    return true;
}

bool ClientHandshake::check_subprotocol() {
    const std::size_t count = head().count(kSubprotocolField);
    if (count == 0) {
        return true;
    }
    // RFC 6455 section 11.3.4: one at most. Names differ in case, too.
    std::string chosen = head().list(kSubprotocolField);
    if (count != 1 || std::ranges::find(offer_.subprotocols, chosen) == offer_.subprotocols.end()) {
        fail("the server chooses a subprotocol that was not offered: " + quoted(chosen));
        return false;
    }
    agreement_.subprotocol = std::move(chosen);
    return true;
}

}  // namespace websocket::protocol
