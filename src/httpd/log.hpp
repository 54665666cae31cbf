// SPDX-License-Identifier: Apache-2.0
// The engine's and the plugins' lines in httpd's error log.
#pragma once

#include <httpd.h>

#include <atomic>

#include "engine/log.hpp"

namespace websocket::httpd {

class ErrorLog final : public engine::Log {
public:
    explicit ErrorLog(const server_rec* server) noexcept : server_(server) {}
    void write(engine::LogLevel level, std::string_view line) noexcept override;

    /// Nothing more is written: the server_rec is about to go. Async-signal-safe. [any thread]
    void end() noexcept { ended_.store(true); }

private:
    const server_rec* server_;
    std::atomic<bool> ended_{false};
};

/// What a client sent, fit for a log line: escaped, and cut when very long. Lives in `pool`.
[[nodiscard]] const char* printable(apr_pool_t* pool, const char* text);

}  // namespace websocket::httpd
