// SPDX-License-Identifier: Apache-2.0
#include "httpd/siblings/guests.hpp"

#include <apr_portable.h>
#include <fcntl.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_main.h>
#include <mpm_common.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <new>
#include <utility>

#include "base/signal_mask.hpp"
#include "net/transport.hpp"

namespace websocket::httpd {

namespace {

/// httpd numbers the connections of its workers from 0 on.
constexpr long kFirstConnectionId = 1L << 30;

/// Of a pool with an allocator of its own, which no other thread touches.
apr_pool_t* own_pool() {
    apr_allocator_t* allocator = nullptr;
    apr_pool_t* pool = nullptr;
    if (apr_allocator_create(&allocator) != APR_SUCCESS) {
        return nullptr;
    }
    apr_allocator_max_free_set(allocator, ap_max_mem_free);
    if (apr_pool_create_ex(&pool, nullptr, nullptr, allocator) != APR_SUCCESS) {
        apr_allocator_destroy(allocator);
        return nullptr;
    }
    apr_allocator_owner_set(allocator, pool);
    return pool;
}

/// Null when the client is gone. The socket belongs to the pool from now on.
apr_socket_t* adopt(base::Descriptor socket, apr_pool_t* pool) {
    sockaddr_storage local{};
    socklen_t size = sizeof local;
    if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&local), &size) != 0) {
        return nullptr;
    }
    apr_os_sock_t descriptor = socket.get();
    apr_os_sock_info_t info{};
    info.os_sock = &descriptor;
    info.family = local.ss_family;
    info.type = SOCK_STREAM;
    info.protocol = APR_PROTO_TCP;
    apr_socket_t* adopted = nullptr;
    if (apr_os_sock_make(&adopted, &info, pool) != APR_SUCCESS) {
        return nullptr;
    }
    static_cast<void>(socket.release());
    return adopted;
}

/// event makes a record of each connection that it accepts, of which two of its hooks for requests note a timeout
/// that only its listener uses (mod_http2 has to give them one for its streams, too). Larger than any.
void give_record_of_event(conn_rec* c) {
    constexpr apr_size_t kSize = 4096;
    if (const module* event = ap_find_linked_module("event.c")) {
        ap_set_module_config(c->conn_config, event, apr_pcalloc(c->pool, kSize));
    }
}

bool has_unread(int socket) noexcept {
    int bytes = 0;
    return ::ioctl(socket, FIONREAD, &bytes) == 0 && bytes != 0;
}

/// As a worker of httpd does it (process_socket in worker.c); no slot of the scoreboard is for this thread.
void serve_connection(apr_socket_t* socket, std::optional<Arrival::Place> place, long id,
                      apr_thread_t* thread, apr_pool_t* pool) {
    apr_bucket_alloc_t* buckets = apr_bucket_alloc_create(pool);
    conn_rec* c = ap_run_create_connection(pool, ap_server_conf, socket, id, nullptr, buckets);
    if (c == nullptr) {
        return;
    }
    if (place) {
        Arrival::attach(c, std::move(*place));
    }
    give_record_of_event(c);
    c->current_thread = thread;
    c->clogging_input_filters = 1;  // event: no listener waits for this connection
    ap_process_connection(c, socket);
    ap_lingering_close(c);
}

}  // namespace

thread_local Guests::Thread* Guests::current = nullptr;

bool Guests::has_free_thread() noexcept {
    const std::lock_guard lock(mutex_);
    return idle_ > waiting_.size() || threads_.size() < most_;
}

void Guests::serve(Guest guest) noexcept {
    const std::lock_guard lock(mutex_);
    const bool has_thread =
        idle_ > waiting_.size() || (threads_.size() < most_ && start_thread()) || !threads_.empty();
    try {
        if (has_thread && !stopping_) {
            waiting_.push_back(std::move(guest));
            ++clients_;
            changed_.notify_one();
            return;
        }
    } catch (const std::bad_alloc&) {
        // It is closed.
    }
}

bool Guests::start_thread() noexcept {
    apr_pool_t* pool = own_pool();
    if (pool == nullptr) {
        return false;
    }
    apr_threadattr_t* detached = nullptr;
    apr_thread_t* thread = nullptr;
    try {
        const auto id = kFirstConnectionId + static_cast<long>(threads_.size());
        Thread& self = threads_.emplace_back(Thread{this, id, {}, {}});
        running_.fetch_add(1);
        const base::SignalsBlocked blocked;  // inherited by the thread
        if (apr_threadattr_create(&detached, pool) == APR_SUCCESS &&
            apr_threadattr_detach_set(detached, 1) == APR_SUCCESS &&
            ap_thread_create(&thread, detached, run, &self, pool) == APR_SUCCESS) {
            return true;
        }
        running_.fetch_sub(1);
        threads_.pop_back();
    } catch (const std::bad_alloc&) {
        // As without a thread.
    }
    apr_pool_destroy(pool);
    return false;
}

void* APR_THREAD_FUNC Guests::run(apr_thread_t* thread, void* data) {
    auto& self = *static_cast<Thread*>(data);
    current = &self;
    self.owner->run(thread, self);
    self.owner->running_.fetch_sub(1);
    return nullptr;
}

void Guests::run(apr_thread_t* thread, Thread& self) {
    apr_pool_t* pool = own_pool();
    std::unique_lock lock(mutex_);
    while (pool != nullptr) {
        ++idle_;
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        --idle_;
        if (waiting_.empty()) {
            break;
        }
        Guest next = std::move(waiting_.front());
        waiting_.pop_front();
        self.held = base::Descriptor(::fcntl(next.socket.get(), F_DUPFD_CLOEXEC, 0));
        self.idle_at.reset();
        if (stopping_) {
            ::shutdown(next.socket.get(), SHUT_RDWR);
        }
        lock.unlock();
        if (apr_socket_t* socket = adopt(std::move(next.socket), pool)) {
            serve_connection(socket, std::move(next.place), self.connection_id, thread, pool);
        }
        lock.lock();
        self.held = base::Descriptor();
        lock.unlock();
        apr_pool_clear(pool);  // what was taken over is the engine's from now on
        lock.lock();
        --clients_;
    }
    if (pool != nullptr) {
        apr_pool_destroy(pool);
    }
}

void Guests::end_request(const conn_rec* c) noexcept {
    if (current == nullptr || c->keepalive != AP_CONN_KEEPALIVE) {
        return;
    }
    const std::lock_guard lock(current->owner->mutex_);
    const int socket = current->held.get();
    current->idle_at = net::received_by(socket);
    if (has_unread(socket)) {  // of the next request
        current->idle_at.reset();
    }
}

// What comes at the same moment is still read, and answered if it is a whole request.
void Guests::begin_drain() noexcept {
    const std::lock_guard lock(mutex_);
    for (const Thread& thread : threads_) {
        if (thread.held.valid() && thread.idle_at == net::received_by(thread.held.get())) {
            ::shutdown(thread.held.get(), SHUT_RD);
        }
    }
}

bool Guests::busy() noexcept {
    const std::lock_guard lock(mutex_);
    return clients_ != 0 && running_.load() != 0;
}

void Guests::begin_stop() noexcept {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const Thread& thread : threads_) {
        if (thread.held.valid()) {
            ::shutdown(thread.held.get(), SHUT_RDWR);
        }
    }
    changed_.notify_all();
}

}  // namespace websocket::httpd
