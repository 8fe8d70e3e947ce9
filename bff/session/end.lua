-- ARGV: channel, tag, owner, reason, life of the tombstone, life of the bytes, version or ''
-- With a version it is `end_if`: only over that version, only under the owner's live lease.
local there = read('t', 'v', 's', 'r', 'eo', 'es', 'et', 'lo', 'lu')
if there[4] then
  redis.call('HSET', KEY, 'r', there[4]) -- written again, so that WAIT has something to wait for
  local mine = there[5] == ARGV[3] and now < tonumber(there[7]) + tonumber(ARGV[6])
  return {now, there[5] == ARGV[3] and 1 or 0, there[4], mine and there[6] or ''}
end
if ARGV[7] ~= '' then
  local leased = there[8] == ARGV[3] and tonumber(there[9] or '0') > now
  if there[2] ~= ARGV[7] or not leased then return {now, 0, '', ''} end
end
local sealed = there[3] or ''
redis.call('DEL', KEY)
redis.call('HSET', KEY, 't', ARGV[2], 'r', ARGV[4], 'eo', ARGV[3], 'es', sealed, 'et', ms(now))
redis.call('PEXPIRE', KEY, ARGV[5])
announce()
return {now, 1, ARGV[4], sealed}
