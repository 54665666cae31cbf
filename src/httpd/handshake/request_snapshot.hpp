// SPDX-License-Identifier: Apache-2.0
// The opening handshake as plugins may ask for it during the connection's whole life, in little
// memory: most connections are idle and most plugins ask for little.
#pragma once

#include <httpd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "base/shared_text.hpp"
#include "plugin/common/request.hpp"

namespace websocket::httpd {

struct PlainExchange;

/// A packed, immutable copy of what a request said. What is the client's alone stands behind the object; what
/// others of the same browser and site have said as well is kept once for all of them. While on_connect runs
/// it also knows the real request, for the response's headers.
class RequestSnapshot final : public plugin::Request {
public:
    /// Strings kept besides the headers; null ones stay null.
    enum Field : std::uint8_t {
        unparsed_uri,
        uri,  ///< null when the same as unparsed_uri
        args,
        filename,  ///< null when it is just the document root and the URI, or really null
        path_info,
        hostname,
        user,
        auth_type,
        client_ip,     ///< of the TCP connection
        useragent_ip,  ///< null when the same as client_ip
        local_ip,
        below,  ///< null when empty
        kFields,
    };

    /// Throws std::bad_alloc. [httpd worker]
    [[nodiscard]] static std::unique_ptr<RequestSnapshot> take(request_rec* r);
    ~RequestSnapshot() override;

    /// Bytes behind the object.
    struct Extra {
        std::size_t bytes;
    };
    static void* operator new(std::size_t size, Extra extra) {
        return ::operator new(size + extra.bytes);
    }
    // NOLINTNEXTLINE(misc-new-delete-overloads,cert-dcl54-cpp): its operator new takes an Extra
    static void operator delete(void* memory) noexcept { ::operator delete(memory); }
    static void operator delete(void* memory, Extra /*extra*/) noexcept {
        ::operator delete(memory);
    }

    [[nodiscard]] const char* header(const char* name) const noexcept override;
    bool set_response_header(std::string_view name, std::string_view value) override;
    bool choose_subprotocol(std::string_view name) override;
    bool add_response_header(std::string_view name, std::string_view value) override;
    bool set_response_body(std::string_view type, std::span<const std::uint8_t> body) override;
    [[nodiscard]] std::uint32_t read_body(std::size_t most,
                                          std::span<const std::uint8_t>& body) override;
    [[nodiscard]] bool trusts_origin() const override;
    [[nodiscard]] bool is_open() const override;
    bool accept_event_stream(std::chrono::milliseconds retry) override;
    [[nodiscard]] bool is_event_stream() const noexcept override { return event_stream_; }
    [[nodiscard]] const char* text(std::uint32_t what) const noexcept override;
    [[nodiscard]] std::uint16_t port(std::uint32_t which) const noexcept override;
    [[nodiscard]] const char* environment(const char* name) const noexcept override;
    void visit_headers(VisitHeader visit, void* data) const override;
    [[nodiscard]] std::size_t subprotocol_count() const noexcept override {
        return shape().subprotocols;
    }
    [[nodiscard]] const char* subprotocol(std::size_t index) const noexcept override;
    [[nodiscard]] bool offers_subprotocol(std::string_view name) const noexcept override;
    [[nodiscard]] request_rec* native() override;

    /// Bytes that it takes with nothing shared, native() not counted.
    [[nodiscard]] std::size_t size() const noexcept { return shape().size; }

    /// on_connect is over: what it wrote to the output headers of native() is copied to the real
    /// request, which is forgotten. [httpd worker]
    void detach();

    // For the copy that native() makes.
    [[nodiscard]] const char* field(Field which) const noexcept;
    [[nodiscard]] server_rec* server() const noexcept { return shape().server; }
    /// As in request_rec::proto_num.
    [[nodiscard]] int proto_num() const noexcept { return shape().proto_num; }
    [[nodiscard]] apr_port_t client_port() const noexcept { return client_port_; }
    [[nodiscard]] apr_port_t useragent_port() const noexcept { return useragent_port_; }
    [[nodiscard]] apr_port_t local_port() const noexcept { return shape().local_port; }
    void copy_tables_to(apr_table_t* headers, apr_table_t* environment) const;

    /// What set_response_body() has left with a handshake; null when nothing.
    struct Body {
        const char* type;
        const char* bytes;
        std::size_t size;
    };
    [[nodiscard]] static const Body* refusal_body(request_rec* r);

private:
    struct Contents;
    class Strings;

    /// At the begin of what is shared; the strings follow: fields, headers, environment, subprotocols.
    struct Shape {
        server_rec* server;  ///< lives as long as the child
        std::uint32_t size;
        std::uint16_t present;  ///< bit per Field
        std::uint16_t headers;  ///< counts
        std::uint16_t environment;
        std::uint16_t subprotocols;
        std::uint16_t proto_num;
        apr_port_t local_port;
    };

    RequestSnapshot(request_rec* r, const Contents& contents);

    [[nodiscard]] const Shape& shape() const noexcept {
        return *reinterpret_cast<const Shape*>(shared_.data());
    }
    /// All of them; from the first header on; from the first subprotocol on.
    [[nodiscard]] Strings all() const noexcept;
    [[nodiscard]] Strings headers() const noexcept;
    [[nodiscard]] Strings subprotocols() const noexcept;
    void show_in_native(std::string_view name);
    /// Null in a handshake.
    [[nodiscard]] PlainExchange* exchange() const noexcept;
    static void copy_pairs(Strings& strings, unsigned count, apr_table_t* table);

    base::SharedText shared_;
    request_rec* real_;              // until detach()
    request_rec* native_ = nullptr;  // owns its pool
    apr_port_t client_port_;
    apr_port_t useragent_port_;  // 0 when a proxy did not tell it
    bool event_stream_ = false;
};

}  // namespace websocket::httpd
