// SPDX-License-Identifier: Apache-2.0
// What lines in the log call the limits of the hub.
#pragma once

namespace websocket::hub {

/// As whoever sets them knows them. The strings outlive the hub.
struct LimitNames {
    const char* send_buffer = "send_buffer";        ///< ConnectionOptions::send_buffer
    const char* topic_buffer = "topic_buffer";      ///< of loops and of the bus
    const char* max_topics = "max_topics";          ///< HubOptions::max_topics
    const char* quota = "max_topics of the quota";  ///< TopicQuota::most
};

}  // namespace websocket::hub
