-- ARGV: channel, tag
local length = read('il')[1]
if not length then return {now, 0} end
redis.call('HSET', KEY, 'se', ms(now), 'ia', ms(now + tonumber(length)))
expire()
return {now, 1}
