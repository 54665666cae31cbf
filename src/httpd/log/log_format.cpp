// SPDX-License-Identifier: Apache-2.0
#include "httpd/log/log_format.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

namespace websocket::httpd {

namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

constexpr std::string_view kAllowed =
    "a format may contain %%, %a, %{c}a, %A, %h, %u, %U, %q, %v, %V, %P, %L, %{NAME}i, %{NAME}o, "
    "%{NAME}e, %t, %{FORMAT}t, %{end:FORMAT}t, %D, %T, %{s}T, %{ms}T, %{us}T, %I, %O, %{id}w, "
    "%{event}w, %{subprotocol}w, %{extensions}w, %{version}w, %{transport}w, %{backend}w, "
    "%{messages-in}w, "
    "%{messages-out}w, %{code}w, %{closed-by}w and %{reason}w";

/// A letter, with the argument that makes it mean this.
struct Meaning {
    char letter;
    std::string_view argument;
    LogField field;
};

constexpr std::array kMeanings{
    Meaning{'a', "", LogField::client_address},
    Meaning{'a', "c", LogField::peer_address},
    Meaning{'A', "", LogField::local_address},
    Meaning{'h', "", LogField::remote_host},
    Meaning{'u', "", LogField::user},
    Meaning{'U', "", LogField::path},
    Meaning{'q', "", LogField::query},
    Meaning{'v', "", LogField::server_name},
    Meaning{'V', "", LogField::host},
    Meaning{'P', "", LogField::process_id},
    Meaning{'L', "", LogField::log_id},
    Meaning{'t', "", LogField::opened},
    Meaning{'D', "", LogField::duration_us},
    Meaning{'T', "", LogField::duration_s},
    Meaning{'T', "s", LogField::duration_s},
    Meaning{'T', "ms", LogField::duration_ms},
    Meaning{'T', "us", LogField::duration_us},
    Meaning{'I', "", LogField::bytes_in},
    Meaning{'O', "", LogField::bytes_out},
    Meaning{'w', "id", LogField::id},
    Meaning{'w', "event", LogField::event},
    Meaning{'w', "subprotocol", LogField::subprotocol},
    Meaning{'w', "extensions", LogField::extensions},
    Meaning{'w', "version", LogField::version},
    Meaning{'w', "transport", LogField::transport},
    Meaning{'w', "backend", LogField::backend},
    Meaning{'w', "messages-in", LogField::messages_in},
    Meaning{'w', "messages-out", LogField::messages_out},
    Meaning{'w', "code", LogField::code},
    Meaning{'w', "closed-by", LogField::closed_by},
    Meaning{'w', "reason", LogField::reason},
};

/// Letters whose argument is any name.
constexpr std::array kNamed{
    Meaning{'i', "", LogField::request_header},
    Meaning{'o', "", LogField::response_header},
    Meaning{'e', "", LogField::variable},
};

bool is_late(LogField field) { return field >= LogField::first_late; }

LogItem time_item(std::string_view argument) {
    constexpr std::string_view kBegin = "begin:";
    constexpr std::string_view kEnd = "end:";
    if (argument.starts_with(kEnd)) {
        return {LogField::closed, std::string(argument.substr(kEnd.size()))};
    }
    argument.remove_prefix(argument.starts_with(kBegin) ? kBegin.size() : 0);
    return {LogField::opened, std::string(argument)};
}

std::optional<LogItem> item_of(char letter, std::string_view argument) {
    if (letter == 't') {
        return time_item(argument);
    }
    const auto* named = std::ranges::find(kNamed, letter, &Meaning::letter);
    if (named != kNamed.end()) {
        return argument.empty() ? std::nullopt
                                : std::optional(LogItem{named->field, std::string(argument)});
    }
    const auto* found = std::ranges::find_if(kMeanings, [&](const Meaning& meaning) {
        return meaning.letter == letter && meaning.argument == argument;
    });
    return found != kMeanings.end() ? std::optional(LogItem{found->field, {}}) : std::nullopt;
}

/// Takes an escape that httpd's parser of configurations has left: \n and \t, as in LogFormat.
char take_character(std::string_view& rest) {
    const char first = rest.front();
    rest.remove_prefix(1);
    if (first != '\\' || rest.empty()) {
        return first;
    }
    constexpr std::string_view kLetters = "nrt\\";
    constexpr std::string_view kCharacters = "\n\r\t\\";
    const std::size_t which = kLetters.find(rest.front());
    if (which == std::string_view::npos) {
        return first;
    }
    rest.remove_prefix(1);
    return kCharacters[which];
}

std::string time_text(system_clock::time_point time, const std::string& format) {
    const auto since_epoch = duration_cast<microseconds>(time.time_since_epoch());
    if (format == "sec") return std::to_string(duration_cast<seconds>(since_epoch).count());
    if (format == "msec") return std::to_string(duration_cast<milliseconds>(since_epoch).count());
    if (format == "usec") return std::to_string(since_epoch.count());
    const std::time_t whole = system_clock::to_time_t(time);
    std::tm parts{};
    if (::localtime_r(&whole, &parts) == nullptr) {
        return "-";
    }
    std::array<char, 256> text;
    const char* wanted = format.empty() ? "[%d/%b/%Y:%H:%M:%S %z]" : format.c_str();
    return {text.data(), std::strftime(text.data(), text.size(), wanted, &parts)};
}

const char* name_of(engine::Ender ender) {
    switch (ender) {
        case engine::Ender::client: return "client";
        case engine::Ender::server: return "server";
        case engine::Ender::backend: return "backend";
        case engine::Ender::network: break;
    }
    return "network";
}

std::string late_text(const LogItem& item, const LogEnd& end) {
    switch (item.field) {
        case LogField::closed: return time_text(end.when, item.argument);
        case LogField::duration_s:
            return std::to_string(duration_cast<seconds>(end.duration).count());
        case LogField::duration_ms:
            return std::to_string(duration_cast<milliseconds>(end.duration).count());
        case LogField::duration_us: return std::to_string(end.duration.count());
        case LogField::bytes_in: return std::to_string(end.traffic.bytes_in);
        case LogField::bytes_out: return std::to_string(end.traffic.bytes_out);
        case LogField::messages_in: return std::to_string(end.traffic.messages_in);
        case LogField::messages_out: return std::to_string(end.traffic.messages_out);
        case LogField::code: return end.ending.code != 0 ? std::to_string(end.ending.code) : "-";
        case LogField::closed_by: return name_of(end.ending.by);
        case LogField::reason: return end.ending.reason != nullptr ? end.ending.reason : "-";
        default: return "close";  // the event
    }
}

}  // namespace

