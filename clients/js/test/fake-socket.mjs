// SPDX-License-Identifier: Apache-2.0

/** A class of sockets that do what a test says. `sockets` has those that were made. */
export function fakeSockets() {
  const sockets = [];
  class FakeSocket {
    readyState = 0;
    bufferedAmount = 0;
    sent = [];
    closed = undefined;

    constructor(...given) {
      this.given = given;
      sockets.push(this);
    }

    send(data) {
      if (this.readyState !== 1) throw new Error(`sent while readyState is ${this.readyState}`);
      this.sent.push(data);
    }

    close(...given) {
      this.closed ??= given;
      if (this.readyState < 2) this.readyState = 2;
    }

    // What the other side does.

    opens() {
      this.readyState = 1;
      this.onopen?.({});
      return this;
    }

    receives(data) {
      this.onmessage?.({ data });
    }

    ends(code = 1006, reason = "") {
      this.readyState = 3;
      this.onclose?.({ code, reason, wasClean: code !== 1006 });
    }

    fails(message) {
      this.onerror?.({ message });
      this.ends();
    }
  }
  return { FakeSocket, sockets, last: () => sockets.at(-1) };
}
