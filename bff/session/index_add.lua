-- ARGV: channel, tag, member's key, entry, until. A member is key, ':' and sealed entry.
redis.call('ZREMRANGEBYSCORE', KEY, '-inf', ms(now))
for _, member in ipairs(redis.call('ZRANGE', KEY, 0, -1)) do
  if string.sub(member, 1, #ARGV[3] + 1) == ARGV[3] .. ':' then redis.call('ZREM', KEY, member) end
end
redis.call('ZADD', KEY, ARGV[5], ARGV[3] .. ':' .. ARGV[4])
local last = redis.call('ZRANGE', KEY, -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEY, ms(tonumber(last[2])))
return {now, 1}
