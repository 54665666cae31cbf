// SPDX-License-Identifier: Apache-2.0
#include "httpd/process/topics.hpp"

#include <apr_sha1.h>
#include <apr_strings.h>
#include <http_log.h>

#include <array>
#include <cstring>
#include <new>
#include <optional>
#include <system_error>

#include "httpd/config/config.hpp"
#include "httpd/module.hpp"
#include "httpd/process/history.hpp"
#include "httpd/process/mpm.hpp"
#include "httpd/process/process_lifetime.hpp"
#include "hub/leaders.hpp"
#include "hub/topic_key.hpp"

namespace websocket::httpd {

namespace {

/// Under this name the process keeps the registry, also while the module is unloaded and loaded.
constexpr const char* kTopicsKey = "mod_websocket topics";
/// The same for the file that says who leads. The number changes with what its locks mean.
constexpr const char* kLeadersKey = "mod_websocket leaders 1";
/// Leaves room for what tells apart hosts of equal names.
constexpr std::size_t kLongestScope = 200;
static_assert(kLongestScope + 20 < hub::TopicKey::kMaxScope);

std::optional<hub::Registry> registry;  // httpd's hooks have no other place for it
int leaders = -1;                       // nor for this: a descriptor, open as long as the process

/// httpd lets a host without directives of ours share the main server's record.
void own_config(apr_pool_t* pool, const server_rec* first, server_rec* server) {
    if (server != first && &host_config(server) == &host_config(first)) {
        void* copy = new (apr_palloc(pool, sizeof(Config))) Config(host_config(first));
        ap_set_module_config(server->module_config, &websocket_module, copy);
    }
}

const char* shortened(apr_pool_t* pool, const char* text) {
    if (std::strlen(text) <= kLongestScope) {
        return text;
    }
    apr_sha1_ctx_t context;
    std::array<unsigned char, APR_SHA1_DIGESTSIZE> digest{};
    apr_sha1_init(&context);
    apr_sha1_update(&context, text, static_cast<unsigned>(std::strlen(text)));
    apr_sha1_final(digest.data(), &context);
    const char* hash = "";
    for (const unsigned char byte : digest) {
        hash = apr_psprintf(pool, "%s%02x", hash, byte);
    }
    return apr_pstrcat(pool, "sha1:", hash, nullptr);
}

/// The same in every generation as long as the host keeps its name and addresses.
const char* host_text(apr_pool_t* pool, const server_rec* server) {
    const char* text = apr_psprintf(
        pool, "%s:%s:%u", server->is_virtual != 0 ? "host" : "main",
        server->server_hostname != nullptr ? server->server_hostname : "", unsigned{server->port});
    for (const server_addr_rec* address = server->addrs; address != nullptr;
         address = address->next) {
        text =
            apr_psprintf(pool, "%s %s:%u", text, address->virthost, unsigned{address->host_port});
    }
    return shortened(pool, text);
}

/// One of the hosts before has it already: in httpd, two may have the same name and addresses.
bool is_taken(const server_rec* first, const server_rec* server, const char* scope) {
    for (; first != server; first = first->next) {
        if (std::strcmp(host_config(first).topic_scope, scope) == 0) {
            return true;
        }
    }
    return false;
}

void name_scope(apr_pool_t* pool, const server_rec* first, const server_rec* server) {
    Config& config = host_config(server);
    const char* chosen = config.chosen_topic_scope != nullptr
                             ? config.chosen_topic_scope
                             : host_config(first).chosen_topic_scope;
    if (chosen != nullptr) {
        config.topic_scope = apr_pstrcat(pool, "=", chosen, nullptr);
        return;
    }
    const char* text = host_text(pool, server);
    const char* scope = text;
    for (int i = 2; is_taken(first, server, scope); ++i) {
        scope = apr_psprintf(pool, "%s #%d", text, i);
    }
    config.topic_scope = scope;
}

/// False when there is none.
bool prepare_leaders(server_rec* server) {
    try {
        const int* kept = find_process_lifetime<int>(server, kLeadersKey);
        if (kept == nullptr) {
            kept = make_process_lifetime<int>(server, kLeadersKey, hub::Leaders::make_file());
        }
        leaders = *kept;
        return true;
    } catch (const std::system_error& error) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, error.code().value(), server,
                     "WS0509: no file in memory that says which child leads");
        return false;
    }
}

}  // namespace

const char* set_topic_scope(cmd_parms* cmd, void* /*section*/, const char* name) {
    if (*name == '\0' || std::strlen(name) > kLongestScope) {
        return apr_psprintf(cmd->pool, "WebSocketTopicScope must be 1 to %d bytes long, not \"%s\"",
                            static_cast<int>(kLongestScope), name);
    }
    host_config(cmd->server).chosen_topic_scope = name;
    return nullptr;
}

int prepare_topics(apr_pool_t* pconf, apr_pool_t* /*plog*/, apr_pool_t* /*ptemp*/,
                   server_rec* server) {
    apr_pool_t* process = server->process->pool;
    for (server_rec* host = server; host != nullptr; host = host->next) {
        own_config(pconf, server, host);
        name_scope(pconf, server, host);
    }
    if (!prepare_leaders(server) || !prepare_history(server) || !prepare_presence(server)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    void* memory = nullptr;
    apr_pool_userdata_get(&memory, kTopicsKey, process);
    const std::uint32_t slots = max_processes();
    registry = hub::Registry::at(memory, slots);
    if (registry) {
        registry->reap_ended();  // whose end could not be told while the module was unloaded
        return OK;
    }
    try {
        registry = hub::Registry::create(slots);
    } catch (const std::system_error& error) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, error.code().value(), server,
                     "WS0501: no memory that the children could share for topics");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    // Without a cleanup: the module's code may be gone when the pool is. Copies the key for that.
    apr_pool_userdata_set(registry->memory(), kTopicsKey, nullptr, process);
    return OK;
}

void reap_topics_of_child(server_rec* /*server*/, pid_t child, ap_generation_t /*generation*/,
                          int /*slot*/, mpm_child_status status) {
    if (status == MPM_CHILD_EXITED && registry) {
        registry->reap(child);
        reap_presence_of_child(child);
    }
}

const hub::Registry& topic_registry() noexcept { return *registry; }

int leaders_file() noexcept { return leaders; }

std::string_view topic_scope(const server_rec* server) noexcept {
    return host_config(server).topic_scope;
}

}  // namespace websocket::httpd
