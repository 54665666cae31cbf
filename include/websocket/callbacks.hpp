// SPDX-License-Identifier: Apache-2.0
// What the compiler says of a plugin's class in which a callback would never be called. Part of
// websocket/plugin.hpp, which is what to include.
//
// A member that is found by its name alone, in whatever way it is declared and whoever may use it, has to
// be one that can be called. Names that are nearly those of callbacks are found from a list. Not found are
// other misspellings, and members of classes that are `final` as long as they are private or overloaded.
#pragma once

#include <chrono>
#include <concepts>
#include <type_traits>

#include "http.hpp"

// clang-format off
#define WEBSOCKET_NAMES_(X)                                                                        \
    X(on_upgrade) X(on_open) X(on_message) X(on_fragment) X(on_pong) X(on_writable) X(on_close)    \
    X(on_drain) X(on_http) X(check) X(never_blocks) X(keep_request) X(Client)

/// What a name is taken for that would never be used.
#define WEBSOCKET_NEAR_MISSES_(X)                                                                  \
    X(onUpgrade, on_upgrade) X(on_Upgrade, on_upgrade) X(OnUpgrade, on_upgrade)                    \
    X(on_upgarde, on_upgrade) X(on_ugrade, on_upgrade) X(on_upgraded, on_upgrade)                  \
    X(on_connect, on_upgrade) X(onConnect, on_upgrade) X(on_handshake, on_upgrade)                 \
    X(onOpen, on_open) X(on_Open, on_open) X(OnOpen, on_open) X(on_opne, on_open)                  \
    X(on_oepn, on_open) X(on_opened, on_open) X(on_connected, on_open)                             \
    X(onMessage, on_message) X(on_Message, on_message) X(OnMessage, on_message)                    \
    X(on_msg, on_message) X(on_messages, on_message) X(on_mesage, on_message)                      \
    X(on_messsage, on_message) X(on_massage, on_message) X(on_messgae, on_message)                 \
    X(onFragment, on_fragment) X(on_Fragment, on_fragment) X(OnFragment, on_fragment)              \
    X(on_fragments, on_fragment) X(on_fragement, on_fragment) X(on_framgent, on_fragment)          \
    X(onPong, on_pong) X(on_Pong, on_pong) X(OnPong, on_pong) X(on_png, on_pong)                   \
    X(onWritable, on_writable) X(on_Writable, on_writable) X(OnWritable, on_writable)              \
    X(on_writeable, on_writable) X(onWriteable, on_writable) X(on_wirtable, on_writable)           \
    X(onClose, on_close) X(on_Close, on_close) X(OnClose, on_close) X(on_closed, on_close)         \
    X(on_colse, on_close) X(on_clsoe, on_close) X(on_disconnect, on_close)                         \
    X(onDisconnect, on_close) X(on_disconnected, on_close)                                         \
    X(onDrain, on_drain) X(on_Drain, on_drain) X(OnDrain, on_drain) X(on_drian, on_drain)          \
    X(on_draining, on_drain)                                                                       \
    X(onHttp, on_http) X(on_Http, on_http) X(OnHttp, on_http) X(on_HTTP, on_http)                  \
    X(on_htpp, on_http) X(on_http_request, on_http)                                                \
    X(neverBlocks, never_blocks) X(never_block, never_blocks) X(nonblocking, never_blocks)         \
    X(keepRequest, keep_request) X(keep_requests, keep_request) X(keeps_request, keep_request)
// clang-format on

