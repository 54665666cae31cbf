// SPDX-License-Identifier: Apache-2.0
// The inside of websocket/testing.hpp, which is what to include.
#pragma once

#include "testing.hpp"

namespace websocket::testing {

namespace detail {

[[nodiscard]] inline std::string_view view(const void* bytes, std::uint64_t n) noexcept {
    return {static_cast<const char*>(bytes), static_cast<std::size_t>(n)};
}
[[nodiscard]] inline const char* measured(const std::string* text, std::uint64_t* size) noexcept {
    if (size != nullptr) *size = text != nullptr ? text->size() : 0;
    return text != nullptr ? text->c_str() : nullptr;
}
/// RFC 9110 section 5.6.2.
[[nodiscard]] inline bool is_token(std::string_view text) noexcept {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    });
}
[[nodiscard]] inline bool same_name(std::string_view a, std::string_view b) noexcept {
    const auto lower = [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return std::ranges::equal(a, b, {}, lower, lower);
}

/// Whether a server takes it from a plugin: not what the handshake or the connection needs itself.
[[nodiscard]] inline bool may_be_set(std::string_view name, std::string_view value) noexcept {
    constexpr std::string_view kPrefix = "Sec-WebSocket-";
    constexpr std::string_view kReserved[] = {
        "Connection", "Content-Length", "Keep-Alive",        "Proxy-Connection",
        "TE",         "Trailer",        "Transfer-Encoding", "Upgrade"};
    return is_token(name) && !same_name(name.substr(0, kPrefix.size()), kPrefix) &&
           std::ranges::none_of(kReserved,
                                [name](std::string_view one) { return same_name(one, name); }) &&
           std::ranges::none_of(value, [](char c) {
               return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
           });
}

/// What of the path lies below a <Location>.
[[nodiscard]] inline std::string below(std::string_view path, std::string_view section) {
    while (section.ends_with('/')) section.remove_suffix(1);
    const bool inside =
        path.starts_with(section) && (path.size() == section.size() || path[section.size()] == '/');
    return std::string(inside ? path.substr(section.size()) : std::string_view());
}

/// In place of what has been set before under this name.
inline void set(Pairs& headers, std::string_view name, std::string_view value) {
    std::erase_if(headers, [name](const auto& one) { return same_name(one.first, name); });
    headers.emplace_back(name, value);
}

}  // namespace detail

inline detail::Exchange& Host::of(const ws_request* request) {
    auto& exchange = *reinterpret_cast<detail::Exchange*>(const_cast<ws_request*>(request));
    Host& host = *exchange.host;
    if (!exchange.answering && exchange.http) {
        host.offences_.emplace_back("a request: used after on_http");
    } else if (!exchange.answering && (host.plugin_.flags & WS_KEEP_REQUEST) == 0) {
        host.offences_.emplace_back("a request: used after on_upgrade, without WS_KEEP_REQUEST");
    }
    return exchange;
}

