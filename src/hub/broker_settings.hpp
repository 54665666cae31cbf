// SPDX-License-Identifier: Apache-2.0
// What httpd's parent process tells the program websocket-bridge, in a file in memory: no password is an argument.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "hub/history.hpp"

namespace websocket::hub {

/// Descriptors that the program finds open, besides standard error, which is the log.
inline constexpr int kBridgeSettingsFile = 3;
inline constexpr int kBridgeRegistryFile = 4;
/// Its end says that httpd and all of its children have ended. Descriptors of new logs come from there.
inline constexpr int kBridgeControl = 5;
inline constexpr int kBridgePresenceFile = 6;
/// Where there are BrokerSettings::histories.
inline constexpr int kBridgeHistoryFile = 7;

struct BrokerSettings {
    std::string url;                ///< as parse_broker_url() takes it
    std::string password;           ///< instead of the one in the URL; empty: that one
    std::string sentinel_password;  ///< of all sentinels; empty: they want none
    std::string prefix;             ///< of all channels
    std::string ca_file;            ///< PEM; empty: whom the system trusts
    bool verify = true;             ///< the certificate of the broker
    std::size_t buffer = 0;         ///< bytes that may wait for the broker
    std::size_t topic_buffer = 0;   ///< and for a child process
    base::LogLevel level = base::LogLevel::warning;  ///< lines of less weight are not written
    std::vector<HistoryRule> histories = {};         ///< of topics

    /// Throws std::bad_alloc.
    [[nodiscard]] std::string to_text() const;
    /// Nothing when it is none, or of another version. Throws std::bad_alloc.
    [[nodiscard]] static std::optional<BrokerSettings> of_text(std::string_view text);
};

}  // namespace websocket::hub
