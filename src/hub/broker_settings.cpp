// SPDX-License-Identifier: Apache-2.0
#include "hub/broker_settings.hpp"

#include <array>
#include <charconv>

namespace websocket::hub {

namespace {

/// The number changes with what stands behind it.
constexpr std::string_view kSettingsHead = "mod_websocket bridge 2";

void add_line(std::string& text, std::string_view line) {
    text += line;
    text += '\0';
}

std::optional<std::string_view> take_line(std::string_view& text) {
    const std::size_t end = text.find('\0');
    if (end == std::string_view::npos) {
        return {};
    }
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    return line;
}

bool take_number(std::string_view& text, std::size_t& into) {
    const auto line = take_line(text);
    if (!line) {
        return false;
    }
    const auto [stop, error] = std::from_chars(line->data(), line->data() + line->size(), into);
    return error == std::errc() && stop == line->data() + line->size();
}

}  // namespace

std::string BrokerSettings::to_text() const {
    std::string text;
    add_line(text, kSettingsHead);
    for (const std::string* part : {&url, &password, &prefix, &ca_file}) {
        add_line(text, *part);
    }
    for (const std::size_t number : {static_cast<std::size_t>(verify), buffer, topic_buffer,
                                     static_cast<std::size_t>(level)}) {
        add_line(text, std::to_string(number));
    }
    return text;
}

std::optional<BrokerSettings> BrokerSettings::of_text(std::string_view text) {
    BrokerSettings settings;
    if (take_line(text) != kSettingsHead) {
        return {};
    }
    for (std::string* part :
         {&settings.url, &settings.password, &settings.prefix, &settings.ca_file}) {
        const auto line = take_line(text);
        if (!line) {
            return {};
        }
        *part = *line;
    }
    std::size_t verify = 0;
    std::size_t level = 0;
    if (!take_number(text, verify) || !take_number(text, settings.buffer) ||
        !take_number(text, settings.topic_buffer) || !take_number(text, level)) {
        return {};
    }
    settings.verify = verify != 0;
    settings.level = static_cast<base::LogLevel>(level);
    return settings;
}

}  // namespace websocket::hub