namespace websocket::detail {

struct NoClient {};

template <class P>
concept HasClient = requires {
    typename P::Client;
};

template <class P>
struct ClientOf {
    using type = NoClient;
};
template <HasClient P>
struct ClientOf<P> {
    using type = typename P::Client;
};

// ---- which names a class has ---------------------------------------------------------------------

/// Every name once. A class that derives from this one and from another that has the name as well is
/// ambiguous about it, whoever may use that and whatever it is.
struct Names {
#define WEBSOCKET_MEMBER_(name) int name;
#define WEBSOCKET_NEAR_MEMBER_(wrong, right) int wrong;
    WEBSOCKET_NAMES_(WEBSOCKET_MEMBER_)
    WEBSOCKET_NEAR_MISSES_(WEBSOCKET_NEAR_MEMBER_)
#undef WEBSOCKET_MEMBER_
#undef WEBSOCKET_NEAR_MEMBER_
};
template <class P, bool = std::is_final_v<P>>
struct WithNames : P, Names {};
template <class P>
struct WithNames<P, true> : Names {};

#define WEBSOCKET_HAS_(name)                                                                       \
    template <class P>                                                                             \
    concept has_##name = !requires {                                                               \
        &WithNames<P>::name;                                                                       \
    }                                                                                              \
    || requires { &P::name; };
#define WEBSOCKET_NEAR_HAS_(wrong, right) WEBSOCKET_HAS_(wrong)
WEBSOCKET_NAMES_(WEBSOCKET_HAS_)
WEBSOCKET_NEAR_MISSES_(WEBSOCKET_NEAR_HAS_)
#undef WEBSOCKET_HAS_
#undef WEBSOCKET_NEAR_HAS_

// ---- which of them can be called as they will be ---------------------------------------------------

template <class T>
T& given() noexcept;  // never defined

/// `calls_NAME`, and `quiet_NAME` when nothing is returned; `...` are the arguments before the Client&.
#define WEBSOCKET_CALLS_(name, ...)                                                                \
    template <class P, class C = typename ClientOf<P>::type>                                       \
    concept calls_##name = requires {                                                              \
        given<P>().name(__VA_ARGS__);                                                              \
    }                                                                                              \
    || requires { given<P>().name(__VA_ARGS__, given<C>()); };                                     \
    template <class P, class C = typename ClientOf<P>::type>                                       \
    concept quiet_##name = requires {                                                              \
        { given<P>().name(__VA_ARGS__, given<C>()) } -> std::same_as<void>;                        \
    }                                                                                              \
    || (                                                                                           \
           !requires { given<P>().name(__VA_ARGS__, given<C>()); } &&                              \
           requires {                                                                              \
               { given<P>().name(__VA_ARGS__) } -> std::same_as<void>;                             \
           });
WEBSOCKET_CALLS_(on_upgrade, given<Upgrade>())
WEBSOCKET_CALLS_(on_open, given<Connection>())
WEBSOCKET_CALLS_(on_message, given<Connection>(), given<const Message>())
WEBSOCKET_CALLS_(on_fragment, given<Connection>(), given<const Fragment>())
WEBSOCKET_CALLS_(on_pong, given<Connection>(), given<const Bytes>())
WEBSOCKET_CALLS_(on_writable, given<Connection>())
WEBSOCKET_CALLS_(on_close, given<Connection>(), given<const Close>())
#undef WEBSOCKET_CALLS_

template <class P>
concept calls_on_drain = requires {
    given<P>().on_drain(std::chrono::milliseconds());
};
template <class P>
concept quiet_on_drain = requires {
    { given<P>().on_drain(std::chrono::milliseconds()) } -> std::same_as<void>;
};

template <class P>
concept calls_on_http = requires {
    { given<P>().on_http(given<const HttpRequest>()) } -> std::convertible_to<HttpResponse>;
};

/// Nothing said to the copy, or about the constant, would reach the client.
template <class P, class C = typename ClientOf<P>::type>
concept keeps_upgrade = requires {
    given<P>().on_upgrade(given<const Upgrade>());
}
|| requires { given<P>().on_upgrade(given<const Upgrade>(), given<C>()); };

template <class P>
concept checks = requires {
    P::check(given<const Options>());
};

template <class P>
concept says_never_blocks = requires {
    std::bool_constant<static_cast<bool>(P::never_blocks)>();
};
template <class P>
concept says_keep_request = requires {
    std::bool_constant<static_cast<bool>(P::keep_request)>();
};

