// SPDX-License-Identifier: Apache-2.0
// What tests of the JSON-RPC client have in common: how it is configured, what it tells, what futures hold.
#pragma once

#include <chrono>
#include <exception>
#include <future>
#include <string>
#include <vector>

#include "client/fake_server.hpp"
#include "engine/awaiting.hpp"
#include "unit.hpp"
#include "websocket/jsonrpc_client.hpp"

namespace websocket::test {

using namespace websocket::jsonrpc;

/// What a client tells, in order: "connected s1", "reconnecting 1006" and so on.
struct Log {
    Awaited<std::vector<std::string>> lines;

    void add(std::string line) {
        lines.update([&](auto& all) { all.push_back(std::move(line)); });
    }
    void await(const std::string& line) {
        if (!lines.holds(
                [&](const auto& all) { return !all.empty() && all.front().starts_with(line); })) {
            const auto all = lines.get();
            ck_abort_msg("waited in vain for %s; there is %s", line.c_str(),
                         all.empty() ? "nothing" : all.front().c_str());
        }
        lines.update([](auto& all) { all.erase(all.begin()); });
    }
};

/// Tries again soon, so that tests do; listeners write to the log.
inline Configuration configured(const FakeServer& server, Log& log) {
    Configuration configuration;
    configuration.ws.uri = server.uri();
    configuration.ws.reconnection.min_delay = 1ms;
    configuration.ws.reconnection.max_delay = 20ms;
    configuration.ws.on_connected = [&log](const ConnectedInfo& info) {
        log.add("connected " + info.session_id.value_or("none"));
    };
    configuration.ws.on_reconnected = [&log](const ReconnectedInfo& info) {
        log.add("reconnected " + info.session_id.value_or("none") +
                (info.same_session ? " same" : " other"));
    };
    configuration.ws.on_reconnecting = [&log](const CloseInfo& info) {
        log.add("reconnecting " + std::to_string(info.code) + ' ' + info.reason);
    };
    configuration.ws.on_connection_failed = [&log](const ConnectionError& error) {
        log.add(std::string("failed ") + error.what());
    };
    configuration.ws.on_disconnect = [&log](const CloseInfo& info) {
        log.add("disconnect " + std::to_string(info.code) + ' ' + info.reason);
    };
    configuration.ws.on_error = [&log](const std::exception_ptr& error) {
        try {
            std::rethrow_exception(error);
        } catch (const std::exception& thrown) {
            log.add(std::string("error ") + thrown.what());
        }
    };
    // No request runs out of time by chance.
    configuration.rpc.request_timeout = 60s;
    return configuration;
}

/// What the future throws, or "" if it throws nothing.
template <class Wanted, class T>
std::string thrown_by(std::future<T>& future) {
    ck_assert_msg(future.wait_for(kPatience) == std::future_status::ready, "a future hangs");
    try {
        static_cast<void>(future.get());
    } catch (const Wanted& error) {
        return error.what();
    }
    return {};
}

template <class Wanted, class T>
void expect_thrown(std::future<T>& future, const std::string& what) {
    const std::string thrown = thrown_by<Wanted>(future);
    ck_assert_msg(thrown == what, "thrown is \"%s\"", thrown.c_str());
}

inline Value got(std::future<Value>& future) {
    ck_assert_msg(future.wait_for(kPatience) == std::future_status::ready, "a future hangs");
    return future.get();
}

}  // namespace websocket::test
