// SPDX-License-Identifier: Apache-2.0
// What httpd's side keeps about a connection: its lines in logs, and its places below the caps.
#pragma once

#include <httpd.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "engine/connection_id.hpp"
#include "engine/connection_record.hpp"
#include "httpd/handshake/connection_caps.hpp"
#include "httpd/log/log_format.hpp"
#include "httpd/log/log_writer.hpp"
#include "httpd/tunnel/busy_count.hpp"

namespace websocket::httpd {

class Child;

/// When it is destroyed, each line that opened() has begun is completed and written, and the places
/// are given back: once, whatever has become of the connection.
class Record final : public engine::ConnectionRecord {
public:
    /// Null when nobody wants a record of this connection. Throws std::bad_alloc. [httpd worker]
    [[nodiscard]] static std::unique_ptr<Record> make(request_rec* r, Child& child,
                                                      const engine::RateLimits& rates,
                                                      CapLeases leases, BusyCount busy,
                                                      engine::ConnectionId id);

    Record(Child& child, const engine::RateLimits& rates, CapLeases leases, BusyCount busy,
           engine::ConnectionId id);
    ~Record() override;

    /// The plugin has accepted the client: writes the lines about the opening. When there is no
    /// memory for them the connection goes on without. [httpd worker]
    void opened(request_rec* r) noexcept;

private:
    /// A line that waits for the end of the connection.
    struct Line {
        LogSink* sink;
        const LogFormat* format;
        std::string begun;
    };

    void begin_lines(request_rec* r);

    Child& child_;
    const CapLeases leases_;
    const BusyCount busy_;  ///< of a tunnel
    const engine::ConnectionId id_;
    std::chrono::steady_clock::time_point opened_{};
    std::vector<Line> lines_;
};

}  // namespace websocket::httpd
