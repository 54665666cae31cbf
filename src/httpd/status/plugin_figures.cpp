// SPDX-License-Identifier: Apache-2.0
#include "httpd/status/plugin_figures.hpp"

#include <http_protocol.h>
#include <mod_status.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "plugin/common/metrics.hpp"

namespace websocket::httpd {

namespace {

struct Figure {
    std::string name;      ///< with the plugin's
    std::string location;  ///< where the plugin is
    shm::MetricType type;
    std::int64_t value;
};

/// Those of plugins have labels that say of which.
std::vector<Figure> figures_of(const shm::MetricCatalogue& catalogue) {
    std::vector<Figure> figures;
    for (const shm::MetricCatalogue::Metric& metric : catalogue.read()) {
        const std::string* of_plugin = metric.label(plugin::MetricName::kPluginLabel);
        const std::string* location = metric.label(plugin::MetricName::kLocationLabel);
        if (of_plugin != nullptr && location != nullptr) {
            figures.push_back(
                {*of_plugin + '.' + metric.name, *location, metric.type, metric.value});
        }
    }
    std::ranges::sort(figures, {}, [](const Figure& figure) {
        return std::tie(figure.name, figure.location, figure.type);
    });
    return figures;
}

/// Visible ASCII without what would end the name of a line of "?auto"; the rest as %XX.
std::string as_word(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string word;
    for (const char c : text) {
        if (c > ' ' && c < '\x7F' && c != ':' && c != '%') {
            word += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            word += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
        }
    }
    return word;
}

void print_figures_for_programs(request_rec* r, const std::vector<Figure>& all) {
    for (const Figure& figure : all) {
        ap_rprintf(r, "WebSocketPlugin %s %s: %" APR_INT64_T_FMT "\n", as_word(figure.name).c_str(),
                   as_word(figure.location).c_str(), static_cast<apr_int64_t>(figure.value));
    }
}

void print_figures_for_people(request_rec* r, const std::vector<Figure>& all) {
    ap_rputs("<h3>Figures of WebSocket plugins</h3>\n<table border=\"0\"><tr><th>location</th>"
             "<th>figure</th><th>now</th><th>in all</th></tr>\n",
             r);
    for (const Figure& figure : all) {
        const bool now = figure.type == shm::MetricType::gauge;
        ap_rprintf(r, "<tr><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n",
                   ap_escape_html(r->pool, figure.location.c_str()),
                   ap_escape_html(r->pool, figure.name.c_str()),
                   now ? std::to_string(figure.value).c_str() : "",
                   now ? "" : std::to_string(figure.value).c_str());
    }
    ap_rputs("</table>\n", r);
}

}  // namespace

void print_plugin_figures(request_rec* r, int flags, const shm::MetricCatalogue& catalogue) {
    const std::vector<Figure> all = figures_of(catalogue);
    if ((flags & AP_STATUS_SHORT) != 0) {
        print_figures_for_programs(r, all);
    } else if ((flags & AP_STATUS_NOTABLE) == 0 && !all.empty()) {
        print_figures_for_people(r, all);
    }
}

}  // namespace websocket::httpd
