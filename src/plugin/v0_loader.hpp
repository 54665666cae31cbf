// SPDX-License-Identifier: Apache-2.0
// From a WebSocketHandler line to a plugin of ABI version 0.
#pragma once

#include <memory>
#include <string>

#include "plugin/shared_object.hpp"
#include "websocket_plugin.h"

namespace websocket::plugin {

/// A plugin whose init function has run; destroyed, then unloaded, with this object.
class V0Plugin {
public:
    ~V0Plugin();
    V0Plugin(const V0Plugin&) = delete;
    V0Plugin& operator=(const V0Plugin&) = delete;

    /// Loads `path` and calls its init function `symbol`. `shown_path` is the path as the
    /// administrator wrote it. On failure the result is null and `error` is the whole sentence for
    /// the configuration error. [config]
    [[nodiscard]] static std::unique_ptr<V0Plugin> load(const std::string& path,
                                                        const std::string& shown_path,
                                                        const std::string& symbol,
                                                        std::string& error);

    /// From now on plugins are neither destroyed nor unloaded: the process ends with threads inside
    /// of them. Async-signal-safe. [any thread]
    static void abandon_all() noexcept;

    [[nodiscard]] const WebSocketPlugin& callbacks() const noexcept { return *plugin_; }

private:
    V0Plugin(SharedObject object, WebSocketPlugin* plugin) noexcept
        : object_(std::move(object)), plugin_(plugin) {}

    SharedObject object_;
    WebSocketPlugin* plugin_;  // belongs to the plugin
};

}  // namespace websocket::plugin
