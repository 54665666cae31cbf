// SPDX-License-Identifier: Apache-2.0
#include "shm/owner.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <string_view>

#include "base/descriptor.hpp"

namespace websocket::shm {

namespace {

/// In clock ticks since the system's start, from proc(5); 0 when that cannot tell: as in a chroot, with
/// hidepid, or where /proc shows the processes of another namespace.
std::uint64_t began(const char* stat_file, pid_t process) noexcept {
    const base::Descriptor file(::open(stat_file, O_RDONLY | O_CLOEXEC));
    std::array<char, 1024> buffer;
    const ssize_t size = file.valid() ? ::read(file.get(), buffer.data(), buffer.size()) : 0;
    std::string_view text(buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    pid_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    if (number != process) {
        return 0;
    }
    // The second field is a name in parentheses, which may contain anything.
    text.remove_prefix(text.rfind(')') + 1);
    constexpr int kField = 22;
    for (int field = 2; field < kField && !text.empty(); ++field) {
        text.remove_prefix(std::min(text.find(' '), text.size() - 1) + 1);
    }
    std::uint64_t ticks = 0;
    std::from_chars(text.data(), text.data() + text.size(), ticks);
    return ticks;
}

}  // namespace

Owner Owner::self() noexcept {
    const pid_t process = ::getpid();
    return {process, began("/proc/self/stat", process)};
}

bool Owner::is_missing() const noexcept { return ::kill(process(), 0) != 0 && errno == ESRCH; }

bool Owner::is_gone() const noexcept {
    if (is_missing()) {
        return true;
    }
    std::array<char, 32> file;
    std::snprintf(file.data(), file.size(), "/proc/%d/stat", static_cast<int>(process()));
    const Owner now(process(), began(file.data(), process()));
    return (word_ & kBegan) != 0 && (now.word_ & kBegan) != 0 &&
           ((word_ ^ now.word_) & kBegan) != 0;
}

}  // namespace websocket::shm
