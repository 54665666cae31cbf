// SPDX-License-Identifier: Apache-2.0
// What SockJS says over plain HTTP. Part of websocket/sockjs.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <ctime>
#include <random>
#include <string>
#include <string_view>

#include "http.hpp"

namespace websocket::sockjs {

/// What a path below the section stands for.
enum class Route : std::uint8_t {
    other,          ///< not of SockJS
    greeting,       ///< the section itself
    info,           ///< /info
    iframe,         ///< /iframe.html, /iframe-VERSION.html
    raw_websocket,  ///< /websocket: no frames of SockJS
    websocket,      ///< /SERVER/SESSION/websocket
    not_offered,    ///< other transports, and sessions that are none
};

namespace detail {

[[nodiscard]] constexpr bool is_iframe(std::string_view name) noexcept {
    constexpr std::string_view kBegin = "iframe";
    constexpr std::string_view kEnd = ".html";
    if (!name.starts_with(kBegin) || !name.ends_with(kEnd) ||
        name.size() < kBegin.size() + kEnd.size()) {
        return false;
    }
    name.remove_prefix(kBegin.size());
    name.remove_suffix(kEnd.size());
    return name.find_first_not_of("0123456789-.abcdefghijklmnopqrstuvwxyz_") == name.npos;
}

[[nodiscard]] constexpr bool is_transport(std::string_view name) noexcept {
    for (const std::string_view known : {"websocket", "xhr", "xhr_send", "xhr_streaming",
                                         "eventsource", "htmlfile", "jsonp", "jsonp_send"}) {
        if (name == known) return true;
    }
    return false;
}

/// SERVER and SESSION.
[[nodiscard]] constexpr bool is_part(std::string_view part) noexcept {
    return !part.empty() && part.find('.') == part.npos;
}

}  // namespace detail

/// `below` as Request::below() says it; one slash at the end changes nothing.
[[nodiscard]] constexpr Route route_of(std::string_view below) noexcept {
    if (below.ends_with('/')) below.remove_suffix(1);
    if (below.empty()) return Route::greeting;
    const std::string_view path = below.substr(1);
    if (path == "info") return Route::info;
    if (path == "websocket") return Route::raw_websocket;
    if (detail::is_iframe(path)) return Route::iframe;
    const std::size_t first = path.find('/');
    const std::size_t last = path.rfind('/');
    if (first == path.npos || first == last || path.find('/', first + 1) != last ||
        !detail::is_transport(path.substr(last + 1))) {
        return Route::other;
    }
    const bool valid = detail::is_part(path.substr(0, first)) &&
                       detail::is_part(path.substr(first + 1, last - first - 1));
    return valid && path.substr(last + 1) == "websocket" ? Route::websocket : Route::not_offered;
}

/// The answers.
class Pages {
public:
    /// `client_url`: where the page in the iframe gets sockjs-client from.
    explicit Pages(std::string_view client_url) : iframe_(make_iframe(client_url)) {
        std::uint64_t hash = 0xCBF29CE484222325U;  // FNV-1a: an ETag, no secret
        for (const char c : iframe_) {
            hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
        }
        etag_ = "\"" + std::to_string(hash) + "\"";
    }

