// SPDX-License-Identifier: Apache-2.0
// Every directive of the module, once. The parser, the merging of sections, the reference in the
// README and the checks of `httpd -t` are made from this table.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace websocket::httpd {

/// Index of a value in a section's or the server's settings.
enum class Setting : std::uint8_t {
    // of a section
    max_message_size,
    allow_reserved_status_codes,
    origin_check,
    key_check,
    max_fragments,
    max_empty_fragments,
    dispatch,
    send_buffer,
    slow_consumer,
    send_timeout,
    receive_buffer,
    max_request_size,
    max_request_body,
    ping_interval,
    pong_timeout,
    close_timeout,
    max_connections_per_address,
    max_connections_per_location,
    max_message_rate,
    max_byte_rate,
    max_control_rate,
    rate_burst,
    rate_policy,
    max_topics_per_location,
    max_subscriptions,
    deflate,
    deflate_mode,
    deflate_server_takeover,
    deflate_client_takeover,
    deflate_server_window_bits,
    deflate_client_window_bits,
    deflate_level,
    deflate_memory_level,
    deflate_min_size,
    deflate_max_ratio,
    tunnel,
    tunnel_buffer,
    // of the server process
    threads,
    max_connections,
    max_pumped,
    pool_min_threads,
    pool_max_threads,
    drain_timeout,
    max_topics,
    topic_buffer,
    history_memory,
    presence_memory,
    raise_descriptor_limit,
    broker_buffer,
    broker_verify,
    // not a number: kept elsewhere
    handler,
    trusted_origin,
    log,
    option,
    topic_scope,
    history,
    broker,
    broker_prefix,
    broker_password_file,
    broker_sentinel_password_file,
    broker_ca_file,
};
constexpr std::size_t kNumericSettings = static_cast<std::size_t>(Setting::handler);

/// Where a directive may stand.
enum class Scope : std::uint8_t {
    process,   ///< outside of every section; one value for the server
    section,   ///< server, virtual host, <Directory>, <Location>, ..., .htaccess (AuthConfig): it
               ///< changes nothing but how the endpoint talks to its clients
    location,  ///< <Directory>, <Location>, <Files> and the like, not .htaccess: it loads code
    guarded,   ///< as section, but not .htaccess: it protects the server, or those who use it
    host,      ///< main server and virtual hosts
};

/// How a value is written. All but `special` are kept as one number.
enum class ValueKind : std::uint8_t {
    count,     ///< digits
    size,      ///< bytes, with an optional K, M or G
    duration,  ///< kept in milliseconds, written with ms, s, m or h; a bare number is seconds
    flag,      ///< On or Off
    choice,    ///< one of `choices`; kept as the index
    special,
};

struct Directive {
    const char* name;
    Setting setting;
    Scope scope;
    ValueKind kind;
    std::int64_t fallback;  ///< value when nothing is configured
    std::int64_t least;
    std::int64_t most;
    std::span<const std::string_view> choices;
    const char* arguments;      ///< as the reference shows them
    const char* fallback_text;  ///< as the reference shows it
    const char* help;           ///< one sentence
};

inline constexpr std::array<std::string_view, 3> kOriginChecks{"Off", "Same", "Trusted"};
inline constexpr std::array<std::string_view, 2> kKeyChecks{"Strict", "Lenient"};
inline constexpr std::array<std::string_view, 2> kDispatches{"Pool", "Inline"};
inline constexpr std::array<std::string_view, 3> kSlowConsumers{"Block", "Drop", "Close"};

inline constexpr std::array<std::string_view, 2> kRatePolicies{"Slow", "Close"};
inline constexpr std::array<std::string_view, 3> kTunnelModes{"Off", "On", "Frames"};
inline constexpr std::array<std::string_view, 2> kDeflateModes{"Shared", "Dedicated"};

/// What the indices of the choices mean.
enum class OriginCheck : std::uint8_t { off, same, trusted };
enum class KeyCheck : std::uint8_t { strict, lenient };
enum class DeflateMode : std::uint8_t { shared, dedicated };
enum class TunnelMode : std::uint8_t { off, on, frames };

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;
constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kDay = kSecond * 3600 * 24;
constexpr std::int64_t kMaxSize = INT64_MAX;
constexpr std::int64_t kMax32 = UINT32_MAX;

