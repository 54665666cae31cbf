// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/setting_value.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/ascii.hpp"

namespace websocket::httpd {

namespace {

struct Unit {
    std::string_view name;
    std::int64_t factor;
};

constexpr std::array kNoUnits{Unit{"", 1}};
constexpr std::array kSizeUnits{Unit{"", 1}, Unit{"K", kKiB}, Unit{"M", kMiB},
                                Unit{"G", 1024 * kMiB}};
constexpr std::array kTimeUnits{Unit{"", kSecond}, Unit{"ms", 1}, Unit{"s", kSecond},
                                Unit{"m", 60 * kSecond}, Unit{"h", 3600 * kSecond}};

std::span<const Unit> units_of(ValueKind kind) {
    switch (kind) {
        case ValueKind::size: return kSizeUnits;
        case ValueKind::duration: return kTimeUnits;
        default: return kNoUnits;
    }
}

/// As other programs write a unit, and as it is written here.
struct OtherName {
    std::string_view name;
    std::string_view ours;
};

constexpr std::array kOtherSizes{OtherName{"B", ""},   OtherName{"KB", "K"},  OtherName{"KiB", "K"},
                                 OtherName{"MB", "M"}, OtherName{"MiB", "M"}, OtherName{"GB", "G"},
                                 OtherName{"GiB", "G"}};
constexpr std::array kOtherTimes{
    OtherName{"msec", "ms"},   OtherName{"millisecond", "ms"}, OtherName{"milliseconds", "ms"},
    OtherName{"sec", "s"},     OtherName{"secs", "s"},         OtherName{"second", "s"},
    OtherName{"seconds", "s"}, OtherName{"min", "m"},          OtherName{"mins", "m"},
    OtherName{"minute", "m"},  OtherName{"minutes", "m"},      OtherName{"hr", "h"},
    OtherName{"hour", "h"},    OtherName{"hours", "h"}};

std::span<const OtherName> other_names_of(ValueKind kind) {
    switch (kind) {
        case ValueKind::size: return kOtherSizes;
        case ValueKind::duration: return kOtherTimes;
        default: return {};
    }
}

/// "1M" for "1MB"; empty when the text is not a number with a unit by another name.
std::string as_written_here(ValueKind kind, std::string_view text) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const std::string_view unit = text.substr(digits);
    const auto names = other_names_of(kind);
    const auto other = std::ranges::find_if(names, [unit](const OtherName& candidate) {
        return base::equals_ignoring_case(candidate.name, unit);
    });
    return digits == 0 || other == names.end()
               ? std::string{}
               : std::string(text.substr(0, digits)).append(other->ours);
}

std::optional<std::int64_t> parse_number(std::string_view text, std::span<const Unit> units) {
    std::int64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, status] = std::from_chars(text.data(), end, number);
    if (status != std::errc{} || text.front() == '-') {
        return {};
    }
    const std::string_view suffix(stop, static_cast<std::size_t>(end - stop));
    const auto unit = std::ranges::find_if(units, [suffix](const Unit& candidate) {
        return base::equals_ignoring_case(candidate.name, suffix);
    });
    if (unit == units.end() || number > INT64_MAX / unit->factor) {
        return {};
    }
    return number * unit->factor;
}

std::string size_text(std::int64_t bytes) {
    return bytes != 0 && bytes % kMiB == 0 ? std::to_string(bytes / kMiB) + "M"
                                           : std::to_string(bytes);
}

std::string range_text(const Directive& directive) {
    switch (directive.kind) {
        case ValueKind::size:
            return "a size from " + size_text(directive.least) + " to " +
                   size_text(directive.most) + " bytes, with an optional K, M or G";
        case ValueKind::duration:
            return "a time from " + std::to_string(directive.least) + "ms to " +
                   std::to_string(directive.most / (3600 * kSecond)) +
                   "h, with an optional ms, s (the default), m or h";
        default:
            return "a whole number from " + std::to_string(directive.least) + " to " +
                   std::to_string(directive.most);
    }
}

bool is_allowed(const Directive& directive, std::optional<std::int64_t> value) {
    return value && *value >= directive.least && *value <= directive.most;
}

std::string number_error(const Directive& directive, std::string_view text,
                         const std::string& quoted) {
    std::string sentence = std::string(directive.name) + ": " + quoted +
                           " is not allowed; it takes " + range_text(directive);
    const std::string meant = as_written_here(directive.kind, text);
    if (!meant.empty() && is_allowed(directive, parse_number(meant, units_of(directive.kind)))) {
        sentence += "; write " + meant;
    }
    // The old module's words come first: scripts look for them.
    return directive.setting == Setting::max_message_size
               ? "Invalid maximum message size: " + sentence
               : sentence;
}

/// "Off, Same, or Trusted"
std::string choice_text(std::span<const std::string_view> choices) {
    std::string text(choices.front());
    for (std::size_t i = 1; i < choices.size(); ++i) {
        text += choices.size() > 2 ? ", " : " ";
        text += i + 1 == choices.size() ? "or " : "";
        text += choices[i];
    }
    return text;
}

}  // namespace

std::optional<std::int64_t> parse_choice(std::string_view text,
                                         std::span<const std::string_view> choices) noexcept {
    for (std::size_t i = 0; i < choices.size(); ++i) {
        if (base::equals_ignoring_case(text, choices[i])) {
            return static_cast<std::int64_t>(i);
        }
    }
    return {};
}

ParsedValue parse_setting(const Directive& directive, std::string_view text) {
    static constexpr std::array<std::string_view, 2> kFlags{"Off", "On"};
    const std::string quoted = '"' + std::string(text) + '"';
    if (directive.kind == ValueKind::flag || directive.kind == ValueKind::choice) {
        const bool flag = directive.kind == ValueKind::flag;
        const auto value = parse_choice(text, flag ? std::span<const std::string_view>(kFlags)
                                                   : directive.choices);
        if (value) {
            return {*value, {}};
        }
        return {0, std::string(directive.name) + " must be " +
                       (flag ? "On or Off" : choice_text(directive.choices)) + ", not " + quoted};
    }
    const auto value = parse_number(text, units_of(directive.kind));
    if (is_allowed(directive, value)) {
        return {*value, {}};
    }
    return {0, number_error(directive, text, quoted)};
}

}  // namespace websocket::httpd
