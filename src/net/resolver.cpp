// SPDX-License-Identifier: Apache-2.0
#include "net/resolver.hpp"

#include <netdb.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/signal_mask.hpp"
#include "base/wake_event.hpp"

namespace websocket::net {

/// What the system says.
struct ResolverAnswer {
    std::vector<Address> addresses;
    std::string error;
};

namespace {

/// The port is not asked for: it would be looked up in /etc/services.
ResolverAnswer ask_system(const std::string& host, int flags) {
    addrinfo wanted{};
    wanted.ai_family = AF_UNSPEC;
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = flags;
    addrinfo* list = nullptr;
    ResolverAnswer found;
    if (const int status = ::getaddrinfo(host.c_str(), nullptr, &wanted, &list); status != 0) {
        found.error = status == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(status);
        return found;
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, ::freeaddrinfo);
    for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
        if (one->ai_family != AF_INET && one->ai_family != AF_INET6) {
            continue;
        }
        Address address{};
        std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
        address.size = one->ai_addrlen;
        found.addresses.push_back(address);
    }
    if (found.addresses.empty()) {
        found.error = "no address of the internet";
    }
    return found;
}

void set_port(Address& address, std::uint16_t port) noexcept {
    if (address.storage.ss_family == AF_INET) {
        reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port = htons(port);
    } else {
        reinterpret_cast<sockaddr_in6*>(&address.storage)->sin6_port = htons(port);
    }
}

}  // namespace

/// Belongs to its thread and to whoever waits for the answer; who is last destroys it.
class Resolver::Question {
public:
    explicit Question(std::string host) : host_(std::move(host)) {}

    [[nodiscard]] const std::string& host() const noexcept { return host_; }
    /// Readable from the answer on.
    [[nodiscard]] int descriptor() const noexcept { return event_.descriptor(); }

    /// [the thread of the question]
    void ask() noexcept {
        ResolverAnswer found;
        try {
            found = ask_system(host_, 0);
        } catch (const std::bad_alloc&) {
            found = {};  // without an error: that is what answered() takes for this
        }
        const std::lock_guard lock(mutex_);
        found_ = std::move(found);
        event_.wake();
    }
    [[nodiscard]] bool is_answered() const noexcept {
        const std::lock_guard lock(mutex_);
        return found_.has_value();
    }
    /// When answered.
    [[nodiscard]] ResolverAnswer answer() const {
        const std::lock_guard lock(mutex_);
        return *found_;
    }

private:
    const std::string host_;
    base::WakeEvent event_;
    mutable std::mutex mutex_;  // guards found_
    std::optional<ResolverAnswer> found_;
};

struct Resolver::Listening final : EventHandler {
    Listening(Resolver& for_whom, std::shared_ptr<Question> asked) noexcept
        : resolver(for_whom), question(std::move(asked)) {}
    void on_ready(std::uint32_t /*events*/) override { resolver.answered(); }

    Resolver& resolver;
    const std::shared_ptr<Question> question;
};

Resolver::Resolver(Reactor& reactor) noexcept : reactor_(reactor) {}
Resolver::~Resolver() { cancel(); }

void Resolver::resolve(const std::string& host, std::uint16_t port, Done done) {
    cancel();
    ResolverAnswer numeric = ask_system(host, AI_NUMERICHOST);
    if (!numeric.addresses.empty()) {
        for (Address& address : numeric.addresses) {
            set_port(address, port);
        }
        done(std::move(numeric.addresses), {});
        return;
    }
    std::erase_if(running_, [](const auto& question) { return question->is_answered(); });
    const auto same = std::ranges::find_if(
        running_, [&](const auto& question) { return question->host() == host; });
    std::string error;
    try {
        if (same != running_.end()) {
            listen(*same);
        } else if (running_.size() >= kMostRunning) {
            error = std::to_string(running_.size()) + " questions have not been answered yet";
        } else {
            auto question = std::make_shared<Question>(host);
            running_.push_back(question);
            listen(question);
            const base::SignalsBlocked inherited;
            std::thread([question] { question->ask(); }).detach();
        }
    } catch (const std::system_error& failed) {  // no descriptor, no thread
        cancel();
        std::erase_if(running_, [&](const auto& question) { return question->host() == host; });
        error = failed.what();
    }
    if (!error.empty()) {
        done({}, error);
        return;
    }
    port_ = port;
    done_ = std::move(done);
}

void Resolver::listen(std::shared_ptr<Question> question) {
    auto listening = std::make_unique<Listening>(*this, std::move(question));
    if (!reactor_.add(listening->question->descriptor(), *listening, EPOLLIN)) {
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
    }
    listening_ = std::move(listening);
}

void Resolver::answered() {
    ResolverAnswer found = listening_->question->answer();
    for (Address& address : found.addresses) {
        set_port(address, port_);
    }
    if (found.addresses.empty() && found.error.empty()) {
        found.error = std::strerror(ENOMEM);
    }
    const Done done = std::move(done_);
    cancel();
    done(std::move(found.addresses), found.error);
}

void Resolver::cancel() noexcept {
    done_ = nullptr;
    if (listening_ != nullptr) {
        reactor_.remove(listening_->question->descriptor(), *listening_);
        listening_.reset();
    }
}

}  // namespace websocket::net