/// `process` settings come last; a `fallback` of 0 for threads means: as many as fit the machine, for
/// windows and memory of compression: as fits the mode.
// A table reads as one.
// clang-format off
inline constexpr std::array kDirectives{
    Directive{"WebSocketHandler", Setting::handler, Scope::location, ValueKind::special, 0, 0, 0, {},
              "*path* *init-function*", "none",
              "Plugin that serves the section: a shared object (relative to ServerRoot) and the name "
              "of its init function."},
    Directive{"WebSocketOption", Setting::option, Scope::location, ValueKind::special, 0, 0, 0, {},
              "*name* *value*", "none",
              "An option of the plugin (version 1 of the interface); its documentation says which "
              "there are. An inner section replaces the value of the same name."},
    Directive{"WebSocketMaxMessageSize", Setting::max_message_size, Scope::guarded, ValueKind::size,
              32 * kMiB, 1, kMaxSize, {}, "*size*", "32M",
              "Largest message to accept, all its fragments together; larger ones are answered with "
              "Close 1009."},
    Directive{"MaxMessageSize", Setting::max_message_size, Scope::guarded, ValueKind::size,
              32 * kMiB, 1, kMaxSize, {}, "*size*", "32M",
              "Deprecated name of WebSocketMaxMessageSize."},
    Directive{"WebSocketAllowReservedStatusCodes", Setting::allow_reserved_status_codes,
              Scope::section, ValueKind::flag, 0, 0, 1, {}, "On\\|Off", "Off",
              "Whether clients may send close codes that are reserved or unassigned (1004, 1016 to "
              "2999)."},
    Directive{"WebSocketOriginCheck", Setting::origin_check, Scope::guarded, ValueKind::choice, 1, 0,
              2, kOriginChecks, "Off\\|Same\\|Trusted", "Same",
              "Which Origin a browser may come from: any, exactly this host, or one of "
              "WebSocketTrustedOrigin."},
    Directive{"WebSocketTrustedOrigin", Setting::trusted_origin, Scope::guarded, ValueKind::special,
              0, 0, 0, {}, "*origin* ...", "none",
              "Origins that WebSocketOriginCheck Trusted accepts, such as https://www.example.com, or "
              "https://*.example.com for all hosts below; adds to those of the sections around."},
    Directive{"WebSocketKeyCheck", Setting::key_check, Scope::section, ValueKind::choice, 0, 0, 1,
              kKeyChecks, "Strict\\|Lenient", "Strict",
              "Whether Sec-WebSocket-Key must be the base64 of 16 bytes or may be that of any "
              "number of bytes."},
    Directive{"WebSocketMaxFragments", Setting::max_fragments, Scope::guarded, ValueKind::count,
              131072, 1, kMax32, {}, "*number*", "131072",
              "Frames that one message may consist of; more are answered with Close 1008."},
    Directive{"WebSocketMaxEmptyFragments", Setting::max_empty_fragments, Scope::guarded,
              ValueKind::count, 100, 0, kMax32, {}, "*number*", "100",
              "Frames without payload that one fragmented message may contain; more are answered "
              "with Close 1008."},
    Directive{"WebSocketDispatch", Setting::dispatch, Scope::guarded, ValueKind::choice, 0, 0, 1,
              kDispatches, "Pool\\|Inline", "Pool",
              "Whether on_message of a plugin of version 0 may block (it runs in a thread pool) or never "
              "does (it runs on the event loop). Others say it themselves."},
    Directive{"WebSocketSendBuffer", Setting::send_buffer, Scope::guarded, ValueKind::size,
              256 * kKiB, 1, 128 * kMiB, {}, "*size*", "256K",
              "Bytes that may wait for a client; above, it counts as slow and is no longer read "
              "from."},
    Directive{"WebSocketSlowConsumer", Setting::slow_consumer, Scope::guarded, ValueKind::choice, 0,
              0, 2, kSlowConsumers, "Block\\|Drop\\|Close", "Block",
              "What a send to a slow client does: wait, drop the message, or close the connection "
              "with 1008."},
    Directive{"WebSocketSendTimeout", Setting::send_timeout, Scope::guarded, ValueKind::duration,
              10 * kSecond, 0, kDay, {}, "*time*", "10s",
              "How long a send with Block may wait for a client on a thread that others need, too; "
              "then that client is closed with 1008. 0 for as long as it takes."},
    Directive{"WebSocketReceiveBuffer", Setting::receive_buffer, Scope::guarded, ValueKind::size,
              256 * kKiB, 1, 1024 * kMiB, {}, "*size*", "256K",
              "Bytes of messages that may wait for the plugin; above, the client is no longer read "
              "from."},
    Directive{"WebSocketMaxRequestSize", Setting::max_request_size, Scope::guarded, ValueKind::size,
              32 * kKiB, 1, kMaxSize, {}, "*size*", "32K",
              "Bytes of a request (URI, headers, environment) that may stay with a connection for "
              "plugins that ask later; larger ones are answered with 431."},
    Directive{"WebSocketMaxRequestBody", Setting::max_request_body, Scope::guarded, ValueKind::size,
              kMiB, 1, kMaxSize, {}, "*size*", "1M",
              "Bytes that the body of a request may have which is no handshake and which the plugin "
              "answers; larger ones are answered with 413."},
    Directive{"WebSocketPingInterval", Setting::ping_interval, Scope::guarded, ValueKind::duration,
              30 * kSecond, 0, kDay, {}, "*time*", "30s",
              "Silence of a client after which it is sent a Ping; 0 for never."},
    Directive{"WebSocketPongTimeout", Setting::pong_timeout, Scope::guarded, ValueKind::duration,
              30 * kSecond, 1, kDay, {}, "*time*", "30s",
              "Silence after a Ping that ends the connection; any byte counts as life."},
    Directive{"WebSocketCloseTimeout", Setting::close_timeout, Scope::guarded, ValueKind::duration,
              5 * kSecond, 1, kDay, {}, "*time*", "5s",
              "How long the closing handshake may take before the socket is closed without it."},
    Directive{"WebSocketMaxConnectionsPerAddress", Setting::max_connections_per_address,
              Scope::guarded, ValueKind::count, 0, 0, kMax32, {}, "*number*", "0",
              "Connections of one client address, or of one /64 network of IPv6, in all child "
              "processes; beyond, handshakes are answered with 429. 0 for any number."},
    Directive{"WebSocketMaxConnectionsPerLocation", Setting::max_connections_per_location,
              Scope::guarded, ValueKind::count, 0, 0, kMax32, {}, "*number*", "0",
              "Connections of the section in all child processes; beyond, handshakes are answered "
              "with 503. 0 for any number."},
    Directive{"WebSocketMaxMessageRate", Setting::max_message_rate, Scope::guarded,
              ValueKind::count, 0, 0, kMax32, {}, "*number*", "0",
              "Messages a second that one client may send; each fragment counts as one. 0 for any "
              "number."},
    Directive{"WebSocketMaxByteRate", Setting::max_byte_rate, Scope::guarded, ValueKind::size, 0, 0,
              1024 * kMiB, {}, "*size*", "0",
              "Bytes a second that one client may send, frame headers included. 0 for any number."},
    Directive{"WebSocketMaxControlRate", Setting::max_control_rate, Scope::guarded,
              ValueKind::count, 0, 0, kMax32, {}, "*number*", "0",
              "Pings and Pongs a second that one client may send; more are answered with Close 1008. "
              "0 for any number."},
    Directive{"WebSocketRateBurst", Setting::rate_burst, Scope::guarded, ValueKind::duration,
              kSecond, 100, 3600 * kSecond, {}, "*time*", "1s",
              "A client that was quiet may send at once what the rates allow in this time."},
    Directive{"WebSocketRatePolicy", Setting::rate_policy, Scope::guarded, ValueKind::choice, 0, 0, 1,
              kRatePolicies, "Slow\\|Close", "Slow",
              "What happens to a client above its message or byte rate: it is read from more slowly, "
              "or closed with 1008."},
    Directive{"WebSocketDeflate", Setting::deflate, Scope::section, ValueKind::flag, 0, 0, 1, {},
              "On\\|Off", "Off",
              "Whether messages are compressed for clients that offer it (permessage-deflate); see "
              "[compression](compression.md)."},
    Directive{"WebSocketDeflateMode", Setting::deflate_mode, Scope::guarded, ValueKind::choice, 0, 0,
              1, kDeflateModes, "Shared\\|Dedicated", "Shared",
              "Whether each message is compressed for itself, or each connection has a compressor and "
              "an inflater of its own, which remember earlier messages."},
    Directive{"WebSocketDeflateServerTakeover", Setting::deflate_server_takeover, Scope::guarded,
              ValueKind::flag, 1, 0, 1, {}, "On\\|Off", "On",
              "With Dedicated, whether what the server sends refers to earlier messages."},
    Directive{"WebSocketDeflateClientTakeover", Setting::deflate_client_takeover, Scope::guarded,
              ValueKind::flag, 1, 0, 1, {}, "On\\|Off", "On",
              "With Dedicated, whether what the client sends may refer to earlier messages."},
    Directive{"WebSocketDeflateServerWindowBits", Setting::deflate_server_window_bits,
              Scope::guarded, ValueKind::count, 0, 9, 15, {}, "*number*",
              "15 with Shared, 12 with Dedicated",
              "Window of what the server sends, as a power of two; a client may ask for less."},
    Directive{"WebSocketDeflateClientWindowBits", Setting::deflate_client_window_bits,
              Scope::guarded, ValueKind::count, 0, 9, 15, {}, "*number*",
              "15 with Shared, 12 with Dedicated",
              "Window of what clients send, as a power of two; 15 for clients that cannot be told."},
    Directive{"WebSocketDeflateLevel", Setting::deflate_level, Scope::guarded, ValueKind::count, 1, 1,
              9, {}, "*number*", "1", "How hard to compress, from 1 (fast) to 9 (small)."},
    Directive{"WebSocketDeflateMemoryLevel", Setting::deflate_memory_level, Scope::guarded,
              ValueKind::count, 0, 1, 9, {}, "*number*", "8 with Shared, 5 with Dedicated",
              "Memory of a compressor besides its window; more is faster."},
    Directive{"WebSocketDeflateMinSize", Setting::deflate_min_size, Scope::section, ValueKind::size,
              256, 0, 65535, {}, "*size*", "256",
              "Bytes below which a message is sent as it is."},
    Directive{"WebSocketDeflateMaxRatio", Setting::deflate_max_ratio, Scope::guarded,
              ValueKind::count, 200, 1, kMax32, {}, "*number*", "200",
              "Bytes that one byte from a client may become, in messages of more than 1M; more are "
              "answered with Close 1009."},
    Directive{"WebSocketLog", Setting::log, Scope::host, ValueKind::special, 0, 0, 0, {},
              R"(*file*\|"\|*command*" [*format* [Close\|Open\|Both]])", "none",
              "Log with a line for each connection when it closes, when it opens, or both; "
              "docs/logging.md tells what a format may contain. May be repeated."},
    Directive{"WebSocketMaxSubscriptions", Setting::max_subscriptions, Scope::guarded,
              ValueKind::count, 100, 0, 65536, {}, "*number*", "100",
              "Topics that one connection may subscribe to; further subscriptions are refused."},
    Directive{"WebSocketMaxTopicsPerLocation", Setting::max_topics_per_location, Scope::guarded,
              ValueKind::count, 0, 1, kMax32, {}, "*number*", "three quarters of WebSocketMaxTopics",
              "Topics in a child process that the section's plugin and clients have made; more are "
              "refused, so that one section cannot take those of all."},
    Directive{"WebSocketTopicScope", Setting::topic_scope, Scope::host, ValueKind::special, 0, 0, 0,
              {}, "*name*", "the virtual host",
              "Hosts with the same name share their topics; others never see each other's. That of "
              "the main server goes for all hosts without one."},
    Directive{"WebSocketHistory", Setting::history, Scope::host, ValueKind::special, 0, 0, 0, {},
              "*pattern* *messages* *time*", "none",
              "How many messages of a topic are kept, at most, and for how long, for those who come back; of several "
              "patterns that match, the first one holds; see [history](history.md). May be repeated."},
    Directive{"WebSocketTunnel", Setting::tunnel, Scope::guarded, ValueKind::choice, 0, 0, 2,
              kTunnelModes, "Off\\|On\\|Frames", "Off",
              "Whether WebSockets to backends of mod_proxy are served without a thread: as bytes, or, with "
              "Frames, frame by frame, with limits for what clients send; see [tunnels](tunnels.md)."},
    Directive{"WebSocketTunnelBuffer", Setting::tunnel_buffer, Scope::guarded, ValueKind::size,
              64 * kKiB, 1, 128 * kMiB, {}, "*size*", "64K",
              "Bytes of a tunnel that may wait for a slow side, in each direction; above, the other side "
              "is no longer read from."},
    Directive{"WebSocketThreads", Setting::threads, Scope::process, ValueKind::count, 0, 1, 64, {},
              "*number*", "processors, at most 4; 1 with prefork",
              "Event loops a child process."},
    Directive{"WebSocketMaxConnections", Setting::max_connections, Scope::process, ValueKind::count,
              0, 0, kMax32, {}, "*number*", "0",
              "Connections a child process; beyond, handshakes are answered with 503. 0 for as many "
              "as descriptors allow."},
    Directive{"WebSocketMaxPumped", Setting::max_pumped, Scope::process, ValueKind::count, 0, 0,
              65536, {}, "*number*", "half of ThreadsPerChild; with prefork half of MaxRequestWorkers",
              "Connections a child process (with prefork: of all) that may hold a thread because they "
              "cannot be taken over; beyond, handshakes are answered with 503."},
    Directive{"WebSocketPoolMinThreads", Setting::pool_min_threads, Scope::process, ValueKind::count,
              0, 0, 1024, {}, "*number*", "0",
              "Threads for plugins that a child process keeps when there is nothing to do."},
    Directive{"WebSocketPoolMaxThreads", Setting::pool_max_threads, Scope::process, ValueKind::count,
              64, 1, 1024, {}, "*number*", "64",
              "Threads for plugins of a child process; each may be blocked by one connection."},
    Directive{"WebSocketDrainTimeout", Setting::drain_timeout, Scope::process, ValueKind::duration,
              30 * kSecond, 0, kDay, {}, "*time*", "30s",
              "How long a child that ends gracefully goes on serving its connections while it closes "
              "one after the other."},
    Directive{"WebSocketMaxTopics", Setting::max_topics, Scope::process, ValueKind::count, 100000, 0,
              kMax32, {}, "*number*", "100000",
              "Topics with subscribers in a child process; subscriptions to further ones are refused."},
    Directive{"WebSocketTopicBuffer", Setting::topic_buffer, Scope::process, ValueKind::size,
              16 * kMiB, 1, 1024 * kMiB, {}, "*size*", "16M",
              "Bytes of published messages that may wait for an event loop or for another child "
              "process; above, they are lost there."},
    Directive{"WebSocketHistoryMemory", Setting::history_memory, Scope::process, ValueKind::size,
              16 * kMiB, kMiB, 65536 * kMiB, {}, "*size*", "16M",
              "Bytes of memory for what WebSocketHistory keeps, shared by all child processes; when it is full, "
              "the topic that takes the most gives its oldest message. A restart that is not graceful changes it."},
    Directive{"WebSocketPresenceMemory", Setting::presence_memory, Scope::process, ValueKind::size,
              16 * kMiB, kMiB, 1024 * kMiB, {}, "*size*", "16M",
              "Bytes of memory for who is present in topics, shared by all child processes; when it is full, nobody else "
              "can be present. A restart that is not graceful changes it."},
    Directive{"WebSocketRaiseDescriptorLimit", Setting::raise_descriptor_limit, Scope::process,
              ValueKind::flag, 1, 0, 1, {}, "On\\|Off", "On",
              "Whether a child process raises its limit of descriptors from the soft to the hard one."},
    Directive{"WebSocketBroker", Setting::broker, Scope::process, ValueKind::special, 0, 0, 0, {},
              "*url*", "none",
              "The Redis, Valkey or NATS that carries topics between hosts: `redis://`, `rediss://`, `unix:`, "
              "`redis+sentinel://`, `nats://` or `nats+tls://`; see [hosts](hosts.md)."},
    Directive{"WebSocketBrokerPrefix", Setting::broker_prefix, Scope::process, ValueKind::special, 0, 0, 0, {},
              "*text*", "`ws:`, with NATS `ws.`", "What the names of all channels begin with; the same on all hosts."},
    Directive{"WebSocketBrokerPasswordFile", Setting::broker_password_file, Scope::process,
              ValueKind::special, 0, 0, 0, {}, "*file*", "none",
              "File with the password for the broker in its first line, instead of one in WebSocketBroker; read "
              "when httpd starts."},
    Directive{"WebSocketBrokerSentinelPasswordFile", Setting::broker_sentinel_password_file, Scope::process,
              ValueKind::special, 0, 0, 0, {}, "*file*", "none",
              "File with the password for all sentinels (their `requirepass`) in its first line, with "
              "`redis+sentinel://`; read when httpd starts."},
    Directive{"WebSocketBrokerBuffer", Setting::broker_buffer, Scope::process, ValueKind::size,
              16 * kMiB, 64 * kKiB, 1024 * kMiB, {}, "*size*", "16M",
              "Bytes of published messages that may wait for the broker; above, the oldest do not reach other "
              "hosts."},
    Directive{"WebSocketBrokerCAFile", Setting::broker_ca_file, Scope::process, ValueKind::special, 0, 0, 0, {},
              "*file*", "whom the system trusts",
              "PEM file with the certificates that vouch for the broker's, with `rediss://` or `nats+tls://`."},
    Directive{"WebSocketBrokerVerify", Setting::broker_verify, Scope::process, ValueKind::flag, 1, 0, 1, {},
              "On\\|Off", "On",
              "Whether the broker's certificate has to be for its host and from somebody trusted."},
};
// clang-format on

}  // namespace websocket::httpd
