// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/config_doubts.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <string_view>

#include "base/ascii.hpp"
#include "httpd/config/reach.hpp"
#include "protocol/origin.hpp"

namespace websocket::httpd {

namespace {

constexpr std::string_view kHandler = "websocket-handler";

/// What a directive says about an endpoint.
enum class Subject : std::uint8_t {
    handler,        ///< sets the handler, for sure
    maybe_handler,  ///< may set it, or means to
    plugin,         ///< WebSocketHandler
    trusts_listed,  ///< WebSocketOriginCheck Trusted
    lists_trusted,  ///< WebSocketTrustedOrigin
};

struct Mention {
    Subject subject;
    const ap_directive_t* at;
    Reach reach;
};

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

/// The arguments, without their quotes.
std::vector<std::string_view> words_of(const ap_directive_t& directive) {
    std::vector<std::string_view> words;
    std::string_view rest = directive.args != nullptr ? directive.args : "";
    for (rest = base::trim(rest); !rest.empty(); rest = base::trim(rest)) {
        const bool quoted = rest.front() == '"' || rest.front() == '\'';
        const std::size_t end =
            std::min(quoted ? rest.find(rest.front(), 1) : rest.find_first_of(" \t"), rest.size());
        words.push_back(rest.substr(quoted ? 1 : 0, end - (quoted ? 1 : 0)));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return words;
}

bool is(const ap_directive_t& directive, std::string_view name) {
    return base::equals_ignoring_case(directive.directive, name);
}

/// Levenshtein's, of words of up to 32 characters.
std::size_t edit_distance(std::string_view one, std::string_view other) {
    std::array<std::size_t, 33> row;
    std::iota(row.begin(), row.end(), std::size_t{0});
    other = other.substr(0, row.size() - 1);
    for (const char letter : one) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 0; j < other.size(); ++j) {
            const std::size_t replaced = diagonal + (letter == other[j] ? 0 : 1);
            diagonal = row.at(j + 1);
            row.at(j + 1) = std::min({replaced, row.at(j) + 1, diagonal + 1});
        }
    }
    return row.at(other.size());
}

/// A name that nobody has given to another handler, and that looks like ours.
bool is_misspelled(std::string_view name) {
    constexpr std::size_t kMaxErrors = 3;
    const std::string word = base::lower(name);
    return word != kHandler &&
           (word.starts_with("websocket") || edit_distance(word, kHandler) <= kMaxErrors);
}

bool names_a_handler(const ap_directive_t& directive) {
    return is(directive, "SetHandler") || is(directive, "AddHandler");
}

/// Whether requests may get the handler from here in a way that cannot be followed.
bool may_set_handler(const ap_directive_t& directive) {
    const std::string arguments = base::lower(directive.args != nullptr ? directive.args : "");
    if (is(directive, "AllowOverride")) {
        return contains(arguments, "all") || contains(arguments, "fileinfo");
    }
    if (is(directive, "AllowOverrideList")) {
        return contains(arguments, "handler") || contains(arguments, "rewrite");
    }
    const std::string name = base::lower(directive.directive);
    return contains(arguments, kHandler) || name.starts_with("lua") || name.starts_with("perl") ||
           (name == "sethandler" && arguments.starts_with("expr=")) ||
           (name == "rewriterule" && contains(arguments, "h="));
}

/// All that is said in a tree.
class Survey {
public:
    explicit Survey(const ap_directive_t* tree) { walk(tree); }

    [[nodiscard]] std::vector<std::string> doubts() && {
        look_for(
            Subject::plugin, {Subject::handler, Subject::maybe_handler},
            "WS0118: WebSocketHandler without SetHandler websocket-handler: no request comes to "
            "the plugin");
        look_for(
            Subject::handler, {Subject::plugin},
            "WS0119: SetHandler websocket-handler without WebSocketHandler: each handshake will "
            "be answered with 500");
        look_for(Subject::trusts_listed, {Subject::lists_trusted},
                 "WS0138: WebSocketOriginCheck Trusted without WebSocketTrustedOrigin: no page may "
                 "connect");
        return std::move(doubts_);
    }

private:
    void walk(const ap_directive_t* first) {
        for (const ap_directive_t* one = first; one != nullptr; one = one->next) {
            look_at(*one);
            walk(one->first_child);
        }
    }

    void look_at(const ap_directive_t& directive) {
        const std::vector<std::string_view> words = words_of(directive);
        const std::string_view word = words.empty() ? std::string_view() : words.front();
        if (is(directive, "SetHandler") && base::equals_ignoring_case(word, kHandler)) {
            add(Subject::handler, directive);
        } else if (names_a_handler(directive) && is_misspelled(word)) {
            add(Subject::maybe_handler, directive);
            doubt(directive, "WS0117: there is no handler \"" + std::string(word) +
                                 "\"; is websocket-handler meant?");
        } else if (is(directive, "WebSocketHandler")) {
            add(Subject::plugin, directive);
        } else if (is(directive, "WebSocketOriginCheck") &&
                   base::equals_ignoring_case(word, "Trusted")) {
            add(Subject::trusts_listed, directive);
        } else if (is(directive, "WebSocketTrustedOrigin")) {
            add(Subject::lists_trusted, directive);
            std::ranges::for_each(words, [&](auto origin) { look_at_origin(directive, origin); });
        } else if (may_set_handler(directive)) {
            add(Subject::maybe_handler, directive);
        }
    }

    void look_at_origin(const ap_directive_t& directive, std::string_view origin) {
        const auto read = protocol::read_trusted_origin(origin);
        if (!read.never.empty()) {
            const std::string_view why =
                origin == "*" ? "WebSocketOriginCheck Off lets in every page" : read.never;
            doubt(directive, "WS0139: WebSocketTrustedOrigin \"" + std::string(origin) +
                                 "\" is the origin of no page: " + std::string(why));
        }
    }

    void add(Subject subject, const ap_directive_t& directive) {
        // What .htaccess files may do is said in a <Directory>, and holds wherever that is served.
        mentions_.push_back({subject, &directive, reach_of(directive)});
    }

    void doubt(const ap_directive_t& at, const std::string& sentence) {
        doubts_.push_back(sentence + " (" + (at.filename != nullptr ? at.filename : "") + ':' +
                          std::to_string(at.line_num) + ')');
    }

    /// Each mention of `subject` that can meet none of the `others`.
    void look_for(Subject subject, std::vector<Subject> others, const std::string& sentence) {
        for (const Mention& one : mentions_) {
            const auto helps = [&](const Mention& other) {
                return std::ranges::find(others, other.subject) != others.end() &&
                       may_meet(one.reach, other.reach);
            };
            if (one.subject == subject && std::ranges::none_of(mentions_, helps)) {
                doubt(*one.at, sentence);
            }
        }
    }

    std::vector<Mention> mentions_;
    std::vector<std::string> doubts_;
};

}  // namespace

std::vector<std::string> doubts_of(const ap_directive_t* tree) { return Survey(tree).doubts(); }

}  // namespace websocket::httpd
