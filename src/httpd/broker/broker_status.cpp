// SPDX-License-Identifier: Apache-2.0
#include "httpd/broker/broker_status.hpp"

#include <http_main.h>
#include <http_protocol.h>
#include <mod_status.h>

#include <array>

#include "httpd/config/config.hpp"
#include "httpd/process/topics.hpp"
#include "hub/bridge_counts.hpp"

namespace websocket::httpd {

namespace {

using hub::BridgeCounts;

struct BrokerFigure {
    const char* name;  ///< for programs, behind "WebSocketBroker"
    const char* text;  ///< for people
    BridgeCounts::Count BridgeCounts::*count;
};
constexpr std::array<BrokerFigure, 10> kBrokerFigures{{
    {"Connected", "connected", &BridgeCounts::connected},
    {"Connects", "connections so far", &BridgeCounts::connects},
    {"MessagesPublished", "messages published", &BridgeCounts::published},
    {"MessagesReceived", "messages received", &BridgeCounts::received},
    {"MessagesDropped", "messages not published", &BridgeCounts::dropped},
    {"MessagesRefused", "messages not understood", &BridgeCounts::refused},
    {"Gaps", "gaps", &BridgeCounts::gaps},
    {"QueuedBytes", "bytes waiting", &BridgeCounts::queued_bytes},
    {"Subscriptions", "channels", &BridgeCounts::subscriptions},
    {"RoundTripMicroseconds", "microseconds there and back", &BridgeCounts::round_trip_us},
}};

}  // namespace

void print_broker_figures(request_rec* r, int flags) {
    if (process_config(ap_server_conf).broker == nullptr) {
        return;
    }
    const BridgeCounts& counts = topic_registry().bridge_counts();
    const bool brief = (flags & AP_STATUS_SHORT) != 0;
    if (!brief) {
        ap_rputs("<p>Broker: ", r);
    }
    for (const BrokerFigure& figure : kBrokerFigures) {
        const auto value = static_cast<apr_uint64_t>((counts.*figure.count).load());
        if (brief) {
            ap_rprintf(r, "WebSocketBroker%s: %" APR_UINT64_T_FMT "\n", figure.name, value);
        } else {
            ap_rprintf(r, "%s%s %" APR_UINT64_T_FMT, &figure != kBrokerFigures.data() ? ", " : "",
                       figure.text, value);
        }
    }
    if (!brief) {
        ap_rputs("</p>\n", r);
    }
}

}  // namespace websocket::httpd
