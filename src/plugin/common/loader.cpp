// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/loader.hpp"

#include <atomic>

#include "plugin/v1/v1_loader.hpp"

namespace websocket::plugin {

namespace {

std::atomic<bool> abandoned{false};

/// What is wrong with the answer of an init function; empty when nothing is.
std::string objection(const WebSocketPlugin* plugin, std::optional<ws_plugin>& v1) {
    if (plugin == nullptr) {
        return "returned NULL";
    }
    if (plugin->version == WEBSOCKET_PLUGIN_VERSION_1) {
        std::string wrong;
        v1 = read_v1_plugin(*plugin, wrong);
        return wrong;
    }
    if (plugin->version != WEBSOCKET_PLUGIN_VERSION_0) {
        return "unsupported plugin version " + std::to_string(plugin->version);
    }
    if (plugin->size < sizeof(WebSocketPlugin)) {
        return "invalid plugin size; check plugin version and compiler";
    }
    return plugin->on_message != nullptr ? "" : "on_message handler is NULL";
}

WebSocketPlugin* call_init(void* symbol, std::string& thrown) {
    try {
        return reinterpret_cast<WS_Init>(symbol)();
    } catch (...) {
        thrown = "threw an exception";
        return nullptr;
    }
}

}  // namespace

void Plugin::abandon_all() noexcept { abandoned.store(true); }

Plugin::~Plugin() {
    if (abandoned.load()) {
        object_.leave_loaded();
        return;
    }
    if (plugin_->destroy != nullptr) {
        try {
            plugin_->destroy(plugin_);
        } catch (...) {
            // The process or the configuration is going away; there is nobody left to tell.
            return;
        }
    }
}

std::unique_ptr<Plugin> Plugin::load(const std::string& path, const std::string& shown_path,
                                     const std::string& symbol, std::string& error) {
    std::string reason;
    SharedObject object = SharedObject::open(path, reason);
    if (!object.valid()) {
        error = "Could not load WebSocketHandler " + shown_path + ": " + reason;
        return nullptr;
    }
    void* init = object.symbol(symbol);
    if (init == nullptr) {
        error = "Could not find initialization function \"" + symbol + "\" for WebSocketHandler " +
                shown_path;
        return nullptr;
    }
    WebSocketPlugin* plugin = call_init(init, reason);
    std::optional<ws_plugin> v1;
    if (reason.empty()) {
        reason = objection(plugin, v1);
    }
    if (!reason.empty()) {
        error = "Invalid response from WebSocketHandler initialization function " + symbol + " (" +
                reason + ")";
        return nullptr;
    }
    return std::unique_ptr<Plugin>(new Plugin(std::move(object), plugin, v1));
}

}  // namespace websocket::plugin
