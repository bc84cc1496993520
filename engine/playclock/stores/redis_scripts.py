"""What runs inside Redis: compare versions, write, index, append. No word of the domain.

A record is a string: its version in 8 bytes, big-endian, a byte of flags, 4 bytes that mark the epoch in which it was written,
in 8 bytes the version that it had when that epoch began for it, and its data. The flags say whether the record is filed in the
due index (1) and in the index of what may be dropped (2), so that a plain write touches neither.
"""

import hashlib
from typing import Final

COMMIT: Final = """
local puts = #KEYS - 4
local flags, began = {}, {}
local again, mark = ARGV[1], ARGV[2]
for i = 1, puts do
  local header = redis.call('GETRANGE', KEYS[4 + i], 0, 20)
  if string.sub(header, 1, 8) ~= ARGV[i * 6 - 3] or string.sub(header, 10, 13) == again then
    local current = {}
    for j = 1, puts do current[j] = redis.call('GET', KEYS[4 + j]) end
    return current
  end
  flags[i] = string.byte(header, 9) or 0
  if header == '' then
    began[i] = string.rep(string.char(0), 8)
  elseif string.sub(header, 10, 13) == mark then
    began[i] = string.sub(header, 14, 21)
  else
    began[i] = string.sub(header, 1, 8)
  end
end
-- An index that has lost its last member is gone, and where its slot is moving, it could not be made anew here.
local undue, unkept = {}, {}
for i = 1, puts do
  local at = i * 6 - 3
  local member, due, keep = ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  local is_due, is_kept = flags[i] % 2, math.floor(flags[i] / 2)
  if due == '-' then
    if is_due == 1 then undue[#undue + 1] = member end
    is_due = 0
  elseif due ~= '' then
    redis.call('ZADD', KEYS[1], due, member)
    is_due = 1
  end
  if keep == '' then
    if is_kept == 1 then unkept[#unkept + 1] = member end
    is_kept = 0
  else
    redis.call('ZADD', KEYS[2], keep, member)
    is_kept = 1
  end
  redis.call('SET', KEYS[4 + i], ARGV[at + 1] .. string.char(is_due + is_kept * 2) .. mark .. began[i] .. ARGV[at + 2])
end
for _, member in ipairs(undue) do redis.call('ZREM', KEYS[1], member) end
for _, member in ipairs(unkept) do redis.call('ZREM', KEYS[2], member) end
for i = puts * 6 + 3, #ARGV, 2 do
  local sequence = redis.call('INCR', KEYS[4])
  redis.call('XADD', KEYS[3], string.format('%.0f-0', sequence), 'd', ARGV[i], 'r', ARGV[i + 1])
end
return 1
"""
"""KEYS: due, keep, events, head, then a record for each put. ARGV: the mark that no record may have (-: any), and the mark that
they get; then for each put the version expected (empty for none), the new version, data, member, due (empty: as it is filed; -:
out of the index) and keep (empty: for ever); then for each event its data and until when it is kept. Returns 1, or what lies
under every key."""

RENEW: Final = """
local found, mark = {}, ARGV[1]
for i = 1, #KEYS do
  local key, at = KEYS[i], i * 3 - 1
  local header = redis.call('GETRANGE', key, 0, 20)
  if string.sub(header, 1, 8) == ARGV[at] then
    local flags = string.byte(header, 9) or 0
    if flags >= 2 then
      redis.call('ZREM', string.sub(key, 1, 6) .. 'keep', string.sub(key, 8))
      flags = flags - 2
    end
    local began = string.sub(header, 1, 8)
    if string.sub(header, 10, 13) == mark then began = string.sub(header, 14, 21) end
    redis.call('SET', key, ARGV[at + 1] .. string.char(flags) .. mark .. began .. ARGV[at + 2])
  else
    found[#found + 1] = i
    found[#found + 1] = redis.call('GET', key)
  end
end
return found
"""
"""Many commits in one, each of a record that stays filed as it is and is kept: heartbeats. KEYS: a record for each. ARGV: the
mark that they get; then for each the version expected, the new version and the data. Returns, for each that met another
version, its place and what lies there by turns. Which index a record lies in follows from how keys are made."""

DUE_AFTER: Final = """
local start = redis.call('ZRANK', KEYS[1], ARGV[4])
if start and redis.call('ZSCORE', KEYS[1], ARGV[4]) + 0 == ARGV[3] + 0 then
  start = start + 1
else
  start = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[3])
  local ties = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[3], ARGV[3])
  for _, member in ipairs(ties) do
    if member <= ARGV[4] then start = start + 1 end
  end
end
local stop = math.min(redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[1]), start + ARGV[2]) - 1
if stop < start then return {} end
return redis.call('ZRANGE', KEYS[1], start, stop, 'WITHSCORES')
"""
"""KEYS: due. ARGV: until when, how many, and the time and the member beyond which. Returns members and times by turns."""

COLLECT: Final = """
local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
for _, member in ipairs(gone) do
  redis.call('DEL', ARGV[1] .. member)
  redis.call('ZREM', KEYS[1], member)
  redis.call('ZREM', KEYS[2], member)
end
local left, dropped = ARGV[3] - #gone, 0
local last = nil
if left > 0 then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[3], '-', ARGV[4], 'COUNT', left)) do
    if tonumber(entry[2][4]) > tonumber(ARGV[2]) then break end
    last, dropped = entry[1], dropped + 1
  end
  if last then
    redis.call('XTRIM', KEYS[3], 'MINID', string.format('%.0f-0', string.match(last, '^%d+') + 1))
  end
end
return #gone + dropped
"""
"""KEYS: due, keep, events. ARGV: what record keys begin with, until when what may go was kept, how much may go at most, and the
last event that may. Returns how much went. The keys that are dropped lie in the slot of those that are named."""

SCRIPTS: Final = (COMMIT, RENEW, DUE_AFTER, COLLECT)


def digest_of(script: str) -> str:
    """Return the name under which Redis keeps a script."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
