// SPDX-License-Identifier: Apache-2.0
// Answers requests that are no handshakes in all ways that there are, one for each path below its section; a
// WebSocket is told its own.
#include <condition_variable>
#include <mutex>
#include <websocket/plugin.hpp>

namespace {

using websocket::HttpRequest;
using websocket::HttpResponse;

template <class Number>
Number parameter(const HttpRequest& request, std::string_view name, Number fallback) {
    const std::string text = request.parameter(name).value_or("");
    return text.empty() ? fallback : static_cast<Number>(std::stoull(text));
}

std::string shown(const websocket::Request& request) {
    std::string text;
    const auto add = [&](std::string_view name, std::string_view value) {
        text += std::string(name) + "=" + std::string(value) + "\n";
    };
    add("method", request.text(WS_REQUEST_METHOD));
    add("target", request.target());
    add("path", request.path());
    add("below", request.below());
    add("query", request.query());
    add("user", request.user());
    add("client", request.client());
    add("header", request.header("X-Test"));
    add("environment", request.environment("WS_TEST"));
    return text;
}

/// What must not be done with the C functions, and what they say to it.
HttpResponse misuse(const HttpRequest& request) {
    const ws_http_1& http = request.server().http();
    const void* bytes = nullptr;
    std::uint64_t n = 0;
    std::string answers;
    const auto note = [&](auto result) { answers += std::to_string(result) + " "; };
    note(http.read_body(nullptr, 1, &bytes, &n));
    note(http.read_body(request.get(), 1, nullptr, &n));
    note(http.read_body(request.get(), 1, &bytes, nullptr));
    note(http.add_header(nullptr, "A", 1, "b", 1));
    note(http.add_header(request.get(), nullptr, 1, "b", 1));
    note(http.add_header(request.get(), "A", 1, nullptr, 1));
    note(http.add_header(request.get(), "A b", 3, "b", 1));
    note(http.add_header(request.get(), "A", 1, "b\r\nC: d", 7));
    note(http.add_header(request.get(), "Content-Length", 14, "5", 1));
    note(http.trusts_origin(nullptr));
    const ws_request_1& table = request.server().requests();
    note(table.set_body(request.get(), "a\nb", 3, "x", 1));
    note(table.set_body(request.get(), "a", 1, nullptr, 1));
    note(table.choose_subprotocol(request.get(), "a", 1));
    return {.body = answers};
}

class Http {
public:
    static constexpr bool never_blocks = true;

    Http(const websocket::Server& server, const websocket::Options& options) {
        if (!server.has_http() || options.has("fail")) throw std::logic_error("told to fail");
    }

    void on_upgrade(websocket::Upgrade& upgrade) {
        upgrade.set_header("X-Below", upgrade.below());
        const ws_http_1& http = upgrade.server().http();
        const void* bytes = nullptr;
        std::uint64_t n = 1;
        if (http.read_body(upgrade.get(), 10, &bytes, &n) != 0 || n != 0) {
            throw std::logic_error("a handshake with a body");
        }
        for (const char* cookie : {"a=1", "b=2"}) {
            http.add_header(upgrade.get(), "Set-Cookie", 10, cookie, 3);
        }
    }
    void on_message(websocket::Connection client, websocket::Message message) {
        client.send(message);
    }

    HttpResponse on_http(const HttpRequest& request) {
        const std::string_view below = request.below();
        if (below == "/body") {
            const auto body = request.body(parameter<std::size_t>(request, "most", SIZE_MAX));
            return {.body = std::string(websocket::text_of(body)), .type = ""};
        }
        if (below == "/twice") {
            const std::string first(websocket::text_of(request.body()));
            return {.body = first + "|" + std::string(websocket::text_of(request.body())) + "|" +
                            std::to_string(request.body(first.size()).size())};
        }
        if (below == "/text") return {.body = std::string(request.body_text())};
        if (below == "/own-413") {
            try {
                static_cast<void>(request.body());
            } catch (const websocket::Refusal& refusal) {
                return {.status = refusal.status(), .body = "too much for me"};
            }
            return {.body = "fits"};
        }
        if (below == "/status") {
            HttpResponse response{.status = parameter<std::uint32_t>(request, "is", 200)};
            response.headers = {{"X-Mine", "yes"}, {"Location", "/elsewhere"}};
            if (request.parameter("allow")) response.headers.emplace_back("Allow", "POST, PURGE");
            if (auto body = request.parameter("body")) response.body = *body;
            return response;
        }
        if (below == "/headers") {
            return {.body = "x",
                    .headers = {{"X-Good", "a\t\xC3\xBC"},
                                {"Set-Cookie", "a=1"},
                                {"Set-Cookie", "b=2"},
                                {"X-Line", "x\r\nX-Injected: x"},
                                {"X-Colon: y\r\nX-Injected", "x"},
                                {"", "x"},
                                {"Content-Length", "500"},
                                {"Transfer-Encoding", "chunked"},
                                {"Connection", "Upgrade"},
                                {"Keep-Alive", "x"},
                                {"Upgrade", "h2c"}}};
        }
        if (below == "/validator") {
            return {.body = "the whole page", .headers = {{"ETag", "\"v1\""}, {"X-Mine", "yes"}}};
        }
        if (below == "/type") return {.body = "{}", .headers = {{"Content-Type", "text/x-set"}}};
        if (below == "/bad-type") return {.body = "x", .type = "text/plain\r\nX-Injected: x"};
        if (below == "/large") {
            return {.body = std::string(parameter<std::size_t>(request, "size", 0), 'x')};
        }
        if (below == "/throw") throw std::runtime_error("told to throw");
        if (below == "/refuse") throw websocket::Refusal(403, "members only");
        if (below == "/bad-request") return {.body = std::string(request.header_text("X-Test"))};
        if (below == "/server") return HttpResponse::of_server();
        if (below == "/origin") return {.body = request.trusts_origin() ? "trusted" : "foreign"};
        if (below == "/misuse") return misuse(request);
        if (below == "/hold") return hold();
        if (below == "/release") return release();
        return {.body = shown(request)};
    }

private:
    HttpResponse hold() {
        std::unique_lock lock(mutex_);
        ++holding_;
        changed_.wait(lock, [this] { return released_; });
        return {.body = "held"};
    }
    HttpResponse release() {
        const std::lock_guard lock(mutex_);
        released_ = holding_ > 0;
        changed_.notify_all();
        return {.body = released_ ? "released" : "nobody"};
    }

    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    int holding_ = 0;
    bool released_ = false;
};

}  // namespace

WEBSOCKET_PLUGIN(http_init, Http)
