// SPDX-License-Identifier: Apache-2.0
#include "httpd/status/plugin_figures.hpp"

#include <http_protocol.h>
#include <mod_status.h>

#include <string>
#include <string_view>
#include <vector>

#include "httpd/process/lasting.hpp"
#include "httpd/process/mpm.hpp"

namespace websocket::httpd {

namespace {

using shm::SharedFigures;
using PluginFigures = std::vector<shm::SharedFigures::Figure>;

// httpd's hooks have no other place for it.
shm::SharedFigures* shared_figures = nullptr;

/// The number changes with the layout of SharedFigures, and with what stands in it.
constexpr const char* kFiguresKey = "mod_websocket plugin figures 3";

struct Parts {
    std::string figure;    ///< with the plugin's name
    std::string location;  ///< where the plugin is
};
Parts parts_of(const shm::SharedFigures::Figure& figure) {
    const std::size_t end = figure.name.find('\n');
    return {figure.name.substr(0, end), figure.name.substr(end + 1)};
}

/// Visible ASCII without what would end the name of a line of "?auto"; the rest as %XX.
std::string as_word(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string word;
    for (const char c : text) {
        if (c > ' ' && c < '\x7F' && c != ':' && c != '%') {
            word += c;
        } else {
            const auto octet = static_cast<unsigned char>(c);
            word += {'%', kDigits[octet >> 4], kDigits[octet & 15]};
        }
    }
    return word;
}

void print_figures_for_programs(request_rec* r, const PluginFigures& all) {
    for (const shm::SharedFigures::Figure& figure : all) {
        const Parts parts = parts_of(figure);
        ap_rprintf(r, "WebSocketPlugin %s %s: %" APR_INT64_T_FMT "\n",
                   as_word(parts.figure).c_str(), as_word(parts.location).c_str(),
                   static_cast<apr_int64_t>(figure.value));
    }
}

void print_figures_for_people(request_rec* r, const PluginFigures& all) {
    ap_rputs("<h3>Figures of WebSocket plugins</h3>\n<table border=\"0\"><tr><th>location</th>"
             "<th>figure</th><th>now</th><th>in all</th></tr>\n",
             r);
    for (const shm::SharedFigures::Figure& figure : all) {
        const Parts parts = parts_of(figure);
        const bool now = figure.kind == shm::SharedFigures::Kind::gauge;
        ap_rprintf(r, "<tr><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n",
                   ap_escape_html(r->pool, parts.location.c_str()),
                   ap_escape_html(r->pool, parts.figure.c_str()),
                   now ? std::to_string(figure.value).c_str() : "",
                   now ? "" : std::to_string(figure.value).c_str());
    }
    ap_rputs("</table>\n", r);
}

}  // namespace

void prepare_plugin_figures(server_rec* server) {
    shared_figures = make_lasting<shm::SharedFigures>(server, kFiguresKey, max_processes());
    shared_figures->reap_ended();  // whose end could not be told while the module was unloaded
}

shm::SharedFigures* plugin_figures() noexcept { return shared_figures; }

void end_plugin_figures_of(pid_t child) noexcept {
    if (shared_figures != nullptr) {
        shared_figures->reap(child);
    }
}

void print_plugin_figures(request_rec* r, int flags) {
    const PluginFigures all = shared_figures != nullptr ? shared_figures->read() : PluginFigures();
    if ((flags & AP_STATUS_SHORT) != 0) {
        print_figures_for_programs(r, all);
    } else if ((flags & AP_STATUS_NOTABLE) == 0 && !all.empty()) {
        print_figures_for_people(r, all);
    }
}

}  // namespace websocket::httpd
