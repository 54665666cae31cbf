// SPDX-License-Identifier: Apache-2.0
// Two clients of the npm package `mqtt` talk through a broker; prints what arrived as JSON.
// Usage: node mqtt_talk.cjs URL VERSION, which is 3, 4 or 5
"use strict";

const crypto = require("node:crypto");
const mqtt = require("mqtt");

const [url, version] = process.argv.slice(2);
const sizes = [0, 1, 125, 126, 65535, 65536, 2 << 20];

function connect(name) {
    return mqtt.connectAsync(url, {
        clientId: name,
        protocolId: version === "3" ? "MQIsdp" : "MQTT",
        protocolVersion: Number(version),
        reconnectPeriod: 0, // never
        connectTimeout: 120000,
    });
}

async function main() {
    const listener = await connect("listener");
    const arrived = [];
    const all = new Promise((resolve) => {
        listener.on("message", (topic, payload, packet) => {
            const sha256 = crypto.createHash("sha256").update(payload).digest("hex");
            arrived.push({ topic, qos: packet.qos, bytes: payload.length, sha256 });
            if (arrived.length === sizes.length) resolve();
        });
    });
    await listener.subscribeAsync("house/+", { qos: 2 });
    const speaker = await connect("speaker");
    for (const [number, size] of sizes.entries()) {
        await speaker.publishAsync(`house/${number}`, Buffer.alloc(size, number + 1), { qos: number % 3 });
    }
    await all;
    await Promise.all([speaker.endAsync(), listener.endAsync()]);
    console.log(JSON.stringify(arrived));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
