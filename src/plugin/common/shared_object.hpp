// SPDX-License-Identifier: Apache-2.0
// Ownership of a dlopen'd file.
#pragma once

#include <string>
#include <utility>

namespace websocket::plugin {

/// True when `path` no longer names the file that is mapped at `address`: another one took its place, or
/// it was moved or removed. False when the kernel does not tell. Throws std::bad_alloc. [config]
[[nodiscard]] bool mapped_file_was_replaced(const void* address, const char* path);

class SharedObject {
public:
    SharedObject() noexcept = default;
    SharedObject(SharedObject&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    SharedObject& operator=(SharedObject&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    SharedObject(const SharedObject&) = delete;
    SharedObject& operator=(const SharedObject&) = delete;
    ~SharedObject();

    /// Loads `path` with all its symbols resolved and its own kept private. On failure the result
    /// is empty and `error` says what the loader said. [config]
    [[nodiscard]] static SharedObject open(const std::string& path, std::string& error);

    /// Forgets the file without unloading it.
    void leave_loaded() noexcept { handle_ = nullptr; }

    [[nodiscard]] bool valid() const noexcept { return handle_ != nullptr; }

    /// True when `path` names another file by now than the one that is loaded: something keeps the old
    /// one in the process, and the loader gave that out again. Throws std::bad_alloc. [config]
    [[nodiscard]] bool was_replaced() const;

    /// Null when there is no such symbol.
    [[nodiscard]] void* symbol(const std::string& name) const noexcept;

private:
    explicit SharedObject(void* handle) noexcept : handle_(handle) {}

    void* handle_ = nullptr;
};

}  // namespace websocket::plugin
