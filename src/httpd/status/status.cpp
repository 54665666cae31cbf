// SPDX-License-Identifier: Apache-2.0
#include "httpd/status/status.hpp"

#include <http_log.h>
#include <http_protocol.h>
#include <mod_status.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "httpd/broker/broker_status.hpp"
#include "httpd/module.hpp"
#include "httpd/status/own_metrics.hpp"
#include "httpd/status/plugin_figures.hpp"
#include "httpd/status/store_status.hpp"
#include "shm/metric_catalogue.hpp"

namespace websocket::httpd {

namespace {

using shm::MetricCatalogue;

struct TopicFigure {
    const char* column;
    const char* name;  ///< for programs, behind "WebSocketTopic"
};
/// In the order of OwnMetrics::topics.
constexpr std::array<TopicFigure, 4> kTopicFigures{{
    {"topics", "s"},
    {"subscriptions", "Subscriptions"},
    {"listeners", "Listeners"},
    {"dropped", "MessagesDropped"},
}};
static_assert(kTopicFigures.size() == OwnMetrics::OfTopics().size());

/// Of one process, or of all.
struct Figures {
    std::uint64_t open = 0;
    std::uint64_t hanging_loops = 0;
    std::array<std::uint64_t, kTransports> by_transport{};
    std::array<std::uint64_t, kCompressors> by_compressor{};
    std::array<std::uint64_t, kTopicFigures.size()> of_topics{};

    Figures() = default;
    explicit Figures(const MetricCatalogue::Reading& reading) {
        const auto value = [&](OwnMetrics::Id id) {
            return static_cast<std::uint64_t>(reading[id]);
        };
        hanging_loops = value(own_metrics().hanging_loops);
        std::ranges::transform(own_metrics().topics, of_topics.begin(), value);
        for (std::size_t transport = 0; transport < kTransports; ++transport) {
            for (std::size_t compressor = 0; compressor < kCompressors; ++compressor) {
                const std::uint64_t count =
                    value(own_metrics().connections.at(transport).at(compressor));
                open += count;
                by_transport.at(transport) += count;
                by_compressor.at(compressor) += count;
            }
        }
    }

    void add(const Figures& other) {
        open += other.open;
        hanging_loops += other.hanging_loops;
        std::ranges::transform(by_transport, other.by_transport, by_transport.begin(), std::plus{});
        std::ranges::transform(by_compressor, other.by_compressor, by_compressor.begin(),
                               std::plus{});
        std::ranges::transform(of_topics, other.of_topics, of_topics.begin(), std::plus{});
    }
};

void print_for_programs(request_rec* r, const Figures& all) {
    const auto print = [r](const char* name, std::uint64_t count) {
        ap_rprintf(r, "WebSocketConnections%s: %" APR_UINT64_T_FMT "\n", name,
                   static_cast<apr_uint64_t>(count));
    };
    print("", all.open);
    for (std::size_t i = 0; i < kTransports; ++i) {
        std::string name = kTransportNames.at(i);
        name.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(name.front())));
        print(name.c_str(), all.by_transport.at(i));
    }
    print("DeflateShared", all.by_compressor[static_cast<std::size_t>(Compressor::shared)]);
    print("DeflateDedicated", all.by_compressor[static_cast<std::size_t>(Compressor::dedicated)]);
    ap_rprintf(r, "WebSocketHangingLoops: %" APR_UINT64_T_FMT "\n",
               static_cast<apr_uint64_t>(all.hanging_loops));
    for (std::size_t i = 0; i < kTopicFigures.size(); ++i) {
        ap_rprintf(r, "WebSocketTopic%s: %" APR_UINT64_T_FMT "\n", kTopicFigures.at(i).name,
                   static_cast<apr_uint64_t>(all.of_topics.at(i)));
    }
}

