// SPDX-License-Identifier: Apache-2.0
#include "protocol/first_bytes.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/ascii.hpp"
#include "protocol/handshake.hpp"

namespace websocket::protocol {

namespace {

/// Of the PROXY protocol, version 2; 2 bytes with command and family follow, and 2 with the length.
constexpr std::string_view kProxySignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kProxyHeader = kProxySignature.size() + 4;
constexpr std::string_view kProxyLine = "PROXY ";
constexpr std::size_t kMaxProxyLine = 107;

/// Whether `text` begins with `begin`, or would if it went on.
bool may_begin(std::string_view text, std::string_view begin) {
    const std::size_t size = std::min(text.size(), begin.size());
    return text.substr(0, size) == begin.substr(0, size);
}

/// Without a header of the PROXY protocol; nothing while that is incomplete.
std::optional<std::string_view> behind_proxy_header(std::string_view text) {
    if (text.starts_with(kProxySignature)) {
        if (text.size() < kProxyHeader) {
            return {};
        }
        const auto high = static_cast<unsigned char>(text[kProxyHeader - 2]);
        const auto low = static_cast<unsigned char>(text[kProxyHeader - 1]);
        const std::size_t size = kProxyHeader + (std::size_t{high} << 8U) + low;
        return text.size() > size ? std::optional(text.substr(size)) : std::nullopt;
    }
    if (text.starts_with(kProxyLine)) {
        const std::size_t end = text.substr(0, kMaxProxyLine).find("\r\n");
        return end != std::string_view::npos ? std::optional(text.substr(end + 2)) : std::nullopt;
    }
    return text;
}

/// Cuts numbers and vectors (RFC 8446 section 3.4) off the begin of a message. Past its end there are zeros.
class Cutter {
public:
    explicit Cutter(std::string_view left) noexcept : left_(left) {}

    [[nodiscard]] bool empty() const noexcept { return left_.empty(); }

    std::size_t number(std::size_t bytes) noexcept {
        std::size_t value = 0;
        for (const char byte : bytes_of(bytes)) {
            value = value << 8U | static_cast<unsigned char>(byte);
        }
        return value;
    }
    std::string_view bytes_of(std::size_t count) noexcept {
        const std::string_view cut = left_.substr(0, count);
        left_.remove_prefix(cut.size());
        return cut;
    }
    std::string_view vector(std::size_t bytes_of_length) noexcept {
        return bytes_of(number(bytes_of_length));
    }

private:
    std::string_view left_;
};

/// The list of ALPN (RFC 7301 section 3.1).
bool offers_h2(std::string_view extension) {
    Cutter names(Cutter(extension).vector(2));
    while (!names.empty()) {
        if (names.vector(1) == "h2") {
            return true;
        }
    }
    return false;
}

/// RFC 8446 sections 4.1.2 and 5.1.
Wish wish_of_tls(std::string_view text) {
    constexpr std::size_t kRecordHeader = 5;
    constexpr std::size_t kClientHello = 1;
    constexpr std::size_t kAlpn = 16;
    if (text.size() <= kRecordHeader) {
        return Wish::incomplete;
    }
    Cutter record(text.substr(3));
    const std::size_t size = record.number(2);
    Cutter message(record.bytes_of(size));
    if (message.number(1) != kClientHello) {
        return Wish::something_else;
    }
    if (text.size() < kRecordHeader + size) {
        return Wish::incomplete;
    }
    Cutter hello(message.vector(3));
    hello.bytes_of(2 + 32);  // version, random
    hello.vector(1);         // session
    hello.vector(2);         // ciphers
    hello.vector(1);         // compression
    Cutter extensions(hello.vector(2));
    while (!extensions.empty()) {
        const std::size_t type = extensions.number(2);
        const std::string_view extension = extensions.vector(2);
        if (type == kAlpn && offers_h2(extension)) {
            return Wish::something_else;
        }
    }
    return Wish::tls_http1;
}

/// What a line of the head asks for, if it tells.
Wish wish_of_line(std::string_view line) {
    const std::size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    const std::string_view value =
        colon != std::string_view::npos ? line.substr(colon + 1) : std::string_view();
    if (base::equals_ignoring_case(name, "Upgrade") && list_has_token(value, "websocket")) {
        return Wish::upgrade;
    }
    if (base::equals_ignoring_case(name, "Accept") && list_has_token(value, "text/event-stream")) {
        return Wish::event_stream;
    }
    return Wish::incomplete;
}

/// Lines may end without CR, as httpd allows it.
Wish wish_of_http(std::string_view text) {
    std::size_t end = text.find('\n');
    while (end != std::string_view::npos) {
        text.remove_prefix(end + 1);
        end = text.find('\n');
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        if (end != std::string_view::npos && line.empty()) {
            return Wish::something_else;
        }
        const Wish wish = end != std::string_view::npos ? wish_of_line(line) : Wish::incomplete;
        if (wish != Wish::incomplete) {
            return wish;
        }
    }
    return Wish::incomplete;
}

Wish wish_of_text(std::string_view text) {
    constexpr char kHandshakeRecord = 22;
    constexpr std::string_view kMethod = "GET ";
    if (text.empty()) {
        return Wish::incomplete;
    }
    if (text.front() == kHandshakeRecord) {
        return wish_of_tls(text);
    }
    return may_begin(text, kMethod) ? wish_of_http(text) : Wish::something_else;
}

}  // namespace

Wish wish_of(std::span<const std::uint8_t> bytes) noexcept {
    const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const bool may_be_proxied = may_begin(all, kProxySignature) || may_begin(all, kProxyLine);
    const auto text = behind_proxy_header(all);
    Wish wish = text ? wish_of_text(*text) : Wish::incomplete;
    if (wish == Wish::something_else && may_be_proxied && all.size() < kProxySignature.size()) {
        wish = Wish::incomplete;
    }
    return wish == Wish::incomplete && bytes.size() >= kMaxFirstBytes ? Wish::something_else : wish;
}

}  // namespace websocket::protocol
