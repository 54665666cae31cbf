// SPDX-License-Identifier: Apache-2.0
#include "httpd/handshake/connection_caps.hpp"

#include <apr_network_io.h>
#include <apr_strings.h>
#include <http_log.h>

#include <algorithm>
#include <string_view>
#include <system_error>

#include "base/ascii.hpp"
#include "httpd/handshake/client_address.hpp"
#include "httpd/log/log.hpp"
#include "httpd/module.hpp"
#include "httpd/process/mpm.hpp"
#include "httpd/process/process_lifetime.hpp"
#include "httpd/request_state.hpp"

namespace websocket::httpd {

namespace {

using shm::SharedCounts;

// httpd's hooks have no other place for them.
bool caps_configured = false;
shm::SharedCounts* shared_counts = nullptr;

/// Under this name the process keeps it, also while the module is unloaded and loaded again. The
/// number changes with the layout of SharedCounts.
constexpr const char* kCountsKey = "mod_websocket shared counts 3";

constexpr std::uint64_t kNoHash = 0xCBF29CE484222325U;

std::uint64_t fnv1a(std::string_view text, std::uint64_t hash = kNoHash) {
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
    }
    return hash;
}

/// With what ends the word, so that the next one begins elsewhere. Null is an empty one.
std::uint64_t hash_word(const char* word, std::uint64_t hash = kNoHash) {
    return fnv1a(std::string_view("\0", 1), fnv1a(word != nullptr ? word : "", hash));
}

/// Hosts of the same address differ by it. All of the section has been read, so it may stand anywhere.
const char* server_name(const ap_directive_t& host) {
    const ap_directive_t* one = host.first_child;
    while (one != nullptr && !base::equals_ignoring_case(one->directive, "ServerName")) {
        one = one->next;
    }
    return one != nullptr ? one->args : nullptr;
}

std::span<const std::uint8_t> bytes_of(const apr_sockaddr_t* address) {
    return {static_cast<const std::uint8_t*>(address->ipaddr_ptr),
            static_cast<std::size_t>(address->ipaddr_len)};
}

/// mod_remoteip has put the client's own address here when a proxy is in between.
std::uint64_t key_of_client(const request_rec* r) {
    const apr_sockaddr_t* address = r->useragent_addr;
    return address != nullptr && address->ipaddr_ptr != nullptr ? client_key(bytes_of(address))
                                                                : fnv1a(r->useragent_ip);
}

const char* network_suffix(const request_rec* r) {
    const apr_sockaddr_t* address = r->useragent_addr;
    const bool network = address != nullptr && address->ipaddr_ptr != nullptr &&
                         bytes_of(address).size() == kIpv6Bytes &&
                         !is_mapped_ipv4(bytes_of(address));
    return network ? "/64" : "";
}

int refuse(const request_rec* r, int status, std::int64_t most, const char* what,
           const char* directive) {
    log_limited(r, APLOG_WARNING,
                "WS0130: %s of %s for %s refused with %d: %" APR_INT64_T_FMT
                " connections of %s are open (%s)",
                wanted_connection(r), r->useragent_ip, printable(r->pool, r->uri), status, most,
                what, directive);
    return status;
}

/// Nothing when as many are there already as may be.
std::optional<shm::SharedCounts::Lease> count(const ConnectionCap& cap, std::uint64_t value) {
    if (cap.most == 0 || shared_counts == nullptr) {
        return shm::SharedCounts::Lease();
    }
    return shared_counts->take({cap.identity, value}, static_cast<std::uint32_t>(cap.most));
}

void warn_of_lone_counts(const request_rec* r) {
    if (shared_counts != nullptr && !shared_counts->tables().shares()) {
        log_limited(r, APLOG_WARNING,
                    "WS0135: there are too many child processes: this one counts the "
                    "connections of addresses and locations alone");
    }
}

}  // namespace

std::uint64_t cap_identity(const cmd_parms* cmd) noexcept {
    caps_configured = true;
    std::uint64_t identity = hash_word(cmd->cmd->name);
    for (const ap_directive_t* section = cmd->directive->parent; section != nullptr;
         section = section->parent) {
        identity = hash_word(section->directive, identity);
        identity = hash_word(section->args, identity);
        if (base::equals_ignoring_case(section->directive, "<VirtualHost")) {
            identity = hash_word(server_name(*section), identity);
        }
    }
    return identity;
}

int prepare_caps(apr_pool_t* /*pconf*/, apr_pool_t* /*plog*/, apr_pool_t* /*ptemp*/,
                 server_rec* server) {
    try {
        shared_counts =
            caps_configured
                ? make_process_lifetime<shm::SharedCounts>(server, kCountsKey, max_processes())
                : find_process_lifetime<shm::SharedCounts>(server, kCountsKey);
    } catch (const std::system_error& error) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, error.code().value(), server,
                     "WS0136: no memory for counting the connections of addresses and locations");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (shared_counts != nullptr) {
        // Whose end could not be told while the module was unloaded.
        shared_counts->tables().reap_ended();
    }
    return OK;
}

void claim_own_counts() noexcept {
    if (shared_counts != nullptr) {
        static_cast<void>(shared_counts->tables().own());
    }
}

void reap_leases_of_child(server_rec* /*server*/, pid_t child, ap_generation_t /*generation*/,
                          int /*slot*/, mpm_child_status status) {
    if (status == MPM_CHILD_EXITED && shared_counts != nullptr) {
        shared_counts->tables().reap(child);
    }
}

int take_leases(const request_rec* r, const HandshakeOptions& options, CapLeases& leases) {
    auto address = count(options.address_cap, key_of_client(r));
    if (!address) {
        const char* client = apr_pstrcat(r->pool, r->useragent_ip, network_suffix(r), nullptr);
        return refuse(r, HTTP_TOO_MANY_REQUESTS, options.address_cap.most, client,
                      "WebSocketMaxConnectionsPerAddress");
    }
    auto location = count(options.location_cap, 0);
    if (!location) {
        return refuse(r, HTTP_SERVICE_UNAVAILABLE, options.location_cap.most, "this location",
                      "WebSocketMaxConnectionsPerLocation");
    }
    leases = {std::move(*address), std::move(*location)};
    warn_of_lone_counts(r);
    return OK;
}

int refuse_for_child_cap(const request_rec* r, std::uint32_t open) {
    return refuse(r, HTTP_SERVICE_UNAVAILABLE, open, "this child process",
                  "WebSocketMaxConnections");
}

}  // namespace websocket::httpd