/// To be instantiated for the class of a plugin.
template <class P>
struct Checked {
#define WEBSOCKET_CHECK_(name, declaration)                                                        \
    static_assert(                                                                                 \
        !has_##name<P> || calls_##name<P> || !requires { &P::name; },                              \
        "websocket plugin: " #name " has the wrong parameters: declare it as " declaration);       \
    static_assert(                                                                                 \
        !has_##name<P> || calls_##name<P> || requires { &P::name; },                               \
        "websocket plugin: " #name                                                                 \
        " is not public, or has overloads none of which is " declaration);                         \
    static_assert(!calls_##name<P> || quiet_##name<P>,                                             \
                  "websocket plugin: " #name " returns something that nobody would look at: "      \
                  "declare it as " declaration);
#define WEBSOCKET_BEHIND_ ", with a Client& behind if there is a struct Client"
    WEBSOCKET_CHECK_(on_upgrade, "void on_upgrade(Upgrade&)" WEBSOCKET_BEHIND_)
    WEBSOCKET_CHECK_(on_open, "void on_open(Connection)" WEBSOCKET_BEHIND_)
    WEBSOCKET_CHECK_(on_message, "void on_message(Connection, Message)" WEBSOCKET_BEHIND_)
    WEBSOCKET_CHECK_(on_fragment, "void on_fragment(Connection, Fragment)" WEBSOCKET_BEHIND_)
    WEBSOCKET_CHECK_(on_pong, "void on_pong(Connection, Bytes)" WEBSOCKET_BEHIND_)
    WEBSOCKET_CHECK_(on_writable, "void on_writable(Connection)" WEBSOCKET_BEHIND_)
    WEBSOCKET_CHECK_(on_close, "void on_close(Connection, const Close&)" WEBSOCKET_BEHIND_)
    WEBSOCKET_CHECK_(on_drain, "void on_drain(std::chrono::milliseconds)")
#undef WEBSOCKET_BEHIND_
#undef WEBSOCKET_CHECK_

#define WEBSOCKET_NEAR_CHECK_(wrong, right)                                                        \
    static_assert(!has_##wrong<P> || has_##right<P>,                                               \
                  "websocket plugin: " #wrong " would never be used: is it " #right "?");
    WEBSOCKET_NEAR_MISSES_(WEBSOCKET_NEAR_CHECK_)
#undef WEBSOCKET_NEAR_CHECK_

    static_assert(
        !has_on_http<P> || calls_on_http<P>,
        "websocket plugin: on_http would never be called: declare it as public HttpResponse "
        "on_http(const HttpRequest&)");
    static_assert(
        has_on_message<P> != has_on_fragment<P>,
        "websocket plugin: there has to be either void on_message(Connection, Message) or "
        "void on_fragment(Connection, Fragment)");
    static_assert(
        !keeps_upgrade<P>,
        "websocket plugin: on_upgrade takes a constant Upgrade or a copy, so that it could "
        "not refuse: declare it as void on_upgrade(Upgrade&)");
    static_assert(!has_check<P> || checks<P>,
                  "websocket plugin: check would never be called: declare it as public static void "
                  "check(const Options&)");
    static_assert(!has_never_blocks<P> || says_never_blocks<P>,
                  "websocket plugin: never_blocks would not be read: declare it as public static "
                  "constexpr bool");
    static_assert(!has_keep_request<P> || says_keep_request<P>,
                  "websocket plugin: keep_request would not be read: declare it as public static "
                  "constexpr bool");
    static_assert(!has_Client<P> || HasClient<P>,
                  "websocket plugin: Client is not public, or is not a struct");
    static_assert(std::is_default_constructible_v<typename ClientOf<P>::type>,
                  "websocket plugin: struct Client needs a public constructor without arguments");
    static_assert(
        std::is_constructible_v<P, const Server&, const Options&> ||
            std::is_constructible_v<P, const Server&> || std::is_default_constructible_v<P>,
        "websocket plugin: there is no public constructor that takes (const Server&, const "
        "Options&), (const Server&) or nothing");
};

}  // namespace websocket::detail

#undef WEBSOCKET_NAMES_
#undef WEBSOCKET_NEAR_MISSES_
