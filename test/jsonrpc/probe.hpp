// SPDX-License-Identifier: Apache-2.0
// A JSON-RPC service for tests in memory, and what they say to it.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <websocket/jsonrpc.hpp>
#include <websocket/testing.hpp>

#include "unit.hpp"

namespace websocket::test {

using jsonrpc::Value;
using Texts = std::vector<std::string>;

class RpcProbe {
public:
    static constexpr const char* name = "probe";
    static constexpr const char* options[] = {"colour"};

    /// What happened, in the order in which it did.
    static inline Texts events;
    static inline std::vector<jsonrpc::Transaction> open;  // those of the method "later"

    explicit RpcProbe(jsonrpc::Server& server) {
        server.method("subtract", {"minuend", "subtrahend"},
                      [](std::int64_t a, std::int64_t b) { return a - b; });
        server.method("sum", [](const jsonrpc::Params& all) {
            std::int64_t sum = 0;
            for (const auto number : jsonrpc::as<std::vector<std::int64_t>>(all.value))
                sum += number;
            return sum;
        });
        server.method("get_data", [] { return Value::array({"hello", 5}); });
        server.method("update", [](const jsonrpc::Params& /*all*/) {});
        server.method("notify_hello", [](int /*n*/) {});
        server.method("notify_sum", [](const jsonrpc::Params& /*all*/) {});
        server.method("echo", [](const jsonrpc::Params& all) { return all.value; });
        server.method("greet", {"name", "times"},
                      [](std::string who, std::optional<std::uint8_t> times) {
                          std::string text;
                          for (int i = 0; i < times.value_or(1); ++i) text += "hi " + who + ";";
                          return text;
                      });
        server.method("void", [] {});
        server.method("first", [](const jsonrpc::Session& session) { return session.is_new(); });
        server.method("set", {"name", "value"},
                      [](const jsonrpc::Session& session, const std::string& key, Value value) {
                          return session.set_attribute(key, std::move(value));
                      });
        server.method("get", {"name"}, [](const jsonrpc::Session& session, const std::string& key) {
            return session.attribute(key);
        });
        server.method("later", [](const jsonrpc::Transaction& transaction) {
            transaction.start_async();
            open.push_back(transaction);
        });
        server.method("forget", [](const jsonrpc::Transaction& from) { from.start_async(); });
        server.method("nothing", [](const jsonrpc::Transaction& /*from*/) {});
        server.method("twice", [](const jsonrpc::Transaction& from) {
            ck_assert(from.respond("one"));
            ck_assert(!from.respond("two"));
        });
        server.method("error", {"code", "message", "data", "type"},
                      [](const jsonrpc::Transaction& from, int code, const std::string& message,
                         Value data, std::optional<std::string> type) {
                          from.error(code, message, std::move(data), type.value_or(""));
                      });
        server.method("throw", {"code", "message"}, [](int code, const std::string& message) {
            throw jsonrpc::Error(code, message);
        });
        server.method("fail", [] { throw std::runtime_error("secret"); });
        server.method("garbage", [] { return "\xff"; });
        server.method("close", [](const jsonrpc::Session& session) { session.close("enough"); });
        server.method("wait", {"ms"}, [](const jsonrpc::Session& session, int ms) {
            session.set_reconnection_timeout(std::chrono::milliseconds(ms));
        });
        server.method("subscribe", {"topic"},
                      [](const jsonrpc::Session& session, const std::string& topic) {
                          return taken(session.subscribe(topic));
                      });
        server.method("ask", {"method", "params"},
                      [](const jsonrpc::Transaction& from, const std::string& what, Value params) {
                          from.start_async();
                          from.session().request(
                              what, params, [from](const jsonrpc::Answer& answer) {
                                  answer ? from.respond(answer.result) : from.error(*answer.error);
                              });
                      });
        server.on_connected([](const jsonrpc::Session& /*session*/) { say("connected"); });
        server.on_reconnected([](const jsonrpc::Session& /*session*/) { say("reconnected"); });
        server.on_closed(
            [](const jsonrpc::Session& /*session*/, jsonrpc::End why, std::string_view reason) {
                say("closed " + std::to_string(static_cast<int>(why)) + " " + std::string(reason));
            });
        server.on_transport_error([](const jsonrpc::Session& /*session*/, std::string_view what) {
            say("error " + std::string(what));
        });
        server.on_exception([](const jsonrpc::Session& /*session*/, std::string_view what) {
            say("exception " + std::string(what));
        });
    }

    /// What has happened since the last call.
    static Texts happened() { return std::exchange(events, {}); }

private:
    static void say(std::string what) { events.push_back(std::move(what)); }
};

const WebSocketPlugin& rpc_probe();

inline testing::Pairs inline_methods(testing::Pairs options) {
    options.emplace_back("threads", "0");
    return options;
}

inline void expect_texts(const Texts& got, const Texts& wanted) {
    std::string all;
    for (const std::string& text : got) all += text + "\n";
    ck_assert_msg(got == wanted, "got:\n%s", all.c_str());
}

inline void expect_text(const std::string& got, const std::string& wanted) {
    ck_assert_msg(got == wanted, "got %s\nwanted %s", got.c_str(), wanted.c_str());
}
inline void expect_other(const std::string& got, const std::string& unwanted) {
    ck_assert_msg(got != unwanted, "got %s", got.c_str());
}

/// Its one answer to a message.
inline std::string answer_to(testing::Client& client, std::string_view request) {
    client.text(request);
    const Texts texts = client.texts();
    ck_assert_msg(texts.size() == 1, "%zu answers to %s", texts.size(),
                  std::string(request).c_str());
    return texts[0];
}

[[nodiscard]] inline Value json(std::string_view text) {
    return jsonrpc::Reader({std::size_t{64} << 20, 600}).read(text);
}

/// The session that `connect` makes or finds.
inline std::string session_of(testing::Client& client) {
    const Value reply = json(answer_to(client, R"({"jsonrpc":"2.0","id":0,"method":"connect"})"));
    return reply.find("result")->find("sessionId")->text();
}

}  // namespace websocket::test
