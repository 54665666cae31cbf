// SPDX-License-Identifier: Apache-2.0
#include "bridge/history_scripts.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include "bridge/big_endian.hpp"

namespace websocket::bridge {

// The tag in braces keeps both in one slot of a cluster, should there ever be one.
HistoryKeys::HistoryKeys(std::string_view prefix, std::string_view channel)
    : meta(std::string(prefix) + '{' + std::string(channel.substr(prefix.size())) + "}:m"),
      stream(meta.substr(0, meta.size() - 1) + 'h') {}

std::string new_epoch() {
    std::uint64_t epoch = 0;
    while (epoch == 0) {
        if (::getrandom(&epoch, sizeof epoch, 0) != sizeof epoch) {
            throw std::system_error(errno, std::generic_category(), "getrandom");
        }
    }
    std::string text;
    append_number(text, epoch);
    return text;
}

std::string history_index(std::string_view prefix) { return std::string(prefix) + "!topics"; }

// Numbers are doubles in Lua, exact up to 2^53. What is longer stays text. The meta hash outlives the messages by a
// day, so that a topic which was quiet for long goes on in its epoch. Numbers of hosts that are gone are forgotten when there are
// too many of all.
constexpr std::string_view kPublishText = R"lua(
local meta, stream = KEYS[1], KEYS[2]
local known = redis.call('HMGET', meta, 'e', 's', 'n:' .. ARGV[4])
local epoch, number = known[1], tonumber(ARGV[5])
if epoch and known[3] and number <= tonumber(known[3]) then return 0 end
if not epoch or (epoch == ARGV[6] and tonumber(known[2]) < tonumber(ARGV[7])) then
  epoch = ARGV[1]
  redis.call('DEL', stream)
  redis.call('HSET', meta, 'e', epoch, 's', 0)
end
if redis.call('HLEN', meta) > 200 then
  local offset = redis.call('HGET', meta, 's')
  redis.call('DEL', meta)
  redis.call('HSET', meta, 'e', epoch, 's', offset)
end
local offset = redis.call('HINCRBY', meta, 's', 1)
redis.call('HSET', meta, 'n:' .. ARGV[4], ARGV[5])
local time = redis.call('TIME')
local record = '\0\1' .. epoch .. string.format('%.0f %.0f ', offset, time[1] * 1000 + math.floor(time[2] / 1000)) .. ARGV[9]
local added = 0
if redis.call('EXISTS', stream) == 0 then added = redis.call('SADD', KEYS[3], ARGV[10]) end
redis.call('XADD', stream, 'MAXLEN', '~', ARGV[2], string.format('%.0f-0', offset), 'd', record)
redis.call('PEXPIRE', stream, ARGV[3])
redis.call('PEXPIRE', meta, ARGV[3] + 86400000)
redis.call('PUBLISH', ARGV[8], record)
return 1 + added
)lua";
const std::string_view kPublishScript = kPublishText;

// One message at a time, or all that do not fit the answer would be copied in vain.
constexpr std::string_view kReadText = R"lua(
local meta, stream = KEYS[1], KEYS[2]
local known = redis.call('HMGET', meta, 'e', 's')
local epoch = known[1]
if not epoch then
  redis.call('SREM', KEYS[3], ARGV[6])
  return {}
end
local last, from = tonumber(known[2]), tonumber(ARGV[4])
if epoch == ARGV[2] and last < tonumber(ARGV[3]) then
  epoch, last = ARGV[1], 0
  redis.call('DEL', stream)
  redis.call('HSET', meta, 'e', epoch, 's', 0)
end
if epoch ~= ARGV[2] or from == 0 then from = math.max(1, last - tonumber(ARGV[5]) + 1) end
local time = redis.call('TIME')
local found = {epoch, string.format('%.0f', last), string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))}
local bytes, count = 0, 0
while bytes <= 1000000 and count < 256 do
  local entry = redis.call('XRANGE', stream, string.format('%.0f', from), '+', 'COUNT', 1)[1]
  if not entry then break end
  found[#found + 1] = entry[2][2]
  bytes, count = bytes + #entry[2][2], count + 1
  from = tonumber(string.match(entry[1], '^%d+')) + 1
end
return found
)lua";
const std::string_view kReadScript = kReadText;

}  // namespace websocket::bridge