    /// Of all routes but `other`. [httpd worker]
    [[nodiscard]] HttpResponse answer(Route route, const HttpRequest& request) const {
        const std::string_view method = request.method();
        const bool reads = method == "GET" || method == "HEAD";
        switch (route) {
            case Route::greeting:
                if (!reads) return not_allowed("GET");
                return {.body = "Welcome to SockJS!\n", .type = "text/plain; charset=UTF-8"};
            case Route::info:
                if (method == "OPTIONS") return preflight(request, "OPTIONS, GET");
                return reads ? info(request) : not_allowed("OPTIONS, GET");
            case Route::iframe: return reads ? iframe() : not_allowed("GET");
            case Route::websocket:
            case Route::raw_websocket:
                if (!reads) return not_allowed("GET");
                return {.status = 400, .body = "Not a valid websocket request\n"};
            case Route::not_offered:
            case Route::other: break;
        }
        return {.status = 404, .body = "Not found\n"};
    }

private:
    [[nodiscard]] static HttpResponse not_allowed(std::string_view methods) {
        return {
            .status = 405, .body = "", .type = "", .headers = {{"Allow", std::string(methods)}}};
    }
    /// Pages of others learn nothing from the answer, unless they could open a WebSocket here.
    static void allow_origin(const HttpRequest& request, HttpResponse& response) {
        const std::string origin(request.header("Origin"));
        response.headers.emplace_back("Vary", "Origin");
        if (origin.empty()) {
            response.headers.emplace_back("Access-Control-Allow-Origin", "*");
        } else if (request.trusts_origin()) {
            response.headers.emplace_back("Access-Control-Allow-Origin", origin);
            response.headers.emplace_back("Access-Control-Allow-Credentials", "true");
        }
        if (const std::string_view asked = request.header("Access-Control-Request-Headers");
            !asked.empty()) {
            response.headers.emplace_back("Access-Control-Allow-Headers", asked);
        }
    }
    [[nodiscard]] static HttpResponse info(const HttpRequest& request) {
        const auto entropy = static_cast<std::uint32_t>(std::random_device()());
        HttpResponse response{.type = "application/json; charset=UTF-8"};
        response.body = R"({"websocket":true,"origins":["*:*"],"cookie_needed":false,"entropy":)" +
                        std::to_string(entropy) + "}";
        response.headers.emplace_back(
            "Cache-Control", "no-store, no-cache, no-transform, must-revalidate, max-age=0");
        allow_origin(request, response);
        return response;
    }
    static void keep_for_a_year(HttpResponse& response) {
        constexpr std::time_t kYear = 31536000;
        response.headers.emplace_back("Cache-Control", "public, max-age=31536000");
        response.headers.emplace_back("Expires", http_date(std::time(nullptr) + kYear));
    }
    [[nodiscard]] static HttpResponse preflight(const HttpRequest& request,
                                                std::string_view methods) {
        HttpResponse response{.status = 204};
        keep_for_a_year(response);
        response.headers.emplace_back("Access-Control-Max-Age", "31536000");
        response.headers.emplace_back("Access-Control-Allow-Methods", methods);
        allow_origin(request, response);
        return response;
    }
    [[nodiscard]] HttpResponse iframe() const {
        HttpResponse response{.body = iframe_, .type = "text/html; charset=UTF-8"};
        keep_for_a_year(response);
        response.headers.emplace_back("ETag", etag_);
        return response;
    }

    /// RFC 9110 section 5.6.7, in whatever locale.
    [[nodiscard]] static std::string http_date(std::time_t time) {
        constexpr std::array<const char*, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        std::tm parts{};
        ::gmtime_r(&time, &parts);
        std::array<char, 64> text{};
        std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                      kDays.at(static_cast<std::size_t>(parts.tm_wday)), parts.tm_mday,
                      kMonths.at(static_cast<std::size_t>(parts.tm_mon)), parts.tm_year + 1900,
                      parts.tm_hour, parts.tm_min, parts.tm_sec);
        return text.data();
    }
    [[nodiscard]] static std::string make_iframe(std::string_view client_url) {
        return "<!DOCTYPE html>\n"
               "<html>\n"
               "<head>\n"
               "  <meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />\n"
               "  <meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />\n"
               "  <script src=\"" +
               std::string(client_url) +
               "\"></script>\n"
               "  <script>\n"
               "    document.domain = document.domain;\n"
               "    SockJS.bootstrap_iframe();\n"
               "  </script>\n"
               "</head>\n"
               "<body>\n"
               "  <h2>Don't panic!</h2>\n"
               "  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>\n"
               "</body>\n"
               "</html>";
    }

    std::string iframe_;
    std::string etag_;
};

}  // namespace websocket::sockjs
