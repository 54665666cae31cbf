// SPDX-License-Identifier: Apache-2.0
// How one tunnel is served; the rest is in the ConnectionOptions of its location.
#pragma once

#include <chrono>
#include <cstddef>

namespace websocket::engine {

struct TunnelOptions {
    /// Bytes for a direction that wait for a slow side; as long as there are as many, the other side is not
    /// read.
    std::size_t buffer = 64U << 10;
    /// Ends a tunnel without traffic; 0 for never.
    std::chrono::milliseconds idle_timeout{0};
    /// One side may end its stream and still receive; else both ends are closed then.
    bool half_close = true;
    /// Both streams are followed frame by frame.
    bool frames = false;
    /// With frames: permessage-deflate was negotiated.
    bool compressible = false;
};

}  // namespace websocket::engine
