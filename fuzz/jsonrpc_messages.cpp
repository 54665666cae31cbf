// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as messages of clients to a JSON-RPC service, in both dialects: each text is answered with JSON, at most
// once, and what is read is what is written.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <websocket/jsonrpc.hpp>
#include <websocket/testing.hpp>

namespace {

using namespace websocket::jsonrpc;

void require(bool promise) {
    if (!promise) std::abort();
}

struct Fuzzed {
    static constexpr const char* name = "fuzzed";
    static constexpr bool never_blocks = true;

    explicit Fuzzed(Server& server) {
        server.method("a", [](const Params& all) { return all.value; });
        server.method("b", {"x", "y"}, [](std::int8_t x, const std::optional<std::string>& y) {
            return y.value_or("") + std::to_string(x);
        });
        server.method("c", [](const Session& session, const std::string& what) {
            session.request(what, {}, [](const Answer& /*answer*/) {});
        });
        server.method("d", [](const Session& session, const std::string& key, Value value) {
            return session.set_attribute(key, std::move(value));
        });
        server.method("e", [](const Session& session) { session.close(); });
    }
};
WEBSOCKET_JSONRPC_PLUGIN(fuzzed_init, Fuzzed)

const Reader& reader() {
    static const Reader one({std::size_t{64} << 20, 600});
    return one;
}

void talk(const websocket::testing::Pairs& options, std::string_view bytes) {
    websocket::testing::Host host(*fuzzed_init(), options);
    const auto client = host.connect();
    // Messages are apart by a byte that no JSON has.
    while (!bytes.empty() && client->open()) {
        const std::size_t end = bytes.find('\x01');
        const std::string message(bytes.substr(0, end));
        bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
        if (!websocket::is_utf8(message)) continue;  // httpd closes such clients itself
        client->text(message);
        for (const std::string& text : client->texts()) {
            const Value answer = reader().read(text);
            require(answer.is_object() || (answer.is_array() && !answer.items().empty()));
            require(to_json(answer) == text);
        }
    }
    host.advance(std::chrono::seconds(60));
    host.stop();
    require(host.offences().empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    try {
        const Value value = reader().read(bytes);
        const std::string text = to_json(value);
        // 1.0 has become 1, which is the same.
        require(to_json(reader().read(text)) == text && websocket::is_utf8(text));
    } catch (const ReadError& error) {
        require(!std::string_view(error.what()).empty());
    }
    talk({{"depth", "4"}, {"size", "500"}, {"batch", "3"}, {"in_flight", "2"}}, bytes);
    talk({{"compatibility", "kurento"}}, bytes);
    return 0;
}
