// SPDX-License-Identifier: Apache-2.0
// Its process is told to end while it decides about a client, with a lock that other threads want.
#include <signal.h>
#include <unistd.h>

#include <mutex>

#include <websocket/plugin.hpp>

namespace {

using websocket::Close;
using websocket::Connection;
using websocket::Message;
using websocket::Upgrade;

class ToldInLock {
public:
    static constexpr const char* name = "told_in_lock";

    struct Client {};

    ToldInLock(const websocket::Server& server, const websocket::Options& /*options*/)
        : server_(server) {}

    void on_upgrade(Upgrade& upgrade, Client& /*client*/) {
        const std::lock_guard lock(mutex_);
        if (upgrade.query() == "end") {
            ::kill(::getpid(), SIGTERM);
            server_.info("goes on");
        }
    }
    void on_message(Connection connection, Message message, Client& /*client*/) {
        connection.send(message);
    }
    void on_close(Connection /*connection*/, const Close& /*close*/, Client& /*client*/) {
        const std::lock_guard lock(mutex_);
        server_.info("saw a client go");
    }

private:
    const websocket::Server& server_;
    std::mutex mutex_;
};

}  // namespace

WEBSOCKET_PLUGIN(told_in_lock_init, ToldInLock)
