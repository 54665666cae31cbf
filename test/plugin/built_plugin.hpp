// SPDX-License-Identifier: Apache-2.0
// Where the plugins are that were built together with this program.
#pragma once

#include <filesystem>
#include <string>

#include "unit.hpp"

namespace websocket::test {

/// Path of a plugin in build/VARIANT, for instance "test/plugins/debug.so".
[[nodiscard]] inline std::string built_plugin(const std::string& name) {
    const auto variant =
        std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
    const std::filesystem::path path = variant / name;
    ck_assert_msg(std::filesystem::exists(path), "%s is not built; scons builds it", path.c_str());
    return path;
}

}  // namespace websocket::test
