// SPDX-License-Identifier: Apache-2.0
// The head of an HTTP/1.1 response (RFC 9112 sections 4 and 5), as a client gets it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace websocket::protocol {

struct HeaderField {
    std::string name;
    std::string value;  ///< without white space around it
};

struct ResponseHead {
    unsigned status = 0;  ///< 100 to 999
    std::string reason;   ///< may be empty
    std::vector<HeaderField> fields;

    /// How many fields have this name, whatever its case.
    [[nodiscard]] std::size_t count(std::string_view name) const noexcept;
    /// The values of all fields of this name as one list, with commas between them (RFC 9110 section 5.3).
    /// Throws std::bad_alloc.
    [[nodiscard]] std::string list(std::string_view name) const;
};

/// What a server may make us hold.
struct HeadLimits {
    std::size_t max_line = 8192;  ///< bytes, with CR and LF
    std::size_t max_lines = 100;  ///< behind the status line
};

/// Bytes in, a head out. [one thread]
class ResponseHeadParser {
public:
    enum class Status : std::uint8_t { incomplete, complete, failed };

    explicit ResponseHeadParser(const HeadLimits& limits = {}) noexcept : limits_(limits) {}

    /// Takes bytes up to the end of the head, or to the first line that is wrong. Returns how many; not to
    /// be called again once status() is something else than incomplete. Throws std::bad_alloc.
    std::size_t consume(std::string_view bytes);

    [[nodiscard]] Status status() const noexcept { return status_; }
    /// When complete.
    [[nodiscard]] const ResponseHead& head() const noexcept { return head_; }
    /// What is wrong, when failed.
    [[nodiscard]] const std::string& error() const noexcept { return error_; }

private:
    void fail(std::string why);
    void take_line(std::string_view line);
    void take_status_line(std::string_view line);
    void take_field(std::string_view line);

    HeadLimits limits_;
    Status status_ = Status::incomplete;
    bool has_status_line_ = false;
    std::size_t lines_ = 0;  ///< of fields, so far
    std::string line_;       ///< what has come of the next one
    ResponseHead head_;
    std::string error_;
};

}  // namespace websocket::protocol
