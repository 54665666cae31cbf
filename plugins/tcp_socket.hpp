// SPDX-License-Identifier: Apache-2.0
// Part of websocket_tcp.cpp: a descriptor that is closed in the end.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace tcp {

class Socket {
public:
    Socket() noexcept = default;
    explicit Socket(int descriptor) noexcept : descriptor_(descriptor) {}
    Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Socket& operator=(Socket&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() {
        if (valid()) ::close(descriptor_);
    }
    [[nodiscard]] bool valid() const noexcept { return descriptor_ >= 0; }
    [[nodiscard]] int get() const noexcept { return descriptor_; }
    /// Not valid, with errno, when there can be none.
    [[nodiscard]] Socket duplicate() const noexcept {
        return Socket(::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0));
    }
    /// Whether its number is among the last that this process may have. These are httpd's own, for pages and
    /// logs, as they are where mod_websocket counts descriptors.
    [[nodiscard]] bool is_one_of_the_last() const noexcept {
        rlimit limit{};
        if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
        const rlim_t kept = std::min<rlim_t>(limit.rlim_cur / 4, 256);
        return static_cast<rlim_t>(descriptor_) >= limit.rlim_cur - kept;
    }

private:
    int descriptor_ = -1;
};

}  // namespace tcp
