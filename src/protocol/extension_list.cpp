// SPDX-License-Identifier: Apache-2.0
#include "protocol/extension_list.hpp"

#include <utility>

#include "base/ascii.hpp"

namespace websocket::protocol {

namespace {

/// Reads from the front. White space is allowed between all parts, as RFC 2616 section 2.1 has it.
class Scanner {
public:
    explicit Scanner(std::string_view text) noexcept : rest_(text) {}

    [[nodiscard]] bool at_end() noexcept {
        skip_space();
        return rest_.empty();
    }

    /// Skips `c` if it comes next.
    bool take(char c) noexcept {
        skip_space();
        if (!rest_.starts_with(c)) {
            return false;
        }
        rest_.remove_prefix(1);
        return true;
    }

    /// True where an element of the list may end.
    [[nodiscard]] bool at_comma() noexcept {
        skip_space();
        return rest_.empty() || rest_.starts_with(',');
    }

    /// To the next comma that is not between quotes.
    void skip_element() noexcept {
        bool quoted = false;
        while (!rest_.empty() && (quoted || rest_.front() != ',')) {
            const char c = next();
            if (quoted && c == '\\' && !rest_.empty()) {
                next();
            }
            quoted = quoted != (c == '"');
        }
    }

    /// Empty when none comes next.
    std::string_view token() noexcept {
        skip_space();
        std::size_t size = 0;
        while (size < rest_.size() && base::is_token_char(rest_[size])) {
            ++size;
        }
        const std::string_view found = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return found;
    }

    /// What stands between the quotes, unescaped, which has to be a token.
    std::optional<std::string> quoted_token() {
        std::string value;
        while (!rest_.empty()) {
            const char c = next();
            if (c == '"') {
                return base::is_token(value) ? std::optional{std::move(value)} : std::nullopt;
            }
            value += c == '\\' && !rest_.empty() ? next() : c;
        }
        return {};
    }

private:
    void skip_space() noexcept {
        while (rest_.starts_with(' ') || rest_.starts_with('\t')) {
            rest_.remove_prefix(1);
        }
    }
    char next() noexcept {
        const char c = rest_.front();
        rest_.remove_prefix(1);
        return c;
    }

    std::string_view rest_;
};

std::optional<ExtensionParameter> parse_parameter(Scanner& scanner) {
    ExtensionParameter parameter{std::string(scanner.token()), {}};
    if (parameter.name.empty()) {
        return {};
    }
    if (!scanner.take('=')) {
        return parameter;
    }
    parameter.value = scanner.take('"') ? scanner.quoted_token() : std::string(scanner.token());
    const bool valid = parameter.value.has_value() && !parameter.value->empty();
    return valid ? std::optional{std::move(parameter)} : std::nullopt;
}

std::optional<Extension> parse_extension(Scanner& scanner) {
    Extension extension{std::string(scanner.token()), {}};
    if (extension.name.empty()) {
        return {};
    }
    while (scanner.take(';')) {
        std::optional<ExtensionParameter> parameter = parse_parameter(scanner);
        if (!parameter) {
            return {};
        }
        extension.parameters.push_back(std::move(*parameter));
    }
    return extension;
}

/// The list without what does not follow the grammar, and whether there was such a thing.
std::pair<std::vector<Extension>, bool> parse(std::string_view text) {
    std::vector<Extension> list;
    bool skipped = false;
    Scanner scanner(text);
    while (!scanner.at_end()) {
        if (scanner.take(',')) {
            continue;
        }
        Scanner attempt = scanner;
        std::optional<Extension> extension = parse_extension(attempt);
        if (extension && attempt.at_comma()) {
            list.push_back(std::move(*extension));
            scanner = attempt;
        } else {
            skipped = true;
            scanner.skip_element();
        }
    }
    return {std::move(list), skipped};
}

}  // namespace

std::vector<Extension> parse_extension_list(std::string_view text) { return parse(text).first; }

std::optional<std::vector<Extension>> parse_accepted_extensions(std::string_view text) {
    auto [list, skipped] = parse(text);
    if (skipped || list.empty()) {
        return {};
    }
    return std::move(list);
}

}  // namespace websocket::protocol
