// SPDX-License-Identifier: Apache-2.0
// From a WebSocketHandler line to a plugin of any ABI version.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "plugin/common/shared_object.hpp"
#include "websocket/plugin.h"

namespace websocket::plugin {

/// A plugin whose init function has run; destroyed, then unloaded, with this object.
class Plugin {
public:
    ~Plugin();
    Plugin(const Plugin&) = delete;
    Plugin& operator=(const Plugin&) = delete;

    /// Loads `path` and calls its init function `symbol`. `shown_path` is the path as the
    /// administrator wrote it. On failure the result is null and `error` is the whole sentence for
    /// the configuration error. [config]
    [[nodiscard]] static std::unique_ptr<Plugin> load(const std::string& path,
                                                      const std::string& shown_path,
                                                      const std::string& symbol,
                                                      std::string& error);

    /// From now on plugins are neither destroyed nor unloaded: the process ends with threads inside
    /// of them. Async-signal-safe. [any thread]
    static void abandon_all() noexcept;

    /// Of version 0; of version 1 only its first members mean anything.
    [[nodiscard]] const WebSocketPlugin& callbacks() const noexcept { return *plugin_; }
    /// Null when the plugin is of version 0.
    [[nodiscard]] const ws_plugin* v1() const noexcept { return v1_ ? &*v1_ : nullptr; }

    /// See SharedObject. [config]
    [[nodiscard]] bool file_was_replaced() const { return object_.was_replaced(); }

private:
    Plugin(SharedObject object, WebSocketPlugin* plugin, std::optional<ws_plugin> v1) noexcept
        : object_(std::move(object)), plugin_(plugin), v1_(v1) {}

    SharedObject object_;
    WebSocketPlugin* plugin_;  // belongs to the plugin
    std::optional<ws_plugin> v1_;
};

}  // namespace websocket::plugin
