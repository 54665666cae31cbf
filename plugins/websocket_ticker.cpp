// SPDX-License-Identifier: Apache-2.0
// Publishes the time to all its clients: WebSockets, and event streams of browsers (EventSource) and curl. A
// client only listens.
//
//     WebSocketOption interval 1000     milliseconds, 10 to 3600000
//     WebSocketOption topic ticker      what others publish there comes as well
//
// Of all children that have clients, and of all locations with the same topic, the one that leads ticks.
#include <ctime>

#include <websocket/event_stream.hpp>
#include <websocket/plugin.hpp>

namespace {

class Ticker {
public:
    static constexpr const char* name = "ticker";
    static constexpr bool never_blocks = true;

    static void check(const websocket::Options& options) {
        options.allow_only({"interval", "topic"});
        static_cast<void>(interval(options));
        const std::string_view topic = options.text("topic", "ticker");
        if (topic.empty() || topic.size() > 255) {
            throw websocket::OptionError("option topic: it has to be 1 to 255 bytes long");
        }
    }
    Ticker(const websocket::Server& server, const websocket::Options& options)
        : server_(server), topic_(options.text("topic", "ticker")), ticks_(server.gauge("clients")),
          streams_(server) {
        static_cast<void>(server.topics());  // these throw when there are none
        static_cast<void>(server.leaders());
        timer_ = server.every(interval(options), [this] { tick(); });
    }
    websocket::HttpResponse on_http(const websocket::HttpRequest& request) const {
        return streams_.available() && websocket::wants_event_stream(request)
                   ? streams_.accept(request)
                   : websocket::HttpResponse::of_server();
    }
    void on_open(websocket::Connection client) {
        ticks_.add(1);
        if (!taken(client.subscribe(topic_))) client.close(1013, "try again later");
    }
    void on_message(websocket::Connection, websocket::Message) {}
    void on_close(websocket::Connection, const websocket::Close&) { ticks_.add(-1); }

private:
    static std::chrono::milliseconds interval(const websocket::Options& options) {
        return std::chrono::milliseconds(options.number("interval", 1000, 10, 3'600'000));
    }
    void tick() const {
        if (!server_.leads(topic_)) return;
        const std::time_t now = std::time(nullptr);
        std::tm utc{};
        ::gmtime_r(&now, &utc);
        char text[32];
        const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
        server_.publish(topic_, std::string_view(text, size));
    }

    const websocket::Server& server_;
    const std::string topic_;
    const websocket::Metric ticks_;
    const websocket::EventStreams streams_;
    websocket::Timer timer_;
};

}  // namespace

WEBSOCKET_PLUGIN(ticker_init, Ticker)
