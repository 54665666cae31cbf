// SPDX-License-Identifier: Apache-2.0
#include "plugin/common/option_list.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace websocket::plugin {

OptionList::OptionList(std::span<const ws_option> options) {
    std::size_t size = 0;
    for (const ws_option& option : options) {
        size += option.name_size + option.value_size + 2;
    }
    bytes_.reserve(size);  // exactly, so that nothing moves below
    options_.reserve(options.size());
    const auto keep = [this](const char* text, std::uint64_t n) {
        const std::size_t begin = bytes_.size();
        bytes_.insert(bytes_.end(), text, text + n);
        bytes_.push_back('\0');
        return bytes_.data() + begin;
    };
    for (const ws_option& option : options) {
        const char* name = keep(option.name, option.name_size);
        const char* value = keep(option.value, option.value_size);
        options_.push_back({name, option.name_size, value, option.value_size});
    }
}

bool OptionList::operator==(const OptionList& other) const noexcept {
    return std::ranges::equal(options_, other.options_,
                              [](const ws_option& one, const ws_option& two) {
                                  return std::string_view(one.name, one.name_size) ==
                                             std::string_view(two.name, two.name_size) &&
                                         std::string_view(one.value, one.value_size) ==
                                             std::string_view(two.value, two.value_size);
                              });
}

}  // namespace websocket::plugin
