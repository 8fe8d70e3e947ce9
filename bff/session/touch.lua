-- ARGV: channel, tag
local lengths = read('il', 'ia')
local length = tonumber(lengths[1] or '')
if not length then return {now, 0} end
local before = tonumber(lengths[2]) - now
redis.call('HDEL', KEY, '-') -- first what needs no memory: then Redis refuses no write for want of it
redis.call('HSET', KEY, 'se', ms(now), 'ia', ms(now + length))
expire()
-- A page may be showing that the end is near: it is told at once that it is not. Most slides come
-- long before, and nobody need hear of them.
if before < length / 2 then announce() end
return {now, 1}
