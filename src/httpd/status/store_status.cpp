// SPDX-License-Identifier: Apache-2.0
#include "httpd/status/store_status.hpp"

#include <http_protocol.h>
#include <mod_status.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "httpd/process/history.hpp"
#include "hub/history_store.hpp"
#include "hub/presence_store.hpp"

namespace websocket::httpd {

namespace {

struct StoreFigure {
    const char* name;    ///< for programs, behind "WebSocket"
    const char* text;    ///< for people
    const char* metric;  ///< behind "websocket_"
    const char* help;
    std::uint64_t value;
};

struct StoreFigures {
    const char* title;
    std::vector<StoreFigure> all;
};

/// Nothing about one that is not there, or whose lock a stopped process has.
std::vector<StoreFigures> figures_of_stores() {
    std::vector<StoreFigures> stores;
    if (const hub::HistoryStore* history = history_of_server()) {
        if (const auto usage = history->usage()) {
            stores.push_back(
                {"History",
                 {{"HistoryBytes", "bytes", "history_bytes", "Memory for histories of topics.",
                   history->bytes()},
                  {"HistoryBytesUsed", "used", "history_used_bytes",
                   "Memory for histories of topics that is used.", usage->bytes},
                  {"HistoryTopics", "topics", "history_topics",
                   "Topics that histories know, also without messages.", usage->topics},
                  {"HistoryMessages", "messages", "history_messages",
                   "Messages in histories of topics.", usage->messages}}});
        }
    }
    if (const hub::PresenceStore* presence = presence_if_any()) {
        if (const auto usage = presence->usage()) {
            stores.push_back(
                {"Presence",
                 {{"PresenceBytes", "bytes", "presence_bytes",
                   "Memory for who is present in topics.", presence->bytes()},
                  {"PresenceBytesUsed", "used", "presence_used_bytes",
                   "Memory for who is present in topics that is used.", usage->bytes},
                  {"PresenceTopics", "topics", "presence_topics",
                   "Topics in which somebody is or lately was present.", usage->topics},
                  {"PresenceMembers", "members", "presence_members",
                   "Members of topics; who is in several processes counts once for each.",
                   usage->members}}});
        }
    }
    return stores;
}

}  // namespace

void print_store_figures(request_rec* r, int flags) {
    for (const StoreFigures& store : figures_of_stores()) {
        std::string line;
        for (const StoreFigure& figure : store.all) {
            if ((flags & AP_STATUS_SHORT) != 0) {
                ap_rprintf(r, "WebSocket%s: %" APR_UINT64_T_FMT "\n", figure.name,
                           static_cast<apr_uint64_t>(figure.value));
            } else {
                line += (line.empty() ? "" : ", ") + std::string(figure.text) + ' ' +
                        std::to_string(figure.value);
            }
        }
        if (!line.empty()) {
            ap_rprintf(r, "<p>%s: %s</p>\n", store.title, line.c_str());
        }
    }
}

void add_store_metrics(std::vector<shm::MetricCatalogue::Metric>& metrics) {
    for (const StoreFigures& store : figures_of_stores()) {
        for (const StoreFigure& figure : store.all) {
            metrics.push_back({std::string("websocket_") + figure.metric,
                               shm::MetricType::gauge,
                               figure.help,
                               {},
                               static_cast<std::int64_t>(figure.value)});
        }
    }
}

}  // namespace websocket::httpd
