// SPDX-License-Identifier: Apache-2.0
// Where a test may leave files.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "unit.hpp"

namespace websocket::test {

/// A folder of its own, empty, among the system's temporary ones; gone with this, and all that is in it.
class TemporaryFolder {
public:
    TemporaryFolder() { ck_assert_ptr_nonnull(::mkdtemp(path_.data())); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_ = (std::filesystem::temp_directory_path() / "websocket-unit-XXXXXX").string();
};

}  // namespace websocket::test
