// SPDX-License-Identifier: Apache-2.0
#include "hub/broker_settings.hpp"

#include <array>
#include <charconv>

namespace websocket::hub {

namespace {

/// The number changes with what stands behind it.
constexpr std::string_view kSettingsHead = "mod_websocket bridge 3";

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

template <class Number>
bool take_number(std::string_view& text, Number& into) {
    const auto line = take_line(text);
    if (!line) {
        return false;
    }
    const auto [stop, error] = std::from_chars(line->data(), line->data() + line->size(), into);
    return error == std::errc() && stop == line->data() + line->size();
}

void add_rule(std::string& text, const HistoryRule& rule) {
    add_line(text, rule.scope);
    add_line(text, rule.pattern.text());
    add_line(text, std::to_string(rule.limits.messages));
    add_line(text, std::to_string(rule.limits.ttl.count()));
}

bool take_rule(std::string_view& text, std::vector<HistoryRule>& rules) {
    const auto scope = take_line(text);
    const auto pattern = take_line(text);
    HistoryLimits limits{};
    std::int64_t ttl = 0;
    if (!scope || !pattern || !take_number(text, limits.messages) || !take_number(text, ttl)) {
        return false;
    }
    limits.ttl = std::chrono::milliseconds(ttl);
    rules.push_back({std::string(*scope), TopicPattern(std::string(*pattern)), limits});
    return true;
}

}  // namespace

std::string BrokerSettings::to_text() const {
    std::string text;
    add_line(text, kSettingsHead);
    for (const std::string* part : {&url, &password, &sentinel_password, &prefix, &ca_file}) {
        add_line(text, *part);
    }
    for (const std::size_t number : {static_cast<std::size_t>(verify), buffer, topic_buffer,
                                     static_cast<std::size_t>(level), histories.size()}) {
        add_line(text, std::to_string(number));
    }
    for (const HistoryRule& rule : histories) {
        add_rule(text, rule);
    }
    return text;
}

std::optional<BrokerSettings> BrokerSettings::of_text(std::string_view text) {
    BrokerSettings settings;
    if (take_line(text) != kSettingsHead) {
        return {};
    }
    for (std::string* part : {&settings.url, &settings.password, &settings.sentinel_password,
                              &settings.prefix, &settings.ca_file}) {
        const auto line = take_line(text);
        if (!line) {
            return {};
        }
        *part = *line;
    }
    std::size_t verify = 0;
    std::size_t level = 0;
    std::size_t rules = 0;
    if (!take_number(text, verify) || !take_number(text, settings.buffer) ||
        !take_number(text, settings.topic_buffer) || !take_number(text, level) ||
        !take_number(text, rules)) {
        return {};
    }
    for (; rules > 0; --rules) {
        if (!take_rule(text, settings.histories)) {
            return {};
        }
    }
    settings.verify = verify != 0;
    settings.level = static_cast<base::LogLevel>(level);
    return settings;
}

}  // namespace websocket::hub
