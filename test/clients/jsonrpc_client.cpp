// SPDX-License-Identifier: Apache-2.0
// A jsonrpc::Client that is told what to do, as jsonrpc_client.mjs is: each line of the input is {"n", "call", "arguments"};
// what comes of it is printed as {"n", "result"} or {"n", "error"}, what happens besides as {"event", "info"}.
#include <chrono>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <websocket/jsonrpc/reader.hpp>
#include <websocket/jsonrpc/writer.hpp>
#include <websocket/jsonrpc_client.hpp>

using namespace websocket::jsonrpc;
using std::chrono::milliseconds;

namespace {

void print(const Value& line) {
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    std::cout << to_json(line) << std::endl;
}

void report(const char* event, Value info = {}) {
    print(Value::object({{"event", event}, {"info", std::move(info)}}));
}

Value described(const std::exception_ptr& thrown) {
    const auto named = [](const char* name, const std::exception& error, Value code = {}) {
        return Value::object(
            {{"name", name}, {"message", error.what()}, {"code", std::move(code)}});
    };
    try {
        std::rethrow_exception(thrown);
    } catch (const Error& error) {
        return named("JsonRpcError", error, error.code);
    } catch (const ConnectionError& error) {
        return named("ConnectionError", error, error.code);
    } catch (const RequestTimeoutError& error) {
        return named("RequestTimeoutError", error);
    } catch (const ClosedError& error) {
        return named("ClosedError", error);
    } catch (const std::exception& error) {
        return named("Error", error);
    }
}

Value described(const CloseInfo& info) {
    return Value::object({{"code", info.code}, {"reason", info.reason}, {"final", info.final}});
}

/// The member, or what it is without.
template <class T>
T option(const Value& from, const char* name, T otherwise) {
    return member<std::optional<T>>(from, name).value_or(std::move(otherwise));
}

Configuration configured(const std::string& uri, const Value& given) {
    Configuration configuration;
    configuration.ws.uri = uri;
    if (const auto heartbeat = option(given, "heartbeat", 0); heartbeat > 0) {
        configuration.heartbeat = milliseconds(heartbeat);
    }
    configuration.send_close_message = option(given, "sendCloseMessage", false);
    configuration.session = option(given, "session", true);
    configuration.rpc.request_timeout = milliseconds(option(given, "requestTimeout", 5000));
    configuration.ws.tls.verify = option(given, "verify", true);
    configuration.ws.tls.ca_file = option(given, "caFile", std::string());
    configuration.ws.reconnection.min_delay = milliseconds(20);
    configuration.ws.reconnection.max_delay = milliseconds(200);
    const auto session = [](const std::optional<std::string>& id) { return Value(id); };
    configuration.ws.on_connected = [session](const ConnectedInfo& info) {
        report("onconnected", Value::object({{"sessionId", session(info.session_id)}}));
    };
    configuration.ws.on_reconnected = [session](const ReconnectedInfo& info) {
        report("onreconnected", Value::object({{"sessionId", session(info.session_id)},
                                               {"sameSession", info.same_session}}));
    };
    configuration.ws.on_reconnecting = [](const CloseInfo& info) {
        report("onreconnecting", described(info));
    };
    configuration.ws.on_disconnect = [](const CloseInfo& info) {
        report("ondisconnect", described(info));
    };
    configuration.ws.on_connection_failed = [](const ConnectionError& error) {
        report("onerror", Value::object({{"message", error.what()}}));
    };
    configuration.ws.on_error = [](const std::exception_ptr& error) {
        report("onerror", described(error));
    };
    configuration.rpc.methods = {
        {"event", Method([](const Value& params) { report("event", params); })},
        {"count", Method([](const Value& params) { report("count", params); })},
        {"double", Method([](const Value& params) { return params.items().at(0).number() * 2; })},
        {"reply", Method([](const ServerRequest& request) {
             request.success(Value::object({{"got", request.params()}}));
         })},
        {"fail", Method([](const Value&) { throw std::runtime_error("of the client"); })},
        {"never",
         Method([](const ServerRequest& request) { static const ServerRequest kept = request; })}};
    return configuration;
}

void obey(Client& client, const Value& line) {
    const Value n = *line.find("n");
    const auto call = member<std::string>(line, "call");
    const Value::Array arguments = line.find("arguments")->items();
    const auto argument = [&](std::size_t i) {
        return i < arguments.size() ? arguments[i] : Value();
    };
    const auto result = [n](Value value) {
        print(Value::object({{"n", n}, {"result", std::move(value)}}));
    };
    const auto failed = [n](const std::exception_ptr& error) {
        print(Value::object({{"n", n}, {"error", described(error)}}));
    };
    try {
        if (call == "send") {
            SendOptions options;
            options.retries = argument(2).is_object() ? option(argument(2), "retries", 0U) : 0U;
            client.send(
                argument(0).text(), argument(1),
                [=](const Outcome& outcome) {
                    outcome ? result(outcome.result()) : failed(outcome.error());
                },
                options);
        } else if (call == "notify") {
            client.notify(argument(0).text(), argument(1));
            result({});
        } else if (call == "forceClose") {
            client.force_close(milliseconds(argument(0).integer<int>().value()));
            result({});
        } else if (call == "close") {
            result(described(client.close().get()));
        } else if (call == "look") {
            constexpr const char* kStates[] = {"connecting", "connected", "reconnecting",
                                               "disconnected"};
            result(Value::object({{"state", kStates[static_cast<std::size_t>(client.state())]},
                                  {"sessionId", Value(client.session_id())},
                                  {"pendingRequests", client.pending_requests()}}));
        }
    } catch (const std::exception&) {
        failed(std::current_exception());
    }
}

}  // namespace

int main(int count, char** words) {
    const Reader reader({});
    Client client(configured(words[1], count > 2 ? reader.read(words[2]) : Value::object()));
    client.connect();
    for (std::string line; std::getline(std::cin, line);) obey(client, reader.read(line));
    client.close().wait();
    return 0;
}
