// Requests of HTTP/1.1 that are no handshakes, on the bench's streams.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/ascii.hpp"
#include "protocol/client_handshake.hpp"
#include "protocol/response_head.hpp"

namespace websocket::bench {

// "GET /path HTTP/1.1" and what every request says, with the offer's own fields and those of `more` ("Name: value\r\n").
inline std::string http_request(std::string_view method, const protocol::ClientOffer& offer,
                                std::string_view more, std::string_view body = {}) {
    std::string request(method);
    request.append(" ").append(offer.target).append(" HTTP/1.1\r\nHost: ").append(offer.host);
    request += "\r\n";
    for (const protocol::HeaderField& field : offer.fields)
        request.append(field.name).append(": ").append(field.value).append("\r\n");
    return request.append(more).append("\r\n").append(body);
}

// One response whose body has a Content-Length.
class HttpResponse {
public:
    enum class Status { incomplete, complete, failed };

    // Takes bytes up to the end of the response; returns how many.
    std::size_t consume(std::string_view bytes) {
        std::size_t taken = 0;
        if (parser_.status() == protocol::ResponseHeadParser::Status::incomplete) {
            taken = parser_.consume(bytes);
            if (parser_.status() == protocol::ResponseHeadParser::Status::incomplete) return taken;
            if (!take_length()) return taken;
        }
        const std::size_t more = std::min(bytes.size() - taken, missing_);
        body_.append(bytes.substr(taken, more));
        missing_ -= more;
        if (missing_ == 0) status_ = Status::complete;
        return taken + more;
    }

    [[nodiscard]] Status status() const { return status_; }
    [[nodiscard]] const std::string& error() const { return error_; }
    [[nodiscard]] const protocol::ResponseHead& head() const { return parser_.head(); }
    [[nodiscard]] const std::string& body() const { return body_; }

private:
    [[nodiscard]] bool take_length() {
        const std::string length = parser_.head().list("Content-Length");
        const char* end = length.data() + length.size();
        if (parser_.status() == protocol::ResponseHeadParser::Status::failed) {
            error_ = "broken response: " + parser_.error();
        } else if (std::from_chars(length.data(), end, missing_).ptr != end || length.empty()) {
            error_ = "a response without a Content-Length, status " +
                     std::to_string(parser_.head().status);
        }
        if (!error_.empty()) status_ = Status::failed;
        return error_.empty();
    }

    protocol::ResponseHeadParser parser_;
    Status status_ = Status::incomplete;
    std::size_t missing_ = 0;
    std::string body_;
    std::string error_;
};

// Asks for an event stream, in the words of protocol::ClientHandshake: open when the head has come.
class EventStreamRequest {
public:
    using Status = protocol::ClientHandshake::Status;

    explicit EventStreamRequest(const protocol::ClientOffer& offer)
        : request_(http_request("GET", offer, "Accept: text/event-stream\r\n")) {}

    [[nodiscard]] const std::string& request() const { return request_; }
    std::size_t consume(std::string_view bytes) {
        const std::size_t taken = parser_.consume(bytes);
        switch (parser_.status()) {
            case protocol::ResponseHeadParser::Status::incomplete: break;
            case protocol::ResponseHeadParser::Status::failed: refuse(parser_.error()); break;
            case protocol::ResponseHeadParser::Status::complete: check(parser_.head()); break;
        }
        return taken;
    }
    [[nodiscard]] Status status() const { return status_; }
    [[nodiscard]] const std::string& error() const { return error_; }

private:
    void refuse(std::string why) {
        error_ = std::move(why);
        status_ = Status::refused;
    }
    void check(const protocol::ResponseHead& head) {
        const std::string type = head.list("Content-Type");
        if (head.status != 200 || !base::equals_ignoring_case(type, "text/event-stream")) {
            refuse("status " + std::to_string(head.status) + ", Content-Type \"" + type + "\"");
        } else {
            status_ = Status::open;
        }
    }

    std::string request_;
    protocol::ResponseHeadParser parser_;
    Status status_ = Status::waiting;
    std::string error_;
};

}  // namespace websocket::bench
