// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "hub/broker_url.hpp"

#include <string>
#include <string_view>

#include "hub/broker_settings.hpp"
#include "unit.hpp"

using websocket::hub::BrokerSettings;
using websocket::hub::BrokerUrl;
using websocket::hub::parse_broker_url;

namespace {

struct WrongUrl {
    const char* url;
    const char* words;
};

BrokerUrl good(std::string_view text) {
    auto parsed = parse_broker_url(text);
    ck_assert_msg(parsed.error.empty(), "%s: %s", std::string(text).c_str(), parsed.error.c_str());
    return parsed.url;
}

}  // namespace

START_TEST(what_is_no_broker_is_refused_with_what_is_allowed) {
    for (const auto& [url, words] : {
             WrongUrl{"", "must be redis://"},
             {"redis", "must be redis://"},
             {"http://host", "must be redis://"},
             {"amqp://host", "not supported"},
             {"nats:host", "must have //"},
             {"nats://", "name or the address"},
             {"nats://a,,b", "name or the address"},
             {"nats://host:0", "port"},
             {"nats://host/1", "nothing behind"},
             {"nats://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", "at most 16"},
             {"nats://:pw@host", "user:password or a token"},
             {"nats://:@host", "user:password or a token"},
             {"nats://@host", "user:password or a token"},
             {"nats://%zz@host", "hexadecimal"},
             {"nats+unix:///run/nats.sock", "must be redis://"},
             {"redis+cluster://host", "not supported"},
             {"redis:host", "must have //"},
             {"redis://", "name or the address"},
             {"redis://ho st", "without blanks"},
             {"redis://h\xc3\xb6st", "without blanks"},
             {"redis://host:0", "port"},
             {"redis://host:65536", "port"},
             {"redis://host:port", "port"},
             {"redis://host:", "port"},
             {"redis://[::1", "IPv6"},
             {"redis://[::1]x", "port"},
             {"redis://[host]", "IPv6"},
             {"redis://host/x", "database"},
             {"redis://host/1/2", "database"},
             {"redis://host/65536", "database"},
             {"redis://user@host", "user:password"},
             {"redis://:@host", "user:password"},
             {"redis://:%zz@host", "hexadecimal"},
             {"redis://:%0@host", "hexadecimal"},
             {"redis://:%00@host", "%00"},
             {"redis://a,b", "one host"},
             {"redis+sentinel://a,b", "name that the sentinels"},
             {"redis+sentinel://a,,b/m", "name or the address"},
             {"redis+sentinel://a/m/n", "name that the sentinels"},
             {"redis+sentinel://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a/m", "at most 16"},
             {"unix:relative", "whole path"},
             {"redis+unix://relative", "whole path"},
         }) {
        const auto parsed = parse_broker_url(url);
        ck_assert_msg(parsed.error.find(words) != std::string::npos, "%s: %s", url,
                      parsed.error.c_str());
    }
    const auto longer = parse_broker_url("unix:/" + std::string(200, 'x'));
    ck_assert(longer.error.find("longer than") != std::string::npos);
}
END_TEST

START_TEST(no_error_and_no_description_tells_a_password) {
    for (const char* url :
         {"redis://user:secret@host:0", "redis://:secret@", "redis://:secret@a,b"}) {
        ck_assert(parse_broker_url(url).error.find("secret") == std::string::npos);
    }
    ck_assert(parse_broker_url("nats://secret@host/1").error.find("secret") == std::string::npos);
    const std::string cluster = good("tls://secret@a,b:1").describe();
    ck_assert_str_eq(cluster.c_str(), "nats+tls://a:4222,b:1");
    const std::string text = good("rediss+sentinel://user:secret@a,[::1]:1/m").describe();
    ck_assert_str_eq(text.c_str(), "rediss+sentinel://a:26379,[::1]:1/m");
}
END_TEST

START_TEST(each_part_is_where_it_belongs) {
    const BrokerUrl url = good("REDISS://us%3Aer:p%40ss%2Fword@redis.example.com:6380/3");
    ck_assert(url.tls && url.user == "us:er" && url.password == "p@ss/word" && url.database == 3);
    ck_assert(url.hosts[0].name == "redis.example.com" && url.hosts[0].port == 6380);
    const BrokerUrl usual = good("redis://10.0.0.1");
    ck_assert(!usual.tls && usual.hosts[0].port == 6379 && usual.password.empty());
    const BrokerUrl sentinels = good("redis+sentinel://:pw@a,b:1/my%20master");
    ck_assert(sentinels.master == "my master" && sentinels.hosts.size() == 2);
    ck_assert(sentinels.hosts[0].port == 26379 && sentinels.hosts[1].port == 1);
    ck_assert(good("unix:/run/redis.sock").socket_path == "/run/redis.sock");
    const BrokerUrl local = good("redis+unix://user:pw@/run/redis.sock");
    ck_assert(local.socket_path == "/run/redis.sock" && local.user == "user");
    ck_assert(good("redis+unix:///run/redis.sock").socket_path == "/run/redis.sock");
}
END_TEST

START_TEST(a_broker_of_nats_has_servers_and_a_user_or_a_token) {
    const BrokerUrl url = good("nats://us%3Aer:p%40ss@nats.example.com");
    ck_assert(url.kind == BrokerUrl::Kind::nats && !url.tls && url.hosts[0].port == 4222);
    ck_assert(url.user == "us:er" && url.password == "p@ss");
    const BrokerUrl cluster = good("nats+tls://t%40ken@a,b:4223,[::1]/");
    ck_assert(cluster.tls && cluster.user.empty() && cluster.password == "t@ken");
    ck_assert(cluster.hosts.size() == 3 && cluster.hosts[1].port == 4223);
    ck_assert(cluster.hosts[2].name == "::1" && cluster.hosts[2].port == 4222);
    const BrokerUrl from_file = good("nats://user:@host");
    ck_assert(from_file.user == "user" && from_file.password.empty());
    ck_assert(good("redis://host").kind == BrokerUrl::Kind::redis);
}
END_TEST

START_TEST(settings_of_another_version_are_refused) {
    BrokerSettings settings;
    settings.url = "redis://host";
    settings.password = "pass\nword";
    settings.prefix = "ws:";
    settings.verify = false;
    settings.buffer = 5;
    settings.topic_buffer = 6;
    settings.level = websocket::base::LogLevel::debug;
    const std::string text = settings.to_text();
    for (std::size_t size = 0; size < text.size(); ++size) {
        ck_assert(!BrokerSettings::of_text(std::string_view(text).substr(0, size)));
    }
    ck_assert(!BrokerSettings::of_text("x" + text));
    const auto read = BrokerSettings::of_text(text);
    ck_assert(read.has_value());
    ck_assert(read->url == settings.url && read->password == settings.password);
    ck_assert(read->prefix == settings.prefix && read->ca_file.empty() && !read->verify);
    ck_assert(read->buffer == 5 && read->topic_buffer == 6 && read->level == settings.level);
}
END_TEST

WEBSOCKET_TEST_SUITE(broker_url) {
    tcase_add_test(tests, what_is_no_broker_is_refused_with_what_is_allowed);
    tcase_add_test(tests, no_error_and_no_description_tells_a_password);
    tcase_add_test(tests, each_part_is_where_it_belongs);
    tcase_add_test(tests, a_broker_of_nats_has_servers_and_a_user_or_a_token);
    tcase_add_test(tests, settings_of_another_version_are_refused);
}
