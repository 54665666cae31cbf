// SPDX-License-Identifier: Apache-2.0
// What an administrator has written for a plugin alone.
#pragma once

#include <span>
#include <vector>

#include "websocket/plugin.h"

namespace websocket::plugin {

/// Options as the interface of plugins has them, with the bytes that they point to: names and values
/// end with a 0 that does not count.
class OptionList {
public:
    OptionList() noexcept = default;
    /// Copies. Throws std::bad_alloc.
    explicit OptionList(std::span<const ws_option> options);
    OptionList(OptionList&&) noexcept = default;
    OptionList& operator=(OptionList&&) noexcept = default;

    /// Valid as long as the list, wherever it is moved.
    [[nodiscard]] std::span<const ws_option> all() const noexcept { return options_; }

    [[nodiscard]] bool operator==(const OptionList& other) const noexcept;

private:
    std::vector<char> bytes_;  // unlike those of a short string, they stay where they are
    std::vector<ws_option> options_;
};

}  // namespace websocket::plugin
