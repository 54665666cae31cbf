// SPDX-License-Identifier: Apache-2.0
// The table in docs/directives.md is made from the directive table. When it is not up to date, this
// test prints the text that belongs between the two marks.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "httpd/config/directives.hpp"
#include "unit.hpp"

namespace {

using websocket::httpd::Directive;
using websocket::httpd::kDirectives;
using websocket::httpd::kKiB;
using websocket::httpd::kMax32;
using websocket::httpd::kMaxSize;
using websocket::httpd::kMiB;
using websocket::httpd::kSecond;
using websocket::httpd::Scope;
using websocket::httpd::ValueKind;

constexpr std::string_view kBegin = "<!-- made from src/httpd/config/directives.hpp: begin -->\n";
constexpr std::string_view kEnd = "<!-- made from src/httpd/config/directives.hpp: end -->\n";

/// The compiler got either an absolute path or one that starts in the folder the tests run in.
std::filesystem::path reference_page() {
    return std::filesystem::path(__FILE__).parent_path() / "../../docs/directives.md";
}

std::string read_all(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

const char* scope_text(Scope scope) {
    switch (scope) {
        case Scope::process: return "main server";
        case Scope::location: return "section";
        case Scope::guarded: return "anywhere but .htaccess";
        case Scope::host: return "main server, virtual host";
        case Scope::section: break;
    }
    return "anywhere";
}

std::string size_text(std::int64_t bytes) {
    if (bytes != 0 && bytes % kMiB == 0) {
        return std::to_string(bytes / kMiB) + "M";
    }
    return bytes != 0 && bytes % kKiB == 0 ? std::to_string(bytes / kKiB) + "K"
                                           : std::to_string(bytes);
}

std::string duration_text(std::int64_t milliseconds) {
    constexpr std::int64_t kHour = 3600 * kSecond;
    if (milliseconds != 0 && milliseconds % kHour == 0) {
        return std::to_string(milliseconds / kHour) + "h";
    }
    return milliseconds == 0 ? "0" : std::to_string(milliseconds) + "ms";
}

std::string bound_text(ValueKind kind, std::int64_t value) {
    switch (kind) {
        case ValueKind::size: return size_text(value);
        case ValueKind::duration: return duration_text(value);
        default: return std::to_string(value);
    }
}

std::string range_text(const Directive& directive) {
    const ValueKind kind = directive.kind;
    if (kind != ValueKind::count && kind != ValueKind::size && kind != ValueKind::duration) {
        return "";
    }
    const std::string least = bound_text(kind, directive.least);
    const bool open = directive.most == kMaxSize || directive.most == kMax32;
    return open ? least + " or more" : least + " to " + bound_text(kind, directive.most);
}

std::string render() {
    std::string table = "| Directive | Value | Default | Range | Where | Meaning |\n"
                        "| --- | --- | --- | --- | --- | --- |\n";
    for (const Directive& directive : kDirectives) {
        const std::string range = range_text(directive);
        table += std::string("| `") + directive.name + "` | " + directive.arguments + " | " +
                 directive.fallback_text + (range.empty() ? " | | " : " | " + range + " | ") +
                 scope_text(directive.scope) + " | " + directive.help + " |\n";
    }
    return table;
}

START_TEST(the_reference_page_shows_the_directives_as_they_are) {
    const std::string page = read_all(reference_page());
    const std::size_t begin = page.find(kBegin);
    const std::size_t end = page.find(kEnd);
    ck_assert_msg(begin != std::string::npos && end != std::string::npos && begin < end,
                  "docs/directives.md is not there or lacks its marks");
    const std::size_t at = begin + kBegin.size();
    const std::string expected = render();
    if (page.substr(at, end - at) != expected) {
        std::fputs(expected.c_str(), stdout);  // longer than Check's messages can be
        std::fflush(stdout);
        ck_abort_msg("between its marks, docs/directives.md should say what is printed above");
    }
}
END_TEST

}  // namespace

WEBSOCKET_TEST_SUITE(directives_reference) {
    tcase_add_test(tests, the_reference_page_shows_the_directives_as_they_are);
}