std::optional<LogFormat> LogFormat::parse(std::string_view format, std::string& error) {
    LogFormat parsed;
    std::string text;
    const auto end_text = [&] {
        if (!text.empty()) {
            parsed.items_.push_back({LogField::text, std::exchange(text, {})});
        }
    };
    while (!format.empty()) {
        if (format.front() != '%') {
            text += take_character(format);
            continue;
        }
        if (format.starts_with("%%")) {
            text += '%';
            format.remove_prefix(2);
            continue;
        }
        std::size_t letter = 1;
        std::string_view argument;
        if (format.substr(1).starts_with('{')) {
            const std::size_t end = format.find('}');
            letter = end != std::string_view::npos ? end + 1 : format.size();
            argument = format.substr(2, letter - 3);
        }
        const std::string_view whole = format.substr(0, letter + 1);
        auto item = letter < format.size() ? item_of(format[letter], argument) : std::nullopt;
        if (!item) {
            error = '"' + std::string(whole) + "\" is not allowed; " + std::string(kAllowed);
            return {};
        }
        end_text();
        parsed.items_.push_back(std::move(*item));
        format.remove_prefix(whole.size());
    }
    end_text();
    if (parsed.items_.empty()) {
        error = '"' + std::string(format) + "\" is not allowed; " + std::string(kAllowed);
        return {};
    }
    return parsed;
}

std::string LogFormat::begin(system_clock::time_point opened, const Lookup& lookup) const {
    std::string line;
    for (const LogItem& item : items_) {
        if (item.field == LogField::text) {
            line += item.argument;
        } else if (item.field == LogField::opened) {
            line += time_text(opened, item.argument);
        } else if (is_late(item.field)) {
            line += '\0';
        } else {
            append_escaped(line, lookup(item).value_or("-"), kLongestValue);
        }
    }
    line.resize(std::min(line.size(), kLongestLine));
    return line;
}

std::string LogFormat::complete(std::string_view begun, const LogEnd* end) const {
    std::string line;
    auto late = items_.begin();
    for (const char c : begun) {
        if (c != '\0') {
            line += c;
            continue;
        }
        late = std::find_if(late, items_.end(),
                            [](const LogItem& item) { return is_late(item.field); });
        if (end != nullptr) {
            line += late_text(*late, *end);
        } else {
            line += late->field == LogField::event ? "open" : "-";
        }
        ++late;
    }
    line.resize(std::min(line.size(), kLongestLine - 1));
    line += '\n';
    return line;
}

void append_escaped(std::string& line, std::string_view value, std::size_t most) {
    constexpr std::string_view kHex = "0123456789abcdef";
    constexpr std::string_view kEscaped = "\b\n\r\t\v\\\"";
    constexpr std::string_view kLetters = "bnrtv\\\"";
    const std::size_t limit = line.size() + most;
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        std::string shown(1, c);
        if (const std::size_t which = kEscaped.find(c); which != std::string_view::npos) {
            shown = {'\\', kLetters[which]};
        } else if (byte < 0x20 || byte >= 0x7F) {
            shown = {'\\', 'x', kHex[byte >> 4], kHex[byte & 0xF]};
        }
        if (line.size() + shown.size() > limit) {
            return;
        }
        line += shown;
    }
}

}  // namespace websocket::httpd
