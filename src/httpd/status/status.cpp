// SPDX-License-Identifier: Apache-2.0
#include "httpd/status/status.hpp"

#include <http_log.h>
#include <http_protocol.h>
#include <mod_status.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <functional>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "httpd/module.hpp"
#include "httpd/process/lasting.hpp"
#include "httpd/process/mpm.hpp"
#include "httpd/status/plugin_figures.hpp"
#include "shm/per_process.hpp"

namespace websocket::httpd {

namespace {

using engine::OpenCounts;

/// What was agreed on for messages of the server.
enum class Compressor : std::uint8_t {
    none,
    shared,     ///< each message by itself
    dedicated,  ///< they refer to earlier ones
};

constexpr std::size_t kTransports = kTransportNames.size();
constexpr std::size_t kCompressors = 3;
static_assert(kTransports * kCompressors <= OpenCounts::kCategories);

constexpr std::size_t category(std::size_t transport, std::size_t compressor) {
    return transport * kCompressors + compressor;
}

// httpd's hooks have no other place for it.
shm::PerProcess* shown = nullptr;

/// What a process shows. Zeros are a valid one.
struct Shown {
    OpenCounts open;
    std::atomic<std::uint32_t> hanging_loops;
    hub::TopicCounts topics;
};

/// The number changes with the layout of PerProcess and Shown.
constexpr const char* kStatusKey = "mod_websocket status 4";

struct TopicFigure {
    const char* column;
    const char* name;  ///< for programs, behind "WebSocketTopic"
    hub::TopicCounts::Count hub::TopicCounts::*count;
};
constexpr std::array<TopicFigure, 4> kTopicFigures{{
    {"topics", "s", &hub::TopicCounts::topics},
    {"subscriptions", "Subscriptions", &hub::TopicCounts::subscriptions},
    {"listeners", "Listeners", &hub::TopicCounts::listeners},
    {"dropped", "MessagesDropped", &hub::TopicCounts::dropped},
}};

struct Figures {
    std::uint64_t open = 0;
    std::uint64_t hanging_loops = 0;
    std::array<std::uint64_t, kTransports> by_transport{};
    std::array<std::uint64_t, kCompressors> by_compressor{};
    std::array<std::uint64_t, kTopicFigures.size()> of_topics{};

    Figures() = default;
    explicit Figures(const Shown& one) : hanging_loops(one.hanging_loops.load()) {
        std::ranges::transform(kTopicFigures, of_topics.begin(), [&one](const TopicFigure& figure) {
            return (one.topics.*figure.count).load(std::memory_order_relaxed);
        });
        for (std::size_t transport = 0; transport < kTransports; ++transport) {
            for (std::size_t compressor = 0; compressor < kCompressors; ++compressor) {
                const std::uint64_t count = one.open.open(category(transport, compressor));
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

Shown* own_shown() noexcept {
    return shown != nullptr ? static_cast<Shown*>(shown->own()) : nullptr;
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
    if (shown == nullptr) {
        return DECLINED;
    }
    std::vector<ProcessFigures> processes;
    Figures all;
    try {
        shown->for_each([&](pid_t process, const void* part) {
            const Figures figures(*static_cast<const Shown*>(part));
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
        print_plugin_figures(r, flags);
    } catch (const std::bad_alloc&) {
        return DECLINED;
    }
    return OK;
}

}  // namespace

int prepare_status(apr_pool_t* /*pconf*/, apr_pool_t* /*plog*/, apr_pool_t* /*ptemp*/,
                   server_rec* server) {
    try {
        shown = make_lasting<shm::PerProcess>(server, kStatusKey, max_processes(), sizeof(Shown));
        shown->reap_ended();  // whose end could not be told while the module was unloaded
        prepare_plugin_figures(server);
    } catch (const std::system_error& error) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_WARNING, error.code().value(), server,
                     "WS0140: no memory that the children could share: mod_status will not show "
                     "WebSockets");
    }
    return OK;
}

void reap_status_of_child(server_rec* /*server*/, pid_t child, ap_generation_t /*generation*/,
                          int /*slot*/, mpm_child_status status) {
    if (status == MPM_CHILD_EXITED && shown != nullptr) {
        shown->reap(child);
        end_plugin_figures_of(child);
    }
}

OpenCounts* own_open_counts() noexcept {
    Shown* own = own_shown();
    return own != nullptr ? &own->open : nullptr;
}

void show_hanging_loops(std::uint32_t count) noexcept {
    if (Shown* own = own_shown()) {
        own->hanging_loops.store(count);
    }
}

hub::TopicCounts* own_topic_counts() noexcept {
    Shown* own = own_shown();
    return own != nullptr ? &own->topics : nullptr;
}

std::uint8_t status_category(TransportKind transport,
                             const protocol::DeflateSettings& deflate) noexcept {
    auto compressor = Compressor::none;
    if (deflate.agreed()) {
        compressor = deflate.server_takeover ? Compressor::dedicated : Compressor::shared;
    }
    return static_cast<std::uint8_t>(
        category(static_cast<std::size_t>(transport), static_cast<std::size_t>(compressor)));
}

void register_status() {
    APR_OPTIONAL_HOOK(ap, status_hook, print_status, nullptr, nullptr, APR_HOOK_MIDDLE);
}

}  // namespace websocket::httpd
