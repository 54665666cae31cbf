// SPDX-License-Identifier: Apache-2.0
#include "httpd/broker/broker_status.hpp"

#include <http_main.h>
#include <http_protocol.h>
#include <mod_status.h>

#include <array>
#include <string>

#include "httpd/config/config.hpp"
#include "httpd/process/topics.hpp"
#include "hub/bridge_counts.hpp"

namespace websocket::httpd {

namespace {

using hub::BridgeCounts;

using shm::MetricType;

struct BrokerFigure {
    const char* name;  ///< for programs, behind "WebSocketBroker"
    const char* text;  ///< for people
    BridgeCounts::Count BridgeCounts::*count;
    const char* metric;  ///< behind "websocket_broker_"
    MetricType type;
    const char* help;
};
constexpr std::array<BrokerFigure, 10> kBrokerFigures{{
    {"Connected", "connected", &BridgeCounts::connected, "connected", MetricType::gauge,
     "1 while the bridge carries messages between hosts, else 0."},
    {"Connects", "connections so far", &BridgeCounts::connects, "connects", MetricType::counter,
     "Connections to the broker that became usable."},
    {"MessagesPublished", "messages published", &BridgeCounts::published, "messages_published",
     MetricType::counter, "Messages of this host that the broker has confirmed."},
    {"MessagesReceived", "messages received", &BridgeCounts::received, "messages_received",
     MetricType::counter, "Messages that came from the broker."},
    {"MessagesDropped", "messages not published", &BridgeCounts::dropped, "messages_dropped",
     MetricType::counter, "Messages of this host that may not have reached other hosts."},
    {"MessagesRefused", "messages not understood", &BridgeCounts::refused, "messages_refused",
     MetricType::counter, "Messages from the broker that were not understood."},
    {"Gaps", "gaps", &BridgeCounts::gaps, "gaps", MetricType::counter,
     "Times that messages of other hosts may be missing."},
    {"QueuedBytes", "bytes waiting", &BridgeCounts::queued_bytes, "queued_bytes", MetricType::gauge,
     "Bytes of messages that wait for the broker."},
    {"Subscriptions", "channels", &BridgeCounts::subscriptions, "subscriptions", MetricType::gauge,
     "Channels of the broker that this host subscribes to."},
    {"RoundTripMicroseconds", "microseconds there and back", &BridgeCounts::round_trip_us,
     "round_trip_microseconds", MetricType::gauge,
     "Time that the last message of the bridge to itself took through the broker."},
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

void add_broker_metrics(std::vector<shm::MetricCatalogue::Metric>& metrics) {
    if (process_config(ap_server_conf).broker == nullptr) {
        return;
    }
    const BridgeCounts& counts = topic_registry().bridge_counts();
    for (const BrokerFigure& figure : kBrokerFigures) {
        metrics.push_back({std::string("websocket_broker_") + figure.metric,
                           figure.type,
                           figure.help,
                           {},
                           static_cast<std::int64_t>((counts.*figure.count).load())});
    }
}

}  // namespace websocket::httpd
