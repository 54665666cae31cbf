// SPDX-License-Identifier: Apache-2.0
#include "bridge/redis_errors.hpp"

#include <algorithm>
#include <array>

#include "bridge/printable.hpp"

namespace websocket::bridge {

namespace {

struct KnownError {
    std::string_view begin;
    bool ends;
    std::string_view meaning;
};

constexpr std::array kKnownErrors{
    KnownError{"LOADING", true, "it still reads its data"},
    KnownError{"MASTERDOWN", true, "it is a replica whose master is down"},
    KnownError{"READONLY", true,
               "it is a replica: what is published there does not reach those of its master"},
    KnownError{
        "NOAUTH", true,
        "it wants a password: WebSocketBrokerPasswordFile, or user:password@ in WebSocketBroker"},
    KnownError{"WRONGPASS", true, "it knows no such user with this password"},
    KnownError{"ERR invalid password", true, "it knows no such user with this password"},
    KnownError{"ERR AUTH", true, "it does not want a password"},
    KnownError{"ERR Client sent AUTH", true, "it does not want a password"},
    KnownError{"ERR max number of clients", true,
               "it has as many clients as it may have (maxclients)"},
    KnownError{"MOVED", true, "it is a node of a Redis Cluster, which is not supported"},
    KnownError{"CLUSTERDOWN", true, "it is a node of a Redis Cluster, which is not supported"},
    KnownError{"DENIED", true, "it is in protected mode: it needs a password or a bind address"},
    KnownError{"NOPERM", false, "its ACL does not let this user do that"},
};

const KnownError* known(std::string_view error) noexcept {
    const auto found = std::ranges::find_if(
        kKnownErrors, [&](const KnownError& one) { return error.starts_with(one.begin); });
    return found != kKnownErrors.end() ? &*found : nullptr;
}

}  // namespace

bool ends_connection(std::string_view error) noexcept {
    const KnownError* one = known(error);
    return one != nullptr && one->ends;
}

std::string explain_error(std::string_view error) {
    const KnownError* one = known(error);
    return std::string(one != nullptr ? one->meaning : "it says") + " (" + printable(error) + ')';
}

}  // namespace websocket::bridge
