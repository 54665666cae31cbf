// SPDX-License-Identifier: Apache-2.0
#include "plugin/shared_object.hpp"

#include <dlfcn.h>

namespace websocket::plugin {

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

void* SharedObject::symbol(const std::string& name) const noexcept {
    return ::dlsym(handle_, name.c_str());
}

}  // namespace websocket::plugin