inline Host::Host(const WebSocketPlugin& plugin, const Pairs& options, Setup setup)
    : setup_(std::move(setup)), option_texts_(options) {
    if (plugin.version != WEBSOCKET_PLUGIN_VERSION_1 || plugin.size < 152) {
        throw std::runtime_error("not a plugin of version 1");
    }
    std::memcpy(&plugin_, &plugin, std::min<std::size_t>(plugin.size, sizeof plugin_));
    for (const auto& [name, value] : option_texts_) {
        options_.push_back({name.c_str(), name.size(), value.c_str(), value.size()});
    }
    std::string error(512, '\0');
    if (plugin_.check != nullptr &&
        plugin_.check(options_.data(), options_.size(), error.data(), error.size()) != 0) {
        throw std::runtime_error(error.c_str());
    }
    ws_host& abi = table_.abi;
    table_.host = this;
    abi.size = sizeof abi;
    abi.minor = WS_ABI_MINOR;
    abi.name = "websocket/testing.hpp";
    abi.version = "0";
    abi.send = [](const ws_host* host, ws_conn conn, std::uint32_t type, const void* bytes,
                  std::uint64_t n, std::uint32_t flags) -> ws_result {
        const bool control = type == WS_PING || type == WS_PONG;
        if ((flags & ~WS_UNCOMPRESSED) != 0 || (bytes == nullptr && n > 0) ||
            (type != WS_TEXT && type != WS_BINARY && !control)) {
            of(host).offences_.emplace_back("send: a wrong argument");
            return WS_BAD_ARG;
        }
        Client* client = of(host).find(conn);
        if (client == nullptr || client->close_code_) return WS_GONE;
        if (control && n > 125) return WS_TOO_BIG;
        return of(host).deliver(*client, {type, std::string(detail::view(bytes, n))});
    };
    abi.close = [](const ws_host* host, ws_conn conn, std::uint32_t code, const char* reason,
                   std::uint64_t n) -> ws_result {
        const bool prohibited = code != 0 && (code < 1000 || code >= 5000 || code == 1005 ||
                                              code == 1006 || code == 1015);
        if (prohibited || (code == 0 && n > 0) || (reason == nullptr && n > 0)) {
            of(host).offences_.emplace_back("close: a wrong argument");
            return WS_BAD_ARG;
        }
        Client* client = of(host).find(conn);
        if (client == nullptr || client->close_code_) return WS_GONE;
        client->close_code_ = code != 0 ? code : 1005;
        client->close_reason_ = detail::view(reason, n);
        of(host).closing_.push_back(client);
        return WS_OK;
    };
    abi.queued = [](const ws_host* host, ws_conn conn, std::uint64_t* bytes) -> ws_result {
        const Client* client = of(host).find(conn);
        *bytes = client != nullptr ? client->waiting_ : 0;
        return client != nullptr ? WS_OK : WS_GONE;
    };
    abi.log = [](const ws_host* host, std::uint32_t /*level*/, const char* text, std::uint64_t n) {
        of(host).log_.emplace_back(detail::view(text, n));
    };
    abi.extension = table;
    if (plugin_.start != nullptr &&
        plugin_.start(&abi, options_.data(), options_.size(), &self_) != WS_OK) {
        throw std::runtime_error(log_.empty() ? "the plugin did not start" : log_.back());
    }
    started_ = true;
    settle();
}

inline ws_result Host::deliver(Client& client, Sent message) {
    if (!client.exchange_.stream) message.event = message.id = std::nullopt;
    if (client.room_) {
        if (client.waiting_ >= *client.room_) {
            client.wants_room_ = true;
            return WS_FULL;
        }
        client.waiting_ += message.payload.size();
    }
    if (message.type == WS_TEXT && !is_utf8(message.payload)) {
        offences_.emplace_back("send: text that is not UTF-8");
    }
    client.received_.push_back(std::move(message));
    const bool much = client.room_ && client.waiting_ > *client.room_ / 2;
    client.wants_room_ = client.wants_room_ || much;
    return much ? WS_QUEUED : WS_OK;
}

inline std::shared_ptr<Client> Host::connect(Handshake handshake) {
    return open(std::move(handshake), nullptr);
}

inline std::shared_ptr<Client> Host::listen(Request request) {
    std::uint32_t status = 0;
    detail::Exchange& exchange = ask(std::move(request), status);
    if (exchange.stream && status == 200 && exchange.http->method != "HEAD") {
        return open(exchange.request, &exchange);
    }
    const std::shared_ptr<Client> client(new Client(*this, 0, exchange.request));
    client->exchange_.stream = exchange.stream;
    client->exchange_.answer = exchange.answer;
    client->exchange_.answer.status = status != 0 ? status : 426;
    return client;
}

