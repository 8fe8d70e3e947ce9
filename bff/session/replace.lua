-- ARGV: channel, tag, version, owner, new version, sealed, refresh or '', '1' if renewed
local there = read('v', 'lo')
if not there[1] then return {now, 0} end
if there[1] == ARGV[5] then
  redis.call('HSET', KEY, 'v', ARGV[5]) -- written again, so that WAIT has something to wait for
  return {now, 1}
end
-- A lease that has lapsed counts too, until somebody else is granted one: nobody has presented the
-- refresh token since, and what its owner brings is all that is left of the grant.
if there[1] ~= ARGV[3] or there[2] ~= ARGV[4] then return {now, 0} end
-- First what frees memory: after that Redis refuses no write, though it has no memory to spare.
-- The old refresh token is spent; the new one must not be lost for want of a few octets.
redis.call('HDEL', KEY, 'lo', 'lu')
if ARGV[8] == '1' then redis.call('HDEL', KEY, 'un', 'd4', 'dc', 'nb') end
redis.call('HSET', KEY, 'v', ARGV[5], 's', ARGV[6], 'rf', ARGV[7])
expire()
announce()
return {now, 1}
