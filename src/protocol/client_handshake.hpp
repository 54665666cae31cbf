// SPDX-License-Identifier: Apache-2.0
// The client's side of the opening handshake (RFC 6455 section 4.1): a request out, the response in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/deflate_settings.hpp"
#include "protocol/response_head.hpp"

namespace websocket::protocol {

/// What a client asks for.
struct ClientOffer {
    std::string target = "/";               ///< path and query, as in the request line
    std::string host;                       ///< with the port, unless it is the usual one
    std::vector<std::string> subprotocols;  ///< the preferred one first
    std::optional<DeflatePolicy> deflate;   ///< whether and how to compress
    std::vector<HeaderField> fields;        ///< more of them, such as Origin or Authorization
};

/// What the server made of it.
struct ClientAgreement {
    std::string subprotocol;  ///< one of those offered, or empty
    DeflateSettings deflate;  ///< by default: no compression
};

/// Base64 of 16 bytes that nobody can predict. Throws std::bad_alloc and std::runtime_error. [any thread]
[[nodiscard]] std::string make_key();

/// One handshake; knows no socket. [one thread]
class ClientHandshake {
public:
    enum class Status : std::uint8_t {
        waiting,  ///< for more of the response
        open,     ///< agreed: what follows are frames
        refused,  ///< the server answered something else than 101: see head()
        failed,   ///< the offer cannot be written, or the response is none of RFC 6455
    };

    /// Throws std::bad_alloc; without a key, as make_key() does.
    explicit ClientHandshake(ClientOffer offer, std::string key = make_key(),
                             const HeadLimits& limits = {});

    /// What to send first; empty when the offer has failed.
    [[nodiscard]] const std::string& request() const noexcept { return request_; }

    /// Takes bytes of the response, and not one of what follows its head. Returns how many; those behind a
    /// 101 belong to the first frame. Responses that only announce another one (1xx) are passed over. Throws
    /// std::bad_alloc.
    std::size_t consume(std::string_view bytes);

    [[nodiscard]] Status status() const noexcept { return status_; }
    /// What is wrong, when refused or failed: for people, on one line.
    [[nodiscard]] const std::string& error() const noexcept { return error_; }
    /// Of the response, when open or refused, or when something in it has failed.
    [[nodiscard]] const ResponseHead& head() const noexcept { return parser_.head(); }
    /// When open.
    [[nodiscard]] const ClientAgreement& agreement() const noexcept { return agreement_; }

private:
    void fail(std::string why);
    void check_response();
    [[nodiscard]] bool check_upgrade();
    [[nodiscard]] bool check_accept();
    [[nodiscard]] bool check_extensions();
    [[nodiscard]] bool check_subprotocol();

    ClientOffer offer_;
    std::string key_;
    HeadLimits limits_;
    std::string request_;
    ResponseHeadParser parser_;
    unsigned interim_ = 0;  ///< responses that announced another one
    Status status_ = Status::waiting;
    ClientAgreement agreement_;
    std::string error_;
};

}  // namespace websocket::protocol