/// A handshake, or what on_http has accepted as a stream.
inline std::shared_ptr<Client> Host::open(Handshake handshake, const detail::Exchange* stream) {
    const std::shared_ptr<Client> client(new Client(*this, next_client_, std::move(handshake)));
    if (stream != nullptr) {
        client->exchange_.stream = true;
        client->exchange_.answer = stream->answer;
        client->exchange_.answer.status = 200;
    }
    next_client_ += (std::uint64_t{1} << 32) + 1;
    clients_.emplace(client->id_, client);
    if (plugin_.on_upgrade != nullptr) {
        detail::Exchange& exchange = client->exchange_;
        exchange.answering = true;
        const std::uint32_t status = plugin_.on_upgrade(
            self_, reinterpret_cast<ws_request*>(&exchange), client->id_, &client->state_);
        exchange.answering = false;
        if (status != 0) {
            exchange.answer.status = status >= 300 && status <= 599 ? status : 500;
            if (exchange.answer.status != status) offences_.emplace_back("on_upgrade: no status");
            settle();
            return client;
        }
    }
    client->open_ = true;
    if (plugin_.on_open != nullptr) plugin_.on_open(self_, client->state_, client->id_);
    settle();
    return client;
}

/// Asks the plugin's on_http; `status` is what it has returned.
inline detail::Exchange& Host::ask(Request request, std::uint32_t& status) {
    Handshake shared{request.target,      request.headers, {}, request.user, request.client,
                     request.environment, request.section};
    exchanges_.push_back(std::make_unique<detail::Exchange>(
        detail::Exchange{this, std::move(shared), std::move(request)}));
    detail::Exchange& exchange = *exchanges_.back();
    status = 0;
    if (plugin_.on_http != nullptr) {
        exchange.answering = true;
        status = plugin_.on_http(self_, reinterpret_cast<ws_request*>(&exchange));
        exchange.answering = false;
        exchange.http->body = {};
        settle();
    }
    return exchange;
}

inline Answer Host::answer(Request request) {
    const std::string method = request.method;
    std::uint32_t status = 0;
    Answer answer = ask(std::move(request), status).answer;
    if (status == 0) {
        const bool reads = method == "GET" || method == "HEAD";
        return {reads ? 426U : method == "OPTIONS" ? 200U : 405U, {}, {}, {}};
    }
    answer.status = status >= 200 && status <= 599 ? status : 500;
    if (answer.status != status) offences_.emplace_back("on_http: no status");
    return answer;
}

inline void Host::end(Client& client, std::uint32_t code, std::string_view reason, bool by_peer,
                      bool clean) {
    if (!client.open_) return;
    client.open_ = false;
    for (auto& [name, members] : topics_) members.erase(client.id_);
    part_all(client.id_);
    std::vector<std::uint64_t> ended;
    for (const auto& [number, call] : calls_) {
        if (call.conn == client.id_) ended.push_back(number);
    }
    for (const std::uint64_t number : ended) finish(number);
    const std::string text(reason);
    ws_close_info info{sizeof info,     code,         by_peer ? WS_BY_PEER : WS_BY_SERVER,
                       clean ? 1U : 0U, text.c_str(), text.size()};
    if (plugin_.on_close != nullptr) plugin_.on_close(self_, client.state_, client.id_, &info);
}

inline void Host::finish(std::uint64_t number) {
    const auto found = calls_.find(number);
    if (found == calls_.end()) return;
    const Call call = found->second;
    calls_.erase(found);
    if (call.done != nullptr) call.done(call.data);
}

inline void Host::ignore(std::uint64_t listener) {
    const auto found = listeners_.find(listener);
    if (found == listeners_.end()) return;
    const TopicListener ended = *found->second;
    found->second->ended = true;
    listeners_.erase(found);
    if (ended.done == nullptr) return;
    if (hearing_ == listener) {
        posted_.push_front(
            {0, ended.done, nullptr, nullptr, ended.data, Milliseconds(0), Milliseconds(0), -1, 0});
    } else {
        ended.done(ended.data);
    }
}

inline void Host::settle() {
    if (std::exchange(settling_, true)) return;
    while (!closing_.empty() || !posted_.empty()) {
        if (!closing_.empty()) {
            Client* client = closing_.back();
            closing_.pop_back();
            end(*client, *client->close_code_, "", false, true);
            continue;
        }
        const Call call = posted_.front();
        posted_.pop_front();
        if (call.conn == 0 || find(call.conn) != nullptr) call.run(call.data);
        if (call.done != nullptr) call.done(call.data);
    }
    settling_ = false;
}

