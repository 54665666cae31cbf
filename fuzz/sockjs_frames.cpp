// SPDX-License-Identifier: Apache-2.0
//
// Any text as a frame of a client of SockJS: what is read of it is UTF-8 if the frame was, and comes back unchanged when
// it is written as the server does and read again.

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <websocket/sockjs_frames.hpp>
#include <websocket/utf8.hpp>

namespace {

using namespace websocket::sockjs;

void require(bool promise) {
    if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view frame(reinterpret_cast<const char*>(data), size);
    const auto messages = FrameReader::read(frame);
    // Any bytes may be in a message of a server, too.
    const auto own = FrameReader::read(std::string_view(message_frame(frame)).substr(1));
    require(own && own->size() == 1 && own->front() == frame);
    if (!messages) return 0;
    require(messages->size() <= kMaxBatch);
    for (const std::string& message : *messages) {
        require(message.size() <= size);
        require(!websocket::is_utf8(frame) || websocket::is_utf8(message));
        const std::string written = message_frame(message);
        require(!websocket::is_utf8(message) || websocket::is_utf8(written));
        const auto again = FrameReader::read(std::string_view(written).substr(1));
        require(again && again->size() == 1 && again->front() == message);
    }
    return 0;
}
