// SPDX-License-Identifier: Apache-2.0
// What a server keeps over all its restarts.
#pragma once

#include <httpd.h>

#include <apr_pools.h>

#include <new>
#include <utility>

namespace websocket::httpd {

/// What the process keeps under `key`, also while the module is unloaded and loaded again; null when
/// there is none. The key changes with the layout of T. [config]
template <class T>
[[nodiscard]] T* find_process_lifetime(server_rec* server, const char* key) noexcept {
    void* kept = nullptr;
    apr_pool_userdata_get(&kept, key, server->process->pool);
    return static_cast<T*>(kept);
}

/// The same, made now if there was none. It is never destroyed: the module's code may be gone when
/// the pool is. Throws std::bad_alloc. [config]
template <class T, class... Arguments>
[[nodiscard]] T* make_process_lifetime(server_rec* server, const char* key,
                                       Arguments&&... arguments) {
    T* kept = find_process_lifetime<T>(server, key);
    if (kept == nullptr) {
        apr_pool_t* pool = server->process->pool;
        kept = new (apr_palloc(pool, sizeof(T))) T(std::forward<Arguments>(arguments)...);
        apr_pool_userdata_set(kept, key, nullptr, pool);  // copies the key, which may be unloaded
    }
    return kept;
}

}  // namespace websocket::httpd
