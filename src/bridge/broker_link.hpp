// SPDX-License-Identifier: Apache-2.0
// The way to a broker, of whichever kind, which comes back by itself.
#pragma once

#include <chrono>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "bridge/reply.hpp"
#include "hub/broker_url.hpp"
#include "net/tls_client.hpp"

namespace websocket::bridge {

/// Whose certificates are good.
struct TlsTrust {
    std::string ca_file;  ///< PEM; empty: whom the system trusts
    bool verify = true;
};

struct BrokerLinkOptions {
    hub::BrokerUrl url;
    const net::TlsClientContext* tls = nullptr;  ///< outlives the link; null without
    TlsTrust trust;                              ///< for a kind with a TLS of its own
    std::size_t most_waiting = 16U << 20;      ///< bytes that may wait to be taken, of such a kind
    std::vector<std::string> first_channels;   ///< subscribed to before it is up; not none
    std::size_t longest_message = 0;           ///< that comes, with all that is around it
    std::chrono::milliseconds patience{5000};  ///< until it is up, or tried again
    std::chrono::milliseconds first_pause{
        100};  ///< before it is tried again; doubled up to the next one
    std::chrono::milliseconds longest_pause{5000};
};

/// [loop]
class BrokerLink {
public:
    /// Of what was published.
    struct Loss {
        std::size_t unconfirmed = 0;  ///< so many are on nobody's word
        bool uncertain = false;  ///< the server had more, but others may not have got it from there
    };
    /// Must not destroy the link.
    class Owner {
    public:
        virtual ~Owner() = default;
        virtual void on_up() = 0;
        virtual void on_down(const Loss& loss) = 0;
        virtual void on_message(const std::string& channel, std::string_view payload) = 0;
        /// The broker has one more, or has refused it.
        virtual void on_published(bool accepted) = 0;
        virtual void on_room() = 0;
        /// Messages have come faster than they were taken: some are missing.
        virtual void on_missed() = 0;
        /// To what was asked, in the order in which it was. After on_down(), nobody answers what was asked before.
        virtual void on_answer(Reply&& /*reply*/) {}
    };

    BrokerLink() = default;
    BrokerLink(const BrokerLink&) = delete;
    BrokerLink& operator=(const BrokerLink&) = delete;
    virtual ~BrokerLink() = default;

    /// Once.
    virtual void start() = 0;
    [[nodiscard]] virtual bool is_up() const noexcept = 0;
    /// Ends the connections, and tries again soon.
    virtual void drop(const std::string& why) = 0;

    // While it is up; what is sent goes out with flush(). Throw std::bad_alloc.
    virtual void publish(std::string_view channel, std::string_view payload) = 0;
    virtual void subscribe(std::string_view channel) = 0;
    virtual void unsubscribe(std::string_view channel) = 0;
    /// A command of Redis; no other broker is asked any.
    virtual void ask(std::initializer_list<std::string_view> /*words*/) {}
    /// Asks whether this is still the server that others hear; one that is not is dropped.
    virtual void ask_role() = 0;
    virtual void flush() = 0;
    [[nodiscard]] virtual bool has_room() const noexcept = 0;
    /// Nothing waits, and the broker has answered all.
    [[nodiscard]] virtual bool is_idle() const noexcept = 0;
};

}  // namespace websocket::bridge
