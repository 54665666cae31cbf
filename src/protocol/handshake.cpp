// SPDX-License-Identifier: Apache-2.0
#include "protocol/handshake.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <new>

#include "base/ascii.hpp"

namespace websocket::protocol {

namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Of each byte whether it is one of them.
constexpr auto kInBase64 = [] {
    std::array<bool, 256> in{};
    for (const char c : kBase64) {
        in.at(static_cast<unsigned char>(c)) = true;
    }
    return in;
}();

/// Characters of base64 at the begin of `text`.
std::size_t base64_size(std::string_view text) noexcept {
    const auto end = std::ranges::find_if_not(
        text, [](char c) { return kInBase64.at(static_cast<unsigned char>(c)); });
    return static_cast<std::size_t>(end - text.begin());
}

/// Looking for it takes OpenSSL as long as the digest of a key. Throws std::bad_alloc.
const EVP_MD* sha1() {
    static const EVP_MD* const found = [] {
        const EVP_MD* digest = EVP_MD_fetch(nullptr, "SHA1", nullptr);
        if (digest == nullptr) {
            ERR_clear_error();
            throw std::bad_alloc();
        }
        return digest;
    }();
    return found;
}

/// Cuts the next element off `list`, without the white space around it.
std::string_view next_element(std::string_view& list) {
    const std::size_t comma = list.find(',');
    const std::string_view element = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    return base::trim(element);
}

}  // namespace

std::string base64(std::span<const std::uint8_t> bytes) {
    std::string encoded((bytes.size() + 2) / 3 * 4, '\0');
    // It also writes a NUL, where the string has its own.
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()), bytes.data(),
                    static_cast<int>(bytes.size()));
    return encoded;
}

std::string accept_value(std::string_view key) {
    const std::string text = std::string(key).append(kGuid);
    std::array<std::uint8_t, SHA_DIGEST_LENGTH> digest;
    if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, sha1(), nullptr) != 1) {
        // The digest cannot fail, only what OpenSSL allocates for it.
        ERR_clear_error();
        throw std::bad_alloc();
    }
    return base64(digest);
}

bool is_strict_key(std::string_view key) noexcept {
    // 16 bytes are 21 characters of 6 bits, one of 2 bits and 4 zeroes, and the padding.
    return key.size() == 24 && base64_size(key) == 22 && key.ends_with("==") &&
           std::string_view("AQgw").find(key[21]) != std::string_view::npos;
}

bool is_lenient_key(std::string_view key) noexcept {
    if (key.empty() || key.size() % 4 != 0) {
        return false;
    }
    const std::string_view padding = key.substr(base64_size(key));
    return padding.empty() || padding == "=" || padding == "==";
}

std::optional<unsigned> parse_version(std::string_view text) noexcept {
    const bool digits =
        !text.empty() && text.size() <= 3 && std::ranges::all_of(text, base::is_digit);
    if (!digits || (text.size() > 1 && text[0] == '0')) {
        return {};
    }
    unsigned version = 0;
    std::from_chars(text.data(), text.data() + text.size(), version);
    return version <= 255 ? std::optional{version} : std::nullopt;
}

bool list_has_token(std::string_view list, std::string_view token) noexcept {
    if (base::equals_ignoring_case(list, token)) {
        return true;  // the usual list
    }
    while (!list.empty()) {
        const std::string_view element = next_element(list);
        if (base::equals_ignoring_case(base::trim(element.substr(0, element.find(';'))), token)) {
            return true;
        }
    }
    return false;
}

std::optional<std::vector<std::string_view>> parse_token_list(std::string_view list) {
    std::vector<std::string_view> tokens;
    while (!list.empty()) {
        const std::string_view element = next_element(list);
        if (!std::ranges::all_of(element, base::is_token_char)) {
            return {};
        }
        if (!element.empty()) {
            tokens.push_back(element);
        }
    }
    return tokens.empty() ? std::nullopt : std::optional{std::move(tokens)};
}

}  // namespace websocket::protocol
