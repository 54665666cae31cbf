// SPDX-License-Identifier: Apache-2.0
// A plugin of which is known, also by another process, which of its functions runs.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <utility>
#include <websocket/plugin.h>

namespace websocket::tools {

/// The function of the plugin that runs now; null when none does. Shared with forked processes, in which
/// names have the same address.
struct Running {
    const char* volatile name;
};

/// Throws std::bad_alloc.
inline Running& running() {
    static Running* const shared = [] {
        void* page = ::mmap(nullptr, sizeof(Running), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) throw std::bad_alloc();
        return new (page) Running{nullptr};
    }();
    return *shared;
}

/// Thrown instead of what left a function of the plugin.
struct LeftByException {
    const char* name;
};

/// Stands for all functions of one plugin; there is one at a time.
class WatchedPlugin {
public:
    explicit WatchedPlugin(const WebSocketPlugin& plugin) {
        std::memcpy(&original_, &plugin, std::min<std::size_t>(plugin.size, sizeof original_));
        watched_ = original_;
        watched_.base.size = sizeof watched_;
        watch<&ws_plugin::check>("check");
        watch<&ws_plugin::start>("start");
        watch<&ws_plugin::stop>("stop");
        watch<&ws_plugin::on_upgrade>("on_upgrade");
        watch<&ws_plugin::on_open>("on_open");
        watch<&ws_plugin::on_message>("on_message");
        watch<&ws_plugin::on_fragment>("on_fragment");
        watch<&ws_plugin::on_pong>("on_pong");
        watch<&ws_plugin::on_writable>("on_writable");
        watch<&ws_plugin::on_close>("on_close");
        watch<&ws_plugin::on_drain>("on_drain");
        watch<&ws_plugin::on_http>("on_http");
    }

    /// Throws LeftByException where the original throws.
    [[nodiscard]] const ws_plugin& get() const noexcept { return watched_; }

private:
    template <auto Member, class Function>
    struct Watched;
    template <auto Member, class Result, class... Arguments>
    struct Watched<Member, Result (*)(Arguments...)> {
        static inline const char* name = nullptr;

        static Result call(Arguments... arguments) {
            struct Mark {
                const char* const outer = std::exchange(running().name, name);
                ~Mark() { running().name = outer; }
            };
            try {
                const Mark mark;
                return (original_.*Member)(arguments...);
            } catch (...) {
                throw LeftByException{name};
            }
        }
    };

    template <auto Member>
    void watch(const char* name) {
        using Function = std::remove_reference_t<decltype(watched_.*Member)>;
        if (original_.*Member != nullptr) {
            Watched<Member, Function>::name = name;
            watched_.*Member = Watched<Member, Function>::call;
        }
    }

    static inline ws_plugin original_{};
    ws_plugin watched_{};
};

}  // namespace websocket::tools
