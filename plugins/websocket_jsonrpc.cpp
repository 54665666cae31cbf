// SPDX-License-Identifier: Apache-2.0
// An example of a JSON-RPC service, with what most services need. docs/jsonrpc.md tells how it is made.
//
//     echo(...)                  the params as they came
//     sum(...)                   of any numbers
//     remember(name, value)      in the session: a client that comes back finds it again
//     recall(name)
//     subscribe(topic)           from now on the client gets notifications "event" {"topic", "data"}
//     unsubscribe(topic)
//     publish(topic, data)       to all subscribers, whatever process they are in; null
//     count(to, interval)        notifications "count" [1], [2], ..., every `interval` milliseconds; null at the
//                                end
//     ask(method, params)        has the client answer a request, and returns its answer
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <websocket/jsonrpc.hpp>
#include <websocket/sockjs.hpp>

namespace {

using websocket::jsonrpc::Answer;
using websocket::jsonrpc::as;
using websocket::jsonrpc::Error;
using websocket::jsonrpc::InvalidParams;
using websocket::jsonrpc::Params;
using websocket::jsonrpc::Server;
using websocket::jsonrpc::Session;
using websocket::jsonrpc::Transaction;
using websocket::jsonrpc::Value;

class Example {
public:
    static constexpr const char* name = "jsonrpc";
    static constexpr bool never_blocks = true;

    explicit Example(Server& server) : server_(server) {
        server.method("echo", [](const Params& all) { return all.value; });
        server.method("sum", [](const Params& all) {
            double sum = 0;
            for (const double number : as<std::vector<double>>(all.value)) sum += number;
            return sum;
        });
        server.method("remember", {"name", "value"},
                      [](Session session, std::string key, Value what) {
                          if (!session.set_attribute(key, std::move(what))) {
                              throw Error(kTooMuch, "too much to remember");
                          }
                      });
        server.method("recall", {"name"},
                      [](Session session, std::string key) { return session.attribute(key); });
        server.method("subscribe", {"topic"}, [](Session session, std::string topic) {
            if (!taken(session.subscribe(topic_name(topic))))
                throw Error(kTooMuch, "too many topics");
        });
        server.method("unsubscribe", {"topic"}, [](Session session, std::string topic) {
            session.unsubscribe(topic_name(topic));
        });
        server.method("publish", {"topic", "data"}, [this](std::string topic, Value data) {
            const Value event = Value::object({{"topic", topic}, {"data", std::move(data)}});
            if (!taken(server_.publish(topic_name(topic), "event", event))) {
                throw Error(kTooMuch, "not all have got it");
            }
        });
        server.method("count", {"to", "interval"}, count);
        server.method("ask", {"method", "params"},
                      [](Transaction from, std::string method, Value params) {
                          from.start_async();
                          from.session().request(method, params, [from](const Answer& answer) {
                              answer ? from.respond(answer.result) : from.error(*answer.error);
                          });
                      });
    }

private:
    static constexpr std::int32_t kTooMuch = 1;

    /// Clients choose topics, but only among those of this service.
    static std::string topic_name(const std::string& topic) {
        constexpr std::size_t kLongest = 200;
        if (topic.empty() || topic.size() > kLongest) {
            throw InvalidParams("parameter \"topic\": 1 to 200 bytes");
        }
        return "jsonrpc-example:" + topic;
    }

    static void count(Transaction from, std::int64_t to, std::int64_t interval) {
        constexpr std::int64_t kDay = 86400000;
        if (to < 1 || interval < 1 || interval > kDay) {
            throw InvalidParams("parameters \"to\" and \"interval\" are positive");
        }
        from.start_async();
        count_on(from, 1, to, std::chrono::milliseconds(interval));
    }
    /// The timer ends with the connection, and with the timer its function and the transaction.
    static void count_on(const Transaction& from, std::int64_t next, std::int64_t to,
                         std::chrono::milliseconds interval) {
        if (next > to) {
            from.respond();
            return;
        }
        from.connection()
            .after(interval,
                   [from, next, to, interval] {
                       from.session().notify("count", Value::array({next}));
                       count_on(from, next + 1, to, interval);
                   })
            .detach();
    }

    Server& server_;
};

}  // namespace

// Over SockJS, too, where the administrator wants it; else WEBSOCKET_JSONRPC_PLUGIN(jsonrpc_init, Example).
WEBSOCKET_SOCKJS_PLUGIN(jsonrpc_init, websocket::jsonrpc::Plugin<Example>)
