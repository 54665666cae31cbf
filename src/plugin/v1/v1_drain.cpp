// SPDX-License-Identifier: Apache-2.0
// ws.drain/1
#include "plugin/v1/v1_host.hpp"
#include "plugin/v1/v1_instance.hpp"

namespace websocket::plugin {

const void* drain_extension() noexcept {
    static constexpr ws_drain_1 kTable{sizeof(ws_drain_1), 0,
                                       [](const ws_host* host) -> ws_result {
                                           if (host == nullptr) {
                                               return WS_BAD_ARG;
                                           }
                                           V1Instance::of(host).hold_drain();
                                           return WS_OK;
                                       },
                                       [](const ws_host* host) {
                                           if (host != nullptr) {
                                               V1Instance::of(host).release_drain();
                                           }
                                       }};
    return &kTable;
}

}  // namespace websocket::plugin