void print_row(request_rec* r, const char* name, const Figures& figures) {
    ap_rprintf(r, "<tr><td>%s</td><td>%" APR_UINT64_T_FMT "</td>", name,
               static_cast<apr_uint64_t>(figures.open));
    const auto print = [r](std::uint64_t count) {
        ap_rprintf(r, "<td>%" APR_UINT64_T_FMT "</td>", static_cast<apr_uint64_t>(count));
    };
    std::ranges::for_each(figures.by_transport, print);
    std::for_each(figures.by_compressor.begin() + 1, figures.by_compressor.end(), print);
    std::ranges::for_each(figures.of_topics, print);
    ap_rputs("</tr>\n", r);
}

struct ProcessFigures {
    pid_t process;
    Figures figures;
};

void print_for_people(request_rec* r, const Figures& all,
                      const std::vector<ProcessFigures>& processes, bool tables) {
    ap_rprintf(r,
               "<hr />\n<h2>WebSockets</h2>\n<p>%" APR_UINT64_T_FMT
               " open in %lu child processes</p>\n",
               static_cast<apr_uint64_t>(all.open), static_cast<unsigned long>(processes.size()));
    if (all.hanging_loops != 0) {
        ap_rprintf(r,
                   "<p>%" APR_UINT64_T_FMT " event loops hang: see WS0306 in the error log</p>\n",
                   static_cast<apr_uint64_t>(all.hanging_loops));
    }
    if (!tables || processes.empty()) {
        return;
    }
    ap_rputs("<table border=\"0\"><tr><th>PID</th><th>open</th>", r);
    for (const char* name : kTransportNames) {
        ap_rprintf(r, "<th>%s</th>", name);
    }
    ap_rputs("<th>deflate Shared</th><th>deflate Dedicated</th>", r);
    for (const TopicFigure& figure : kTopicFigures) {
        ap_rprintf(r, "<th>%s</th>", figure.column);
    }
    ap_rputs("</tr>\n", r);
    for (const auto& [process, figures] : processes) {
        print_row(r, std::to_string(process).c_str(), figures);
    }
    print_row(r, "all", all);
    ap_rputs("</table>\n", r);
}

int print_status(request_rec* r, int flags) {
    const MetricCatalogue* catalogue = metric_catalogue();
    if (catalogue == nullptr) {
        return DECLINED;
    }
    std::vector<ProcessFigures> processes;
    Figures all;
    try {
        catalogue->for_each_process([&](pid_t process, const MetricCatalogue::Reading& reading) {
            const Figures figures(reading);
            all.add(figures);
            if (figures.open != 0 || figures.hanging_loops != 0) {
                processes.push_back({process, figures});
            }
        });
        if ((flags & AP_STATUS_SHORT) != 0) {
            print_for_programs(r, all);
        } else {
            print_for_people(r, all, processes, (flags & AP_STATUS_NOTABLE) == 0);
        }
        print_broker_figures(r, flags);
        print_store_figures(r, flags);
        print_plugin_figures(r, flags, *catalogue);
    } catch (const std::bad_alloc&) {
        return DECLINED;
    }
    return OK;
}

}  // namespace

int prepare_status(apr_pool_t* /*pconf*/, apr_pool_t* /*plog*/, apr_pool_t* /*ptemp*/,
                   server_rec* server) {
    try {
        prepare_metrics(server);
    } catch (const std::system_error& error) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_WARNING, error.code().value(), server,
                     "WS0140: no memory that the children could share: mod_status will not show "
                     "WebSockets");
    }
    return OK;
}

void reap_status_of_child(server_rec* /*server*/, pid_t child, ap_generation_t /*generation*/,
                          int /*slot*/, mpm_child_status status) {
    if (status == MPM_CHILD_EXITED && metric_catalogue() != nullptr) {
        metric_catalogue()->reap(child);
    }
}

void register_status() {
    APR_OPTIONAL_HOOK(ap, status_hook, print_status, nullptr, nullptr, APR_HOOK_MIDDLE);
}

}  // namespace websocket::httpd
