// SPDX-License-Identifier: Apache-2.0
#include "httpd/log/record.hpp"

#include <apr_strings.h>
#include <http_config.h>
#include <http_log.h>

#include <exception>
#include <new>
#include <utility>

#include "httpd/log/connection_log.hpp"
#include "httpd/log/log.hpp"
#include "httpd/log/log_values.hpp"
#include "httpd/module.hpp"
#include "httpd/process/child.hpp"

namespace websocket::httpd {

namespace {

using std::chrono::steady_clock;
using std::chrono::system_clock;

/// The line at the end is asked of the server, so both are.
bool is_in_error_log(const request_rec* r) {
    return APLOG_IS_LEVEL(r->server, APLOG_INFO) && APLOG_R_IS_LEVEL(r, APLOG_INFO);
}

}  // namespace

std::unique_ptr<Record> Record::make(request_rec* r, Child& child, const engine::RateLimits& rates,
                                     CapLeases leases, BusyCount busy, engine::ConnectionId id) {
    const bool wanted = leases.any() || busy.any() || rates.any() || is_in_error_log(r) ||
                        !connection_logs(r->server).empty();
    return wanted ? std::make_unique<Record>(child, rates, std::move(leases), std::move(busy), id)
                  : nullptr;
}

Record::Record(Child& child, const engine::RateLimits& rates, CapLeases leases, BusyCount busy,
               engine::ConnectionId id)
    : ConnectionRecord(rates), child_(child), leases_(std::move(leases)), busy_(std::move(busy)),
      id_(id) {}

void Record::opened(request_rec* r) noexcept {
    opened_ = steady_clock::now();
    try {
        begin_lines(r);
    } catch (const std::exception&) {
        log_limited(r, APLOG_ERR,
                    "WS0137: out of memory, descriptors or threads, a connection will be missing "
                    "in logs");
    }
}

void Record::begin_lines(request_rec* r) {
    const auto now = system_clock::now();
    const auto lookup = [&](const LogItem& item) { return log_value(r, item, id_); };
    const auto logs = connection_logs(r->server);
    if (!logs.empty() || is_in_error_log(r)) {
        child_.log_writer().begin();
    }
    lines_.reserve(logs.size() + 1);
    for (ConnectionLog* log : logs) {
        std::string begun = log->format().begin(now, lookup);
        if (log->wants_open()) {
            child_.log_writer().push(*log, log->format().complete(begun, nullptr));
        }
        if (log->wants_close()) {
            lines_.push_back({log, &log->format(), std::move(begun)});
        }
    }
    if (is_in_error_log(r)) {
        ErrorLogSinks& sinks = child_.error_logs();
        const std::string line = sinks.opening_line().begin(now, lookup);
        const LogFormat& closing = sinks.closing_line();
        lines_.push_back({&sinks.of(r->server), &closing, closing.begin(now, lookup)});
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "%s", line.c_str());
    }
}

Record::~Record() {
    using std::chrono::duration_cast;
    using std::chrono::microseconds;
    if (lines_.empty()) {
        return;
    }
    const LogEnd end{traffic, ending, duration_cast<microseconds>(steady_clock::now() - opened_),
                     system_clock::now()};
    for (const Line& line : lines_) {
        std::string text;
        try {
            text = line.format->complete(line.begun, &end);
        } catch (const std::bad_alloc&) {
            text.clear();
        }
        child_.log_writer().push(*line.sink, std::move(text));
    }
}

}  // namespace websocket::httpd
