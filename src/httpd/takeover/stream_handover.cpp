// SPDX-License-Identifier: Apache-2.0
#include "httpd/takeover/stream_handover.hpp"

#include <http_log.h>

#include <cstdint>
#include <new>
#include <utility>

#include "httpd/log/log.hpp"
#include "httpd/module.hpp"
#include "httpd/takeover/takeover.hpp"
#include "protocol/close_code.hpp"

namespace websocket::httpd {

void StreamHandover::give_up() noexcept {
    session.release()->on_close({static_cast<std::uint16_t>(protocol::CloseCode::abnormal), false});
}

void StreamHandover::take_over(conn_rec* c) noexcept {
    net::AnyTransport transport;
    try {
        transport = make_transport(taken);
    } catch (const std::bad_alloc&) {
        log_limited(c, APLOG_ERR, "WS0301: out of memory, closing one connection");
        give_up();
        return;
    }
    place->prepare(std::move(transport), std::move(session), options_, how);
    engine_.serve(std::move(place));
}

int hand_over_stream(request_rec* r, std::unique_ptr<StreamHandover> handover) {
    conn_rec* c = r->connection;
    take_tls(c, handover->taken);
    leave_http(r);
    let_go_after(r);
    take_early_input(c, handover->taken);  // what is below the TLS is needed to go on with it
    handover->taken.early_input.reset();
    hand_over_later(c, std::move(handover));
    return OK;
}

}  // namespace websocket::httpd
