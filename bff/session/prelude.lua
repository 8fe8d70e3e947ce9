-- Before every script: the store's own time in milliseconds, and what a record is.
-- Fields: t tag (the key's name), v version, s sealed, k key id, il idle length, ia idle deadline,
-- ab absolute deadline, rf refresh deadline or '', se last seen, co creator, lo lease owner,
-- lu lease end, un '1' if the refresh token may be spent, nb not before; d4 first definite 400,
-- dc credentials that met it.
-- A tombstone: t, r reason, eo who ended it, es the last sealed bytes, et when.
local KEY = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function read(...)
  return redis.call('HMGET', KEY, ...)
end

local function announce()
  redis.call('PUBLISH', ARGV[1], ARGV[2])
end

local function expire()
  local ends = read('ia', 'ab', 'rf')
  local at = math.min(tonumber(ends[1]), tonumber(ends[2]))
  if ends[3] and ends[3] ~= '' then at = math.min(at, tonumber(ends[3])) end
  redis.call('PEXPIREAT', KEY, string.format('%.0f', at))
end

local function ms(number)
  return string.format('%.0f', number)
end
