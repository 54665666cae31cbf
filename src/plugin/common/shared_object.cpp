// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/shared_object.hpp"

#include <dlfcn.h>
#include <link.h>

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string_view>

namespace websocket::plugin {

namespace {

/// The file that a line of /proc/self/maps names if `address` is in its range, else nothing:
/// "7f01-7f09 r-xp 00000000 fe:01 4711   /usr/lib/x.so", with " (deleted)" behind it if it is.
std::string_view file_at(std::uintptr_t address, std::string_view line) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    const char* const stop = line.data() + line.size();
    const char* at = std::from_chars(line.data(), stop, begin, 16).ptr;
    if (at == stop || *at != '-' || std::from_chars(at + 1, stop, end, 16).ec != std::errc{} ||
        address < begin || address >= end) {
        return {};
    }
    const std::size_t path = line.find('/');
    return path == std::string_view::npos ? std::string_view{} : line.substr(path);
}

}  // namespace

// By name and not by inode: with overlay file systems the numbers of maps and stat() differ.
bool mapped_file_was_replaced(const void* address, const char* path) {
    std::ifstream maps("/proc/self/maps");
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    for (std::string line; std::getline(maps, line);) {
        const std::string_view mapped = file_at(wanted, line);
        if (!mapped.empty()) {
            const std::unique_ptr<char, decltype(&std::free)> now(::realpath(path, nullptr),
                                                                  std::free);
            return now == nullptr || mapped != now.get();
        }
    }
    return false;
}

SharedObject::~SharedObject() {
    if (handle_ != nullptr) {
        ::dlclose(handle_);
    }
}

SharedObject SharedObject::open(const std::string& path, std::string& error) {
    SharedObject object(::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL));
    if (!object.valid()) {
        const char* reason = ::dlerror();
        error = reason != nullptr ? reason : "unknown error";
    }
    return object;
}

bool SharedObject::was_replaced() const {
    link_map* map = nullptr;
    return ::dlinfo(handle_, RTLD_DI_LINKMAP, &map) == 0 &&
           mapped_file_was_replaced(map->l_ld, map->l_name);
}

void* SharedObject::symbol(const std::string& name) const noexcept {
    return ::dlsym(handle_, name.c_str());
}

}  // namespace websocket::plugin
