// SPDX-License-Identifier: Apache-2.0
// The options of websocket_topic.cpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <websocket/plugin.hpp>

#include "topic_pattern.hpp"

namespace topic {

using websocket::OptionError;
using websocket::Options;

/// What stands between blanks in an option.
[[nodiscard]] inline std::vector<std::string> words_of(const Options& options,
                                                       std::string_view name) {
    constexpr std::size_t kMostWords = 64;
    std::vector<std::string> words;
    std::string_view rest = options.text(name);
    while (!rest.empty()) {
        const std::string_view word = rest.substr(0, rest.find_first_of(" \t"));
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        if (word.empty()) continue;
        if (const std::string why = objection_to_name(word, kLongestName); !why.empty()) {
            throw OptionError("option " + std::string(name) + ": \"" + std::string(word) + "\" " +
                              why);
        }
        words.emplace_back(word);
    }
    if (options.has(name) && words.empty()) {
        throw OptionError("option " + std::string(name) + ": it names nothing");
    }
    if (words.size() > kMostWords) {
        throw OptionError("option " + std::string(name) + ": it has " +
                          std::to_string(words.size()) + " words; allowed are " +
                          std::to_string(kMostWords));
    }
    return words;
}

[[nodiscard]] inline std::string_view choice_of(const Options& options, std::string_view name,
                                                std::initializer_list<std::string_view> allowed) {
    const std::string_view text = options.text(name, *allowed.begin());
    if (std::ranges::find(allowed, text) == allowed.end()) {
        std::string list;
        for (const std::string_view one : allowed) {
            list.append(list.empty() ? "" : " or ").append(one);
        }
        throw OptionError("option " + std::string(name) + ": it takes " + list + ", not \"" +
                          std::string(text) + '"');
    }
    return text;
}

/// `allow` and `deny`.
class Permissions {
public:
    explicit Permissions(const Options& options)
        : allowed_(patterns(options, "allow")), denied_(patterns(options, "deny")) {}

    [[nodiscard]] bool allow_any() const noexcept { return !allowed_.empty(); }
    [[nodiscard]] bool names_user() const {
        const auto names = [](const Pattern& one) { return one.names_user(); };
        return std::ranges::any_of(allowed_, names) || std::ranges::any_of(denied_, names);
    }
    [[nodiscard]] bool denies(std::string_view name, std::string_view user = {}) const {
        return any(denied_, name, user);
    }
    [[nodiscard]] bool allows(std::string_view name, std::string_view user = {}) const {
        return any(allowed_, name, user) && !denies(name, user);
    }

private:
    static std::vector<Pattern> patterns(const Options& options, std::string_view name) {
        const std::vector<std::string> words = words_of(options, name);
        return {words.begin(), words.end()};
    }
    static bool any(const std::vector<Pattern>& patterns, std::string_view name,
                    std::string_view user) {
        return std::ranges::any_of(
            patterns, [&](const Pattern& pattern) { return pattern.matches(name, user); });
    }

    std::vector<Pattern> allowed_;
    std::vector<Pattern> denied_;
};

/// Where the names of topics come from besides the option `topic`.
enum class NamedBy : unsigned char { nobody, path, query };

struct Settings {
    std::vector<std::string> topics;  ///< with {user} in them
    NamedBy named_by;
    Permissions permissions;
    bool json;
    bool publish;
    bool echo;
    std::size_t most_topics;
    std::size_t longest_name;

    /// Throws OptionError.
    explicit Settings(const Options& options)
        : topics(words_of(options, "topic")), named_by(named_by_of(options)), permissions(options),
          json(choice_of(options, "protocol", {"raw", "json"}) == "json"),
          publish(choice_of(options, "publish", {"off", "on"}) == "on"),
          echo(choice_of(options, "echo", {"on", "off"}) == "on"),
          most_topics(options.number<std::size_t>("topics", 20, 1, 1000)),
          longest_name(options.number<std::size_t>("name-length", 128, 1, kLongestName)) {
        options.allow_only({"topic", "topic-from", "allow", "deny", "protocol", "publish", "echo",
                            "topics", "name-length"});
        check_together();
    }

    [[nodiscard]] bool wants_user() const {
        const auto names = [](const std::string& one) { return Pattern(one).names_user(); };
        return std::ranges::any_of(topics, names) || permissions.names_user();
    }

private:
    static NamedBy named_by_of(const Options& options) {
        if (!options.has("topic-from")) return NamedBy::nobody;
        return choice_of(options, "topic-from", {"path", "query"}) == "path" ? NamedBy::path
                                                                             : NamedBy::query;
    }
    void check_together() const {
        if (topics.size() > most_topics) {
            throw OptionError("option topic: it names " + std::to_string(topics.size()) +
                              "; allowed by option topics are " + std::to_string(most_topics));
        }
        if (named_by != NamedBy::nobody && !permissions.allow_any()) {
            throw OptionError(
                "option topic-from lets clients choose: option allow has to say from what, for "
                "instance \"news/*\", or \"**\" for all topics of this host");
        }
        if (topics.empty() && !permissions.allow_any()) {
            throw OptionError(
                "there is no topic: option topic names one; or topic-from, or protocol json, with "
                "option allow");
        }
        if (!json && topics.empty() && named_by == NamedBy::nobody) {
            throw OptionError("there is no topic: with protocol raw, topic or topic-from names it");
        }
        if (json && !echo) throw OptionError("option echo: off is for protocol raw");
        if (!json && publish && topics.size() + (named_by != NamedBy::nobody ? 1 : 0) > 1) {
            throw OptionError(
                "option publish: on needs protocol json where there are several topics");
        }
    }
};

}  // namespace topic
