// SPDX-License-Identifier: Apache-2.0
#include "httpd/process/history.hpp"

#include <apr_strings.h>
#include <http_log.h>

#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "httpd/config/config.hpp"
#include "httpd/config/setting_value.hpp"
#include "httpd/module.hpp"
#include "httpd/process/mpm.hpp"
#include "httpd/process/topics.hpp"

namespace websocket::httpd {

namespace {

/// Under this name the process keeps the memory, also while the module is unloaded and loaded.
constexpr const char* kHistoryKey = "mod_websocket history";
constexpr const char* kPresenceKey = "mod_websocket presence";

/// As configured; lives in a pool.
struct TopicHistory {
    const char* pattern;
    hub::HistoryLimits limits;
};

// httpd's hooks have no other place for them. Children inherit them.
std::optional<hub::HistoryStore> history_store;
std::optional<hub::PresenceStore> presence_store;

constexpr Directive argument(const char* name, ValueKind kind, std::int64_t least,
                             std::int64_t most) {
    return {name, Setting::history, Scope::host, kind, 0, least, most, {}, "", "", ""};
}
constexpr Directive kMessages =
    argument("WebSocketHistory: number of messages", ValueKind::count, 1, 1'000'000);
constexpr Directive kTime = argument("WebSocketHistory: time", ValueKind::duration, 1, 30 * kDay);

using Rules = std::vector<hub::HistoryRule>;

void add_rules(const Config& config, const char* scope, Rules& rules) {
    const apr_array_header_t* histories = config.histories;
    for (int i = 0; histories != nullptr && i < histories->nelts; ++i) {
        const auto& one = reinterpret_cast<const TopicHistory*>(histories->elts)[i];
        rules.push_back({scope, hub::TopicPattern(one.pattern), one.limits});
    }
}

/// Those of virtual hosts come first; those of the main server go for all.
Rules rules_of(const server_rec* main) {
    Rules rules;
    for (const server_rec* host = main->next; host != nullptr; host = host->next) {
        if (host_config(host).histories !=
            host_config(main).histories) {  // else it has none of its own
            add_rules(host_config(host), host_config(host).topic_scope, rules);
        }
    }
    add_rules(host_config(main), "", rules);
    return rules;
}

bool has_history(const server_rec* server) noexcept {
    while (server != nullptr && host_config(server).histories == nullptr) {
        server = server->next;
    }
    return server != nullptr;
}

}  // namespace

const char* add_topic_history(cmd_parms* cmd, const char* pattern, const char* messages,
                              const char* ttl) {
    if (*pattern == '\0' || std::strlen(pattern) > hub::TopicPattern::kMax) {
        return apr_psprintf(
            cmd->pool,
            "WebSocketHistory: a pattern of topics must be 1 to %d bytes long, not \"%s\"",
            static_cast<int>(hub::TopicPattern::kMax), pattern);
    }
    const ParsedValue count = parse_setting(kMessages, messages);
    const ParsedValue time = parse_setting(kTime, ttl);
    for (const ParsedValue* value : {&count, &time}) {
        if (!value->error.empty()) {
            return apr_pstrdup(cmd->pool, value->error.c_str());
        }
    }
    Config& config = host_config(cmd->server);
    if (config.histories == nullptr) {
        config.histories = apr_array_make(cmd->pool, 4, sizeof(TopicHistory));
    }
    *static_cast<TopicHistory*>(apr_array_push(config.histories)) = {
        apr_pstrdup(cmd->pool, pattern),
        {static_cast<std::uint32_t>(count.value), std::chrono::milliseconds(time.value)}};
    return nullptr;
}

bool prepare_history(server_rec* server) {
    history_store.reset();
    if (!has_history(server)) {
        return true;
    }
    apr_pool_t* process = server->process->pool;
    void* memory = nullptr;
    apr_pool_userdata_get(&memory, kHistoryKey, process);
    const auto bytes =
        static_cast<std::size_t>(process_config(server).get(Setting::history_memory));
    history_store = hub::HistoryStore::at(memory);
    if (history_store) {
        if (history_store->bytes() != bytes) {
            ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_WARNING, 0, server,
                         "WS0512: WebSocketHistoryMemory stays as it was, %" APR_SIZE_T_FMT
                         " bytes, until httpd is stopped and started",
                         history_store->bytes());
        }
        return true;
    }
    try {
        history_store = hub::HistoryStore::create(bytes);
    } catch (const std::system_error& error) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, error.code().value(), server,
                     "WS0513: no memory that the children could share for the history of topics");
        return false;
    }
    // As the registry's: without a cleanup.
    apr_pool_userdata_set(history_store->memory(), kHistoryKey, nullptr, process);
    return true;
}

bool prepare_presence(server_rec* server) {
    apr_pool_t* process = server->process->pool;
    void* memory = nullptr;
    apr_pool_userdata_get(&memory, kPresenceKey, process);
    presence_store = hub::PresenceStore::at(memory, max_processes());
    const auto bytes =
        static_cast<std::size_t>(process_config(server).get(Setting::presence_memory));
    if (presence_store) {
        if (presence_store->bytes() != bytes) {
            ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_WARNING, 0, server,
                         "WS0516: WebSocketPresenceMemory stays as it was, %" APR_SIZE_T_FMT
                         " bytes, until httpd is stopped and started",
                         presence_store->bytes());
        }
        presence_store->reap_ended();  // whose end could not be told while the module was unloaded
        return true;
    }
    try {
        presence_store = hub::PresenceStore::create(bytes, max_processes());
    } catch (const std::system_error& error) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, error.code().value(), server,
                     "WS0515: no memory that the children could share for who is present");
        return false;
    }
    apr_pool_userdata_set(presence_store->memory(), kPresenceKey, nullptr, process);
    return true;
}

void reap_presence_of_child(pid_t child) noexcept {
    if (presence_store) {
        presence_store->reap(child);
    }
}

std::vector<hub::HistoryRule> history_rules(const server_rec* server) { return rules_of(server); }

int history_file() noexcept { return history_store ? history_store->file() : -1; }

const hub::PresenceStore& presence_of_server() noexcept { return *presence_store; }
const hub::PresenceStore* presence_if_any() noexcept {
    return presence_store ? &*presence_store : nullptr;
}

const hub::HistoryStore* history_of_server() noexcept {
    return history_store ? &*history_store : nullptr;
}

std::unique_ptr<hub::History> history_of_process(const server_rec* server, base::Log& log) {
    return history_store ? std::make_unique<hub::History>(*history_store, rules_of(server), log)
                         : nullptr;
}

}  // namespace websocket::httpd
