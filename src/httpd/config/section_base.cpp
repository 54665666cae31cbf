// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/section_base.hpp"

#include <apr_fnmatch.h>
#include <apr_strings.h>

#include <array>
#include <cstring>
#include <string_view>

#include "base/ascii.hpp"

namespace websocket::httpd {

namespace {

/// The words behind "<Location" and so on, one after the other.
class Arguments {
public:
    Arguments(const cmd_parms* cmd, const ap_directive_t* section) : pool_(cmd->pool) {
        const char* end = std::strrchr(section->args, '>');
        rest_ = end != nullptr ? apr_pstrmemdup(pool_, section->args,
                                                static_cast<apr_size_t>(end - section->args))
                               : section->args;
    }
    [[nodiscard]] char* next() { return ap_getword_conf(pool_, &rest_); }

private:
    apr_pool_t* pool_;
    const char* rest_;
};

/// Without slashes at its end, so that what lies below begins with one.
const char* trimmed(char* text) {
    std::size_t size = std::strlen(text);
    while (size > 0 && text[size - 1] == '/') {
        text[--size] = '\0';
    }
    return text;
}

SectionBase of_pattern(const cmd_parms* cmd, const char* pattern) {
    const ap_regex_t* compiled = ap_pregcomp(cmd->pool, pattern, AP_REG_EXTENDED);
    return {compiled != nullptr ? SectionBase::Kind::pattern : SectionBase::Kind::path_info, "",
            compiled};
}

SectionBase of_location(const cmd_parms* cmd, Arguments arguments) {
    char* path = arguments.next();
    if (std::strcmp(path, "~") == 0) {
        return of_pattern(cmd, arguments.next());
    }
    if (apr_fnmatch_test(path) != 0) {
        return {SectionBase::Kind::whole, "", nullptr};
    }
    return {SectionBase::Kind::prefix, trimmed(path), nullptr};
}

SectionBase of_folder(Arguments arguments) {
    char* path = arguments.next();
    const bool literal = std::strcmp(path, "~") != 0 && apr_fnmatch_test(path) == 0;
    return literal ? SectionBase{SectionBase::Kind::folder, trimmed(path), nullptr} : SectionBase{};
}

/// The rest of `path` when it is `text` or lies below it, else null.
const char* behind(const char* path, const char* text) {
    const std::size_t size = std::strlen(text);
    const bool below =
        std::strncmp(path, text, size) == 0 && (path[size] == '\0' || path[size] == '/');
    return below ? path + size : nullptr;
}

const char* behind_match(const char* path, const ap_regex_t* pattern) {
    std::array<ap_regmatch_t, 1> match{};
    return ap_regexec(pattern, path, match.size(), match.data(), 0) == 0 ? path + match[0].rm_eo
                                                                         : nullptr;
}

const char* find_below(const request_rec* r, const SectionBase& base, const char* path) {
    switch (base.kind) {
        case SectionBase::Kind::prefix: return behind(path, base.text);
        case SectionBase::Kind::whole: return "";
        case SectionBase::Kind::pattern: return behind_match(path, base.pattern);
        case SectionBase::Kind::folder:
            return r->filename != nullptr
                       ? behind(apr_pstrcat(r->pool, r->filename,
                                            r->path_info != nullptr ? r->path_info : "", nullptr),
                                base.text)
                       : nullptr;
        case SectionBase::Kind::path_info: break;
    }
    return nullptr;
}

}  // namespace

SectionBase section_base(const cmd_parms* cmd) {
    // The innermost section that says something of paths: <If> and <Limit> do not.
    for (const ap_directive_t* section = cmd->directive->parent; section != nullptr;
         section = section->parent) {
        const std::string_view name = section->directive;
        if (base::equals_ignoring_case(name, "<Location")) {
            return of_location(cmd, Arguments(cmd, section));
        }
        if (base::equals_ignoring_case(name, "<LocationMatch")) {
            return of_pattern(cmd, Arguments(cmd, section).next());
        }
        if (base::equals_ignoring_case(name, "<Directory")) {
            return of_folder(Arguments(cmd, section));
        }
        if (base::equals_ignoring_case(name.substr(0, 6), "<Files")) {
            return {};
        }
    }
    return {};
}

const char* path_below(const request_rec* r, const SectionBase& base) {
    const char* path = r->uri != nullptr ? r->uri : "";
    const char* below = find_below(r, base, path);
    if (below == nullptr) {
        // httpd has taken several slashes for one when it looked for sections.
        char* merged = apr_pstrdup(r->pool, path);
        ap_no2slash(merged);
        below = find_below(r, base, merged);
    }
    if (below == nullptr) {
        below = r->path_info != nullptr ? r->path_info : "";
    }
    return below;
}

}  // namespace websocket::httpd
