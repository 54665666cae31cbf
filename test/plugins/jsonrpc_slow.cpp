// SPDX-License-Identifier: Apache-2.0
// A JSON-RPC service whose methods block, on threads of its process, and that says in which process it is.
#include <unistd.h>

#include <cstdint>
#include <string>

#include <websocket/jsonrpc.hpp>

namespace {

using websocket::jsonrpc::Session;
using websocket::jsonrpc::Transaction;
using websocket::jsonrpc::Value;

class Slow {
public:
    static constexpr const char* name = "slow";

    explicit Slow(websocket::jsonrpc::Server& server) : server_(server) {
        server.method("pid", [] { return getpid(); });
        server.method("text", [](std::uint32_t size) { return std::string(size, 'x'); });
        server.method("set", {"name", "value"}, [](Session session, std::string key, Value value) {
            return session.set_attribute(key, std::move(value));
        });
        server.method("get", {"name"},
                      [](Session session, std::string key) { return session.attribute(key); });
        // Blocks until the client has answered a request.
        server.method("wait_for_client", [](Session session, std::string what) {
            return session.request(what).get();
        });
        server.method("append", [](Session session, int number) {
            Value all = session.attribute("all");
            if (!all.is_array()) all = Value::array();
            all.items().push_back(number);
            static_cast<void>(session.set_attribute("all", std::move(all)));
        });
        // Answered by nobody until the timer of the connection, on another thread than methods.
        server.method("later", [](Transaction from, int ms) {
            from.start_async();
            from.connection()
                .after(std::chrono::milliseconds(ms), [from] { from.respond("late"); })
                .detach();
        });
    }
    ~Slow() { server_.log(WS_LOG_INFO, "stopped in " + std::to_string(getpid())); }
    Slow(const Slow&) = delete;
    Slow& operator=(const Slow&) = delete;

private:
    websocket::jsonrpc::Server& server_;
};

}  // namespace

WEBSOCKET_JSONRPC_PLUGIN(jsonrpc_slow_init, Slow)