inline void Host::advance(Milliseconds time) {
    const Milliseconds until = now_ + time;
    for (;;) {
        auto next = calls_.end();
        for (auto at = calls_.begin(); at != calls_.end(); ++at) {
            const bool due = at->second.run != nullptr && at->second.due <= until;
            if (due && (next == calls_.end() || at->second.due < next->second.due)) next = at;
        }
        if (next == calls_.end()) break;
        const std::uint64_t number = next->first;
        now_ = std::max(now_, next->second.due);
        next->second.due += std::max(next->second.period, Milliseconds(1));
        const Call call = next->second;
        call.run(call.data);
        if (call.period.count() == 0) finish(number);
        settle();
    }
    now_ = until;
    settle();
}

inline void Host::poll() {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> ready;
    for (const auto& [number, call] : calls_) {
        if (call.run_io == nullptr) continue;
        const auto wanted = ((call.events & WS_READABLE) != 0 ? POLLIN : 0) |
                            ((call.events & WS_WRITABLE) != 0 ? POLLOUT : 0);
        pollfd one{call.descriptor, static_cast<short>(wanted), 0};
        if (::poll(&one, 1, 0) > 0) {
            ready.emplace_back(number,
                               ((one.revents & POLLIN) != 0 ? WS_READABLE : 0U) |
                                   ((one.revents & POLLOUT) != 0 ? WS_WRITABLE : 0U) |
                                   ((one.revents & (POLLERR | POLLHUP)) != 0 ? WS_BROKEN : 0U));
        }
    }
    for (const auto& [number, events] : ready) {
        const auto found = calls_.find(number);
        if (found != calls_.end()) found->second.run_io(found->second.data, events);
    }
    settle();
}

inline void Host::stop() {
    if (!std::exchange(started_, false)) return;
    for (const auto& [id, client] : clients_) end(*client, 1001, "", false, false);
    settle();
    while (!calls_.empty()) finish(calls_.begin()->first);
    while (!listeners_.empty()) ignore(listeners_.begin()->first);
    settle();
    if (plugin_.stop != nullptr) plugin_.stop(self_);
    if (!calls_.empty()) offences_.emplace_back("stop: timers or watches were started in it");
    count_buffers();
}

inline void Client::message(std::uint32_t type, std::string_view payload) {
    if (!open_) throw std::logic_error("the client is not connected");
    constexpr std::size_t kGuard = 16;  // behind the payload, which the plugin may modify
    std::vector<std::uint8_t> bytes(payload.begin(), payload.end());
    bytes.resize(payload.size() + kGuard, 0xA5);
    if ((host_.plugin_.flags & WS_WANTS_FRAGMENTS) != 0) {
        const std::size_t half = payload.size() / 2;
        host_.plugin_.on_fragment(host_.self_, state_, id_, type, WS_FIRST, bytes.data(), half);
        if (open_ && !close_code_) {
            host_.plugin_.on_fragment(host_.self_, state_, id_, type, WS_LAST, bytes.data() + half,
                                      payload.size() - half);
        }
    } else {
        host_.plugin_.on_message(host_.self_, state_, id_, type, bytes.data(), payload.size());
    }
    if (std::count(bytes.end() - kGuard, bytes.end(), 0xA5) != kGuard) {
        host_.offences_.emplace_back("a message: written behind its end");
    }
    host_.settle();
}

inline void Client::pong(std::string_view payload) {
    if (open_ && host_.plugin_.on_pong != nullptr) {
        host_.plugin_.on_pong(host_.self_, state_, id_,
                              reinterpret_cast<const std::uint8_t*>(payload.data()),
                              payload.size());
        host_.settle();
    }
}

inline void Client::close(std::uint32_t code, std::string_view reason) {
    host_.end(*this, code, reason, true, true);
    host_.settle();
}

inline void Client::vanish() {
    host_.end(*this, 1006, "", true, false);
    host_.settle();
}

inline void Client::read() {
    room_.reset();
    waiting_ = 0;
    if (open_ && std::exchange(wants_room_, false) && host_.plugin_.on_writable != nullptr) {
        host_.plugin_.on_writable(host_.self_, state_, id_);
        host_.settle();
    }
}

}  // namespace websocket::testing

#include "testing_extensions.hpp"
