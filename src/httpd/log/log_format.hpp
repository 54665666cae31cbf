// SPDX-License-Identifier: Apache-2.0
// The format of a WebSocketLog, in the style of LogFormat: parsed once, begun when a connection
// opens, with all that only the request knows, and completed when it is over.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/connection_record.hpp"

namespace websocket::httpd {

/// What stands at one place of a line.
enum class LogField : std::uint8_t {
    text,  ///< the argument itself
    // asked for when the line is begun
    client_address,
    peer_address,
    local_address,
    remote_host,
    user,
    path,
    query,
    server_name,
    host,
    request_header,
    response_header,
    variable,
    process_id,
    log_id,
    id,
    subprotocol,
    extensions,
    version,
    transport,
    backend,
    opened,  ///< the time; filled in without asking
    // filled in when the line is completed
    first_late,
    event = first_late,
    closed,  ///< the time
    duration_s,
    duration_ms,
    duration_us,
    bytes_in,
    bytes_out,
    messages_in,
    messages_out,
    code,
    closed_by,
    reason,
};

struct LogItem {
    LogField field;
    std::string argument;  ///< a text, the name of a header or variable, or the format of a time
};

/// What is known when a connection is over.
struct LogEnd {
    engine::Traffic traffic;
    engine::Ending ending;
    std::chrono::microseconds duration;
    std::chrono::system_clock::time_point when;
};

class LogFormat {
public:
    /// Bytes of a value, escaped; longer ones are cut.
    static constexpr std::size_t kLongestValue = 1024;
    /// Bytes of a line with its newline; longer ones are cut. A pipe takes as many (PIPE_BUF) in
    /// one piece.
    static constexpr std::size_t kLongestLine = 4096;

    /// The value of an item; nothing is written as "-".
    using Lookup = std::function<std::optional<std::string_view>(const LogItem& item)>;

    /// Nothing when `format` is wrong; `error` then is what is wrong with it and what is allowed.
    [[nodiscard]] static std::optional<LogFormat> parse(std::string_view format,
                                                        std::string& error);

    /// A line in which a NUL stands for each late item.
    [[nodiscard]] std::string begin(std::chrono::system_clock::time_point opened,
                                    const Lookup& lookup) const;

    /// The whole line, newline included. `end` is null for the line of an opening.
    [[nodiscard]] std::string complete(std::string_view begun, const LogEnd* end) const;

    [[nodiscard]] const std::vector<LogItem>& items() const noexcept { return items_; }

private:
    std::vector<LogItem> items_;
};

/// Appends `value` as httpd's logs show what came from outside: quotes, backslashes and all that is
/// not printable ASCII as \" \\ \n \xhh. At most `most` bytes.
void append_escaped(std::string& line, std::string_view value, std::size_t most);

}  // namespace websocket::httpd
