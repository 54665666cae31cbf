// SPDX-License-Identifier: Apache-2.0
// Stricter than RFC 9112 allows: a line that ends without CR, or that has one inside, is where two readers
// may see different heads, and a server that answers 101 has no reason to send it.
#include "protocol/response_head.hpp"

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"
#include "protocol/response_header.hpp"

namespace websocket::protocol {

std::size_t ResponseHead::count(std::string_view name) const noexcept {
    return static_cast<std::size_t>(std::ranges::count_if(fields, [&](const HeaderField& field) {
        return base::equals_ignoring_case(field.name, name);
    }));
}

std::string ResponseHead::list(std::string_view name) const {
    std::string values;
    bool first = true;
    for (const HeaderField& field : fields) {
        if (base::equals_ignoring_case(field.name, name)) {
            values += first ? "" : ", ";
            values += field.value;
            first = false;
        }
    }
    return values;
}

void ResponseHeadParser::fail(std::string why) {
    error_ = std::move(why);
    status_ = Status::failed;
}

std::size_t ResponseHeadParser::consume(std::string_view bytes) {
    std::size_t used = 0;
    while (used < bytes.size() && status_ == Status::incomplete) {
        const std::string_view rest = bytes.substr(used);
        const std::size_t end = rest.find('\n');
        const bool ends = end != std::string_view::npos;
        const std::string_view piece = ends ? rest.substr(0, end + 1) : rest;
        used += piece.size();
        if (piece.size() > limits_.max_line - line_.size()) {
            fail("a line of the head is longer than " + std::to_string(limits_.max_line) +
                 " bytes");
            break;
        }
        line_ += piece;
        if (!ends) {
            break;
        }
        if (!line_.ends_with("\r\n")) {
            fail("a line of the head ends without CR");
            break;
        }
        take_line(std::string_view(line_).substr(0, line_.size() - 2));
        line_.clear();
    }
    return used;
}

void ResponseHeadParser::take_line(std::string_view line) {
    if (!is_field_value(line)) {
        fail("a control character in the head");
    } else if (!has_status_line_) {
        has_status_line_ = true;
        take_status_line(line);
    } else if (line.empty()) {
        status_ = Status::complete;
    } else {
        take_field(line);
    }
}

void ResponseHeadParser::take_status_line(std::string_view line) {
    constexpr std::string_view kVersion = "HTTP/1.1 ";
    constexpr std::size_t kStatusDigits = 3;
    const std::string_view status = line.substr(std::min(kVersion.size(), line.size()));
    const std::string_view digits = status.substr(0, kStatusDigits);
    const bool valid = line.starts_with(kVersion) && digits.size() == kStatusDigits &&
                       std::ranges::all_of(digits, base::is_digit) && digits[0] != '0' &&
                       (status.size() == kStatusDigits || status[kStatusDigits] == ' ');
    if (!valid) {
        fail("the answer does not begin with a status line of HTTP/1.1");
        return;
    }
    for (const char digit : digits) {
        head_.status = head_.status * 10 + static_cast<unsigned>(digit - '0');
    }
    head_.reason = base::trim(status.substr(kStatusDigits));
}

void ResponseHeadParser::take_field(std::string_view line) {
    if (++lines_ > limits_.max_lines) {
        fail("the head has more than " + std::to_string(limits_.max_lines) + " lines");
        return;
    }
    if (line.starts_with(' ') || line.starts_with('\t')) {
        // A folded line: a user agent has to take it for a space (RFC 9112 section 5.2).
        if (head_.fields.empty()) {
            fail("the first field of the head has no name");
            return;
        }
        std::string& value = head_.fields.back().value;
        value += value.empty() ? "" : " ";
        value += base::trim(line);
        if (value.size() > limits_.max_line) {
            fail("a folded field of the head is longer than " + std::to_string(limits_.max_line) +
                 " bytes");
        }
        return;
    }
    const std::size_t colon = std::min(line.find(':'), line.size());
    const std::string_view name = line.substr(0, colon);
    if (colon == line.size() || !base::is_token(name)) {
        fail("a line of the head is no field");
        return;
    }
    head_.fields.push_back({std::string(name), std::string(base::trim(line.substr(colon + 1)))});
}

}  // namespace websocket::protocol
